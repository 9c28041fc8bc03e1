"""With Dagster's real daemon and queue: a run that lands is reported by itself; one core is backfilled and no other."""

import shutil
import time

import dagster as dg
import pytest

from icecore_dagster.orchestration.conducting.conductor import (
    Conductor,
    bury_dead_runs,
    conductor,
    daemon_is_running,
    prepare_home,
)
from icecore_dagster.orchestration.jobs import CORE_ASSETS, SEGMENT_ASSETS
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.simulation.laboratory import simulate_ice
from icecore_dagster_tests.orchestration.conftest import CORE, record_models, vouch_for_models

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
    vouch_for_models(lab)
    return lab


def test_from_landing_to_report_and_backfill_of_one_core_alone(laboratory, trained):
    prepare_home(laboratory)
    with dg.DagsterInstance.get() as instance:
        record_models(instance)
    with conductor(laboratory) as dagster:
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
        runs_of_cells = [key for keys in made_by_run(dagster).values() for key in keys if key.endswith("|0_20")]
        jobs = [run.job_name for run in dagster.instance.get_runs()]
        assert sorted(runs_of_cells) == [f"{CORE}|0_20", "GRIP_3136|0_20"], (
            f"one run reads and scores a segment: {jobs}"
        )
        backfill = dagster.launch_backfill(SEGMENT_ASSETS, [f"{CORE}|0_20"], "one core again")
        dagster.wait_for_backfills([backfill])
        wait_until(lambda: not dagster.is_busy(), 120)
        touched = {key for run, keys in made_by_run(dagster).items() if run not in before for key in keys}
        assert f"{CORE}|0_20" in touched
        assert touched <= {f"{CORE}|0_20", CORE}
    for core in (CORE, "GRIP_3136"):
        assert laboratory.store.report(f"{core}.html").exists()


def test_runs_that_died_with_the_computer_are_buried(tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setenv("ICECORE_DATA", "")
    prepare_home(Laboratory.at(tmp_path / "data"))
    with dg.DagsterInstance.get() as instance:
        assert not daemon_is_running(instance)
        going_on = instance.add_run(dg.DagsterRun("train_forest", status=dg.DagsterRunStatus.STARTED))
        waiting = instance.add_run(dg.DagsterRun("train_forest", status=dg.DagsterRunStatus.NOT_STARTED))
        assert bury_dead_runs(instance) == 1
        assert instance.get_run_by_id(going_on.run_id).status is dg.DagsterRunStatus.FAILURE
        assert instance.get_run_by_id(waiting.run_id).status is dg.DagsterRunStatus.NOT_STARTED
