"""A slice of the quick study, run for real on a small drawn laboratory."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from icecore_dagster.learning.features.sets import MEASURED
from icecore_dagster.learning.labelled_set import TENSORS, SplitKind, open_labelled_set, sides_of
from icecore_dagster.learning.models.files import load_network, load_trees
from icecore_dagster.learning.networks.training import run_on_rows, select_rows
from icecore_dagster.learning.trees.boosting import TreesConfig, feature_matrix
from icecore_dagster.learning.trees.fit import fit_trees
from icecore_dagster.particles.labels import TASKS
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.tables.store import count_rows
from icecore_dagster.scoring.files import DEFAULT_ARCHITECTURE
from icecore_dagster.simulation.laboratory import MARKERS, simulate_labelled
from icecore_dagster.study import command
from icecore_dagster.study.bench import IMPORTED, QUICK, SIMULATED, prepare_bench
from icecore_dagster.study.experiments.scored import scored_as_ice

pytestmark = pytest.mark.slow

SLICE = (
    "labelled",
    "default/six_class",
    "trees/ash/properties",
    "trees/pollen/properties",
    "networks/parameters",
    "networks/pollen/A4",
    f"networks/pollen/{DEFAULT_ARCHITECTURE}",
    "scored/pollen",
    "trees/six_class/properties",
    f"networks/six_class/{DEFAULT_ARCHITECTURE}",
    "scored/six_class",
    "networks/seven_class/hybrid_resnet18",
    "whole/six_class/A3",
    "anomalies/forest",
)
TINY = replace(QUICK, labelled=700, epochs=1, most_of_label=20)


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Laboratory:
    return Laboratory.at(tmp_path_factory.mktemp("study") / "data")


@pytest.fixture(scope="module")
def rows(lab) -> dict[str, dict]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "QUICK", TINY)
        done = command.run_study(lab, quick=True, only=SLICE)
        assert not [record.trouble for record in done.records if record.trouble]
        written = json.loads(done.page.with_name("study.json").read_text())
    return {row["id"]: row for row in written}


def test_counts_and_shares_are_of_the_drawn_particles(rows):
    shares = [rows[f"labelled.share.{label}"]["ours"] for label in ("dust", "camp", "grim", "corylus", "qrob", "qsub")]
    assert sum(shares) == pytest.approx(1)
    assert rows["labelled.share.camp"]["ours"] == pytest.approx(rows["labelled.share.camp"]["published"], abs=0.02)
    assert rows["labelled.particles"]["ours"] < TINY.labelled
    assert {row["data"] for row in rows.values()} == {SIMULATED}


def test_weights_equal_the_published_ones(rows):
    for network in ("A1", "A2", "A3", "A4", "K1"):
        assert rows[f"parameters.{network}"]["ours"] == rows[f"parameters.{network}"]["published"]


def test_a_model_by_run_has_an_interval_and_one_by_image_stands_beside_it(rows):
    by_run = rows["ash.lightgbm.properties.by_run.accuracy"]
    assert by_run["low"] <= by_run["ours"] <= by_run["high"]
    assert "ash.lightgbm.properties.by_image.accuracy" in rows
    assert 0 <= rows["pollen.A4.by_run.accuracy"]["ours"] <= 1


def test_classes_taken_together_in_four_groups_are_told_apart_at_least_as_well(rows):
    seven, four = (rows[f"seven_class.hybrid_resnet18.by_image.{figure}"] for figure in ("accuracy", "four_groups"))
    assert four["n"] == seven["n"]
    assert seven["ours"] <= four["ours"] <= 1
    assert four["low"] <= four["ours"] <= four["high"]
    assert four["published"] == 0.994


def test_every_area_of_the_forest_has_an_interval(rows):
    areas = {name: row for name, row in rows.items() if name.startswith("forest.")}
    assert {"forest.roc_auc", "forest.average_precision", "forest.roc_auc_unknown", "forest.roc_auc.camp"} <= set(areas)
    for row in areas.values():
        assert row["low"] <= row["ours"] <= row["high"]


def test_a_training_says_what_it_cost_beside_the_study(rows):
    assert rows["pollen.A4.seconds"]["ours"] > 0
    assert rows["pollen.A4.seconds"]["published"] == 448


def _said_of_test(lab: Laboratory, key: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes of a task's test particles, and their probabilities by the network alone and by the mean with trees."""
    bench, task = prepare_bench(lab, TINY), TASKS[key]
    labelled = open_labelled_set(bench.lab)
    test = select_rows(labelled.table["label"], sides_of(labelled, SplitKind.BY_RUN), task)
    network = load_network(bench.lab.store.models / "cnn_model" / task.key / DEFAULT_ARCHITECTURE)
    trees = load_trees(bench.lab.store.models / "lightgbm_model" / task.key / MEASURED)
    properties = feature_matrix(labelled.table, network.card.features)
    seen = run_on_rows(network.network, labelled.tensors, test.test, network.card.transform, properties)
    mean = (seen.probabilities + trees.probabilities(labelled.table.iloc[test.test])) / 2
    return np.array(task.classes)[test.targets[test.test]], seen.probabilities, mean


