"""The siamese network as an asset, and the particles that look like a given one in a core that was really scored."""

import pandas as pd
import pytest

from icecore_dagster.learning.few_labels.files import SIAMESE_MODEL, load_siamese
from icecore_dagster.orchestration.jobs import SEGMENT_ASSETS
from icecore_dagster.orchestration.partitions import SCORED_BY
from icecore_dagster.particles.tables.store import read_table
from icecore_dagster.scoring.core.rollup import CoreNotScoredError
from icecore_dagster.scoring.similar import By, Metric, distances, find_similar
from icecore_dagster_tests.orchestration.conftest import CORE

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("laboratory")]


@pytest.fixture(scope="module")
def siamese(trained):
    return trained.make("siamese_model")


@pytest.fixture(scope="module")
def scored(trained):
    (cell, _) = trained.add_cells(CORE, "0_20", "20_40")
    trained.make(*SEGMENT_ASSETS, partition=cell)
    return trained.lab


@pytest.fixture(scope="module")
def particle_id(scored) -> str:
    return read_table(scored.store.table("segment_particles", CORE, "0_20"))["particle_id"][3]


def test_the_asset_shows_accuracy_pictures_energy_and_where_it_lies(trained, siamese):
    (event,) = siamese.get_asset_materialization_events()
    metadata = event.materialization.metadata
    card = load_siamese(trained.lab.store.models / SIAMESE_MODEL).card
    assert event.materialization.tags["dagster/data_version"] == card.content_hash
    assert 0 <= metadata["held-out labels: 2-way 1-shot accuracy"].value <= 1
    assert 0 <= metadata["same material? ROC AUC"].value <= 1
    for name in ("few shots", "no shot", "learning curve"):
        assert "data:image/png;base64," in metadata[name].value
    assert "40 %" in metadata["energy estimated by"].value
    assert "standardised properties" in metadata["accuracy"].value
    assert f"classifier {SCORED_BY.architecture} ({SCORED_BY.task})" in metadata["accuracy"].value
    assert metadata["folder"].value.endswith(SIAMESE_MODEL)
    assert "grim" not in card.classes
    assert card.metrics["compared_with"]


@pytest.mark.parametrize("by", list(By))
def test_every_other_particle_with_an_image_is_compared(scored, siamese, particle_id, by):
    with_image = read_table(scored.store.table("segment_particles", CORE, "0_20"))["has_image"].sum()
    similar = find_similar(scored, particle_id, most=4, by=by, progress=False)
    assert similar.searched == with_image - 1
    assert len(similar.found) == 4
    assert similar.found["distance"].is_monotonic_increasing
    assert similar.found["predicted_class"].notna().all()


@pytest.mark.parametrize("by", list(By))
def test_a_labelled_particle_can_be_asked_for(scored, siamese, by):
    labelled = read_table(scored.store.table("synthetic_particles"))
    asked = labelled.loc[labelled["label"] == "corylus", "particle_id"].iloc[0]
    similar = find_similar(scored, asked, CORE, most=5, by=by, metric=Metric.EUCLIDEAN, progress=False)
    assert len(similar.found) == 5
    assert similar.query.particle["predicted_class"].tolist() == ["corylus"]
    with pytest.raises(CoreNotScoredError, match=f"--core; scored are {CORE}"):
        find_similar(scored, asked, progress=False)


@pytest.mark.parametrize("metric", list(Metric))
def test_the_nearest_are_those_of_the_stored_places(scored, particle_id, metric):
    stored = read_table(scored.store.table("segment_embedding", CORE, "0_20")).set_index("particle_id")
    vectors = stored.filter(regex="^e_")
    away = pd.Series(distances(vectors.to_numpy(), vectors.loc[particle_id].to_numpy(), metric), index=stored.index)
    similar = find_similar(scored, particle_id, most=7, metric=metric, progress=False)
    expected = away.drop(particle_id).sort_values(kind="stable").head(7)
    assert similar.found["distance"].to_numpy() == pytest.approx(expected.to_numpy())
