"""The published dataset, placed under data/ as it is, goes all the way to trained models and read ice segments."""

import pytest

from icecore_dagster.learning.labelled_set import open_labelled_set
from icecore_dagster.learning.networks.fit import fit_network
from icecore_dagster.learning.networks.training import TrainingConfig
from icecore_dagster.learning.trees.boosting import TreesConfig
from icecore_dagster.learning.trees.fit import fit_trees
from icecore_dagster.particles.intake.cells import pack_segment, read_segment
from icecore_dagster.particles.properties import FEATURES
from icecore_dagster.particles.published.ice_tables import import_ice_table
from icecore_dagster.particles.tables.plausibility import believable_labelled
from icecore_dagster.particles.tables.store import read_table
from icecore_dagster_tests.learning.published_layout import COLUMNS, ICE_RUNS, ICE_TABLE, PublishedLayout

pytestmark = pytest.mark.xdist_group("published")


def test_every_published_row_is_imported_once_under_its_label(published: PublishedLayout) -> None:
    assert len(COLUMNS) == 57
    table = open_labelled_set(published.lab).table
    assert table["label"].value_counts().to_dict() == published.rows
    assert set(table["source"]) == {"imported"}
    assert set(table["properties_from"]) == {"instrument"}
    assert table[list(FEATURES)].notna().all(axis=None)
    assert (table["calibration_um_per_px"] == 0.277).all()
    assert all(
        outcome.passed for outcome in believable_labelled(table.drop(columns=["split", "split_by_image"])).values()
    )


def test_images_of_one_run_are_on_one_side(published: PublishedLayout) -> None:
    table = open_labelled_set(published.lab).table
    assert (table.groupby("run")["split"].nunique() == 1).all()
    assert (table.groupby("label")["split"].nunique() == 3).all()


def test_lightgbm_learns_from_it(published: PublishedLayout) -> None:
    fitted = fit_trees(published.lab, "seven_class", TreesConfig(rounds=20, smallest_leaf=3, threads=1))
    assert fitted.trained.validation.balanced_accuracy > 2 / 7


def test_a_network_learns_from_it_for_an_epoch(published: PublishedLayout) -> None:
    fitted = fit_network(published.lab, "seven_class", "A3", TrainingConfig(epochs=1, threads=1, device="cpu"))
    assert len(fitted.trained.history) == 1
    assert fitted.card.training_data == open_labelled_set(published.lab).versions


def test_the_raw_ice_table_is_taken_apart_and_its_segments_are_read(published: PublishedLayout) -> None:
    lab = published.lab
    taken = import_ice_table(lab.published / ICE_TABLE, lab.landing, progress=False)
    assert set(taken.runs) == set(ICE_RUNS)
    read = read_segment(lab, "GRIP_3046", "40_55")
    stored = read_table(published.lab.store.table("segment_particles", "GRIP_3046", "40_55"))
    assert stored["replicate"].value_counts().to_dict() == {
        1: taken.runs[ICE_RUNS[1]],
        2: taken.runs[ICE_RUNS[2]],
    }
    assert read.rejects.empty
    assert pack_segment(lab, "GRIP_3046", "40_55") == read.rows == len(stored)
    assert stored[list(FEATURES)].notna().all(axis=None)


@pytest.fixture(scope="module", autouse=True)
def _landing_is_empty(published: PublishedLayout) -> None:
    assert not published.lab.landing.exists()