def test_what_scoring_says_of_test_runs_is_the_mean_of_network_and_trees(rows, lab):
    measured, (truth, _, mean) = rows["pollen.scored.by_run.accuracy"], _said_of_test(lab, "pollen")
    accuracy = (np.array(TASKS["pollen"].classes)[mean.argmax(axis=1)] == truth).mean()
    assert measured["ours"] == pytest.approx(accuracy, abs=1e-6)
    assert measured["low"] <= measured["ours"] <= measured["high"]
    assert measured["n"] == len(truth)


def test_the_image_alone_learns_from_all_training_images_and_is_tested_on_all_test_images(rows):
    whole, some = (rows[f"six_class.{name}.by_run.accuracy"] for name in ("A3.whole", DEFAULT_ARCHITECTURE))
    assert "all training images" in whole["note"]
    assert "at most 20 of a label" in some["note"]
    assert whole["n"] == rows["six_class.scored.by_run.accuracy"]["n"]
    assert whole["low"] <= whole["ours"] <= whole["high"]


def test_six_classes_are_also_summed_up_into_three(rows, lab):
    truth, network, mean = _said_of_test(lab, "six_class")
    kind_of = TASKS["three_class"].class_of
    for model, said in ((DEFAULT_ARCHITECTURE, network), ("scored", mean)):
        measured = rows[f"six_class.{model}.summed.by_run.accuracy"]
        summed = pd.DataFrame(said, columns=TASKS["six_class"].classes).T.groupby(kind_of).sum().T
        accuracy = (summed.idxmax(axis=1).to_numpy() == [kind_of[label] for label in truth]).mean()
        assert measured["task"] == "three_class"
        assert measured["ours"] == pytest.approx(accuracy, abs=1e-6)
        assert measured["low"] <= measured["ours"] <= measured["high"]


def test_trees_that_saw_test_runs_are_not_scored_with(rows, lab):
    bench = prepare_bench(lab, TINY)
    fit_trees(bench.lab, "pollen", TreesConfig(), split=SplitKind.BY_IMAGE)
    with pytest.raises(ValueError, match=r"trees of pollen .*--again"):
        list(scored_as_ice(bench, "pollen"))


def test_the_published_rows_are_those_divided_as_published(rows):
    row = rows["six_class.lightgbm.properties.default.accuracy"]
    assert row["published"] == 0.909
    assert row["ours"] > 0.5


def test_imported_particles_are_measured_where_they_are_there(tmp_path):
    lab = Laboratory.at(tmp_path / "data")
    simulate_labelled(lab.labelled, particles=300, seed=3, processes=1, progress=False)
    shutil.rmtree(lab.labelled / MARKERS)  # what tells drawn runs from imported ones
    bench = prepare_bench(lab, TINY)
    assert bench.data == IMPORTED
    assert not (lab.data / "study" / "quick" / "labelled").exists()
    assert count_rows(bench.lab.store.table("synthetic_particles")) == 300
    assert not lab.store.table("synthetic_particles").exists()
    # As a kill leaves it that came while tensors were written.
    shutil.rmtree(bench.lab.store.folder(TENSORS))
    assert len(open_labelled_set(prepare_bench(lab, TINY).lab).tensors) == 300


def test_runs_are_read_again_only_where_they_have_changed(tmp_path):
    lab = Laboratory.at(tmp_path / "data")
    simulate_labelled(lab.labelled, particles=300, seed=3, processes=1, progress=False)
    shutil.rmtree(lab.labelled / MARKERS)
    table = prepare_bench(lab, TINY).lab.store.table("synthetic_particles")
    first = table.stat().st_mtime_ns
    prepare_bench(lab, TINY)
    assert table.stat().st_mtime_ns == first
    shutil.rmtree(next(lab.labelled.glob("dust_*")))
    prepare_bench(lab, TINY)
    assert table.stat().st_mtime_ns > first
    assert 0 < count_rows(table) < 300
