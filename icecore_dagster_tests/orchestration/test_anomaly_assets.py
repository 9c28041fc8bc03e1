"""What is anomalous, through Dagster: models of dust, what they add to scores, and what all cores show together."""

import pytest

from icecore_dagster.orchestration.jobs import CORE_ASSETS, SEGMENT_ASSETS
from icecore_dagster.particles.tables.store import read_table
from icecore_dagster_tests.orchestration.conftest import CORE, Bench
from icecore_dagster_tests.orchestration.test_assets import metadata_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("laboratory")]
PICTURE = "data:image/png;base64,"


def _rank_a_core(bench: Bench) -> None:
    (cell,) = bench.add_cells(CORE, "0_20")
    bench.make(*SEGMENT_ASSETS, partition=cell)
    bench.make(*CORE_ASSETS, partition=CORE)


def test_an_autoencoder_adds_its_column_to_scores_and_ranking(bench):
    metadata = metadata_of(bench.make("autoencoder", partition="convolutional"), "autoencoder")
    assert 0 <= metadata["other labels against dust: ROC AUC"].value <= 1
    assert 0 <= metadata["no known class (drawn) against dust: ROC AUC"].value <= 1
    assert metadata["split"].value == "by run"
    for shown in ("loss", "reconstructions", "errors", "ROC and precision", "codes"):
        assert PICTURE in metadata[shown].value
    _rank_a_core(bench)
    for table, partition in (("segment_anomaly_scores", (CORE, "0_20")), ("anomaly_ranking", (CORE,))):
        stored = read_table(bench.lab.store.table(table, *partition))
        assert (stored["reconstruction_error"] > 0).all()
        assert stored["dust_share_worse_drawn"].between(0, 1).all()


def test_without_an_autoencoder_its_column_is_empty_and_all_cores_are_shown_together(bench):
    _rank_a_core(bench)
    ranking = read_table(bench.lab.store.table("anomaly_ranking", CORE))
    assert ranking["reconstruction_error"].isna().all()
    first = metadata_of(bench.make("first_anomalies"), "first_anomalies")
    assert first["dagster/row_count"].value == 6
    assert PICTURE in first["first anomalies"].value
    assert ranking["particle_id"][0] in first["head"].value
    mapped = metadata_of(bench.make("ice_umap"), "ice_umap")
    assert mapped["particles on the labelled map"].value == ranking.shape[0]
    for shown in ("labelled map, by class", "labelled map, by anomaly", "own map, by class", "own map, by anomaly"):
        assert PICTURE in mapped[shown].value


def test_the_forest_shows_what_a_threshold_trades(bench):
    metadata = metadata_of(bench.make("isolation_forest"), "isolation_forest")
    assert PICTURE in metadata["ROC and precision"].value
    assert " to " in metadata["other labels against dust: ROC AUC, 95 % interval"].value


def test_drawn_images_of_a_rare_class_are_held_against_none(bench):
    metadata = metadata_of(bench.make("vae_augmentation"), "vae_augmentation")
    assert metadata["drawn images"].value == 12
    assert metadata["with drawn images: particles"].value == metadata["without drawn images: particles"].value
    assert PICTURE in metadata["effect"].value
