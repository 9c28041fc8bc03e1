"""With Dagster's real daemon and queue: a run that lands is reported by itself; one core is backfilled and no other."""

import shutil
import time

import dagster as dg
import pytest

from icecore_dagster.orchestration.conductor import Conductor, conductor
from icecore_dagster.orchestration.jobs import CORE_ASSETS, SEGMENT_ASSETS, train_forest
from icecore_dagster.orchestration.partitions import SCORED_BY, tasks
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.simulation.laboratory import simulate_ice
from icecore_dagster_tests.orchestration.conftest import CORE

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("laboratory"), pytest.mark.timeout(900)]


def wait_until(done, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "took too long"
        time.sleep(2)


def made_by_run(dagster: Conductor) -> dict[str, set[str]]:
    """Partitions of the segment assets that each finished run materialised."""
    runs = dagster.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS]))
    return {run.run_id: {run.tags["dagster/partition"]} for run in runs if "dagster/partition" in run.tags}


@pytest.fixture
def laboratory(trained, tmp_path, monkeypatch) -> Laboratory:
    """Trained models and an empty landing folder, with a Dagster home of its own."""
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setenv("ICECORE_DATA", "")
    lab = Laboratory.at(tmp_path / "data")
    for folder in (trained.lab.labelled, trained.lab.data / "results"):
        shutil.copytree(folder, lab.data / folder.name, ignore=shutil.ignore_patterns("segment_*", "reports"))
    return lab


def test_from_landing_to_report_and_backfill_of_one_core_alone(laboratory, trained):
    with conductor(laboratory) as dagster:
        _register_models(dagster)
        for core in (CORE, "GRIP_3136"):
            simulate_ice(
                laboratory.landing,
                truth_folder=laboratory.truth,
                cores=[core],
                segments=["0_20"],
                replicates=1,
                particles_per_run=40,
                seed=9,
                processes=1,
                progress=False,
            )
        keys = [(name, f"{core}|0_20") for core in (CORE, "GRIP_3136") for name in SEGMENT_ASSETS]
        keys += [(name, core) for core in (CORE, "GRIP_3136") for name in CORE_ASSETS]
        wait_until(lambda: all(dagster.is_made(*key) for key in keys) and not dagster.is_busy(), 400)
        before = set(made_by_run(dagster))
        backfill = dagster.launch_backfill(SEGMENT_ASSETS, [f"{CORE}|0_20"], "one core again")
        dagster.wait_for_backfills([backfill])
        wait_until(lambda: not dagster.is_busy(), 120)
        touched = {key for run, keys in made_by_run(dagster).items() if run not in before for key in keys}
        assert f"{CORE}|0_20" in touched
        assert touched <= {f"{CORE}|0_20", CORE}
    for core in (CORE, "GRIP_3136"):
        assert laboratory.store.report(f"{core}.html").exists()


def _register_models(dagster: Conductor) -> None:
    """Record that the copied models are there: train the forest for real, the others by report."""
    from icecore_dagster_tests.orchestration.conftest import TRAINED, passed_gate

    for name, partition in (
        *((name, None) for name in (*TRAINED, "synthetic_umap")),
        ("cnn_model", str(SCORED_BY.network_key)),
        *(("lightgbm_model", key) for key in tasks.get_partition_keys()),
    ):
        dagster.instance.report_runless_asset_event(dg.AssetMaterialization(name, partition=partition))
    for name, partition in (("cnn_model", str(SCORED_BY.network_key)), ("lightgbm_model", SCORED_BY.task)):
        dagster.instance.report_runless_asset_event(passed_gate(dagster.instance, name, partition))
    dagster.wait_for_run(dagster.launch_job(train_forest.name))
