"""What runs by itself, and what does not."""

import shutil

import dagster as dg
import pytest

from icecore_dagster.orchestration.schedules import first_are_stale, map_is_stale, unscored_cells
from icecore_dagster.orchestration.sensors import landing_sensor
from icecore_dagster_tests.orchestration.conftest import CORE, vouch_for_models

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("laboratory")]

SCORED = {"segment_crops", "segment_predictions", "segment_anomaly_scores", "segment_embedding"}
ROLLED_UP = {"class_distribution", "anomaly_ranking", "core_report"}


def requested(bench, cursor=None) -> tuple[dict[str, set[str]], object]:
    """Partitions that each asset's condition asks for now, and the cursor for the next look."""
    result = dg.evaluate_automation_conditions(defs=bench.defs, instance=bench.instance, cursor=cursor)
    wanted: dict[str, set[str]] = {}
    for key in bench.defs.resolve_asset_graph().get_all_asset_keys():
        keys = result.get_requested_partitions(key) if result.get_num_requested(key) else set()
        if keys:
            wanted[key.to_user_string()] = {str(k) for k in keys}
    return wanted, result.cursor


def test_a_segment_that_was_read_is_scored_and_no_other(bench):
    _, cursor = requested(bench)
    cell, _ = bench.add_cells(CORE, "0_20", "20_40")
    bench.add_cells("GRIP_3136", "0_20")
    wanted, cursor = requested(bench, cursor)
    assert wanted == {}
    bench.make("segment_particles", partition=cell)
    wanted, cursor = requested(bench, cursor)
    assert {name for name, keys in wanted.items() if keys == {cell}} >= SCORED
    assert all(keys in ({cell}, {CORE}) for keys in wanted.values())


def test_a_bad_segment_gates_itself_alone(bench):
    _, cursor = requested(bench)
    good, bad = bench.add_cells(CORE, "0_20", "20_40")
    listing = bench.lab.landing / f"{CORE}_20_40_1" / f"{CORE}_20_40_1.lst"
    rows = listing.read_text().splitlines()
    head = next(i for i, line in enumerate(rows) if line.startswith("1|"))
    rows[head:] = [f"{line.rsplit('|', 2)[0]}|" if i % 2 else line for i, line in enumerate(rows[head:])]
    listing.write_text("\n".join(rows) + "\n")
    bench.make("segment_particles", partition=good)
    evaluations = bench.make("segment_particles", partition=bad, raise_on_error=False).get_asset_check_evaluations()
    assert {e.check_name for e in evaluations if not e.passed} == {"share_of_rejects"}
    wanted, _ = requested(bench, cursor)
    assert all(wanted[name] == {good} for name in SCORED)


@pytest.mark.parametrize("job", ["process_segment", "score_segment"])
def test_nothing_follows_a_run_that_scores_what_it_makes_even_halfway(bench, job):
    (cell,) = bench.add_cells(CORE, "0_20")
    bench.make("segment_particles", *SCORED, partition=cell)
    bench.make(*ROLLED_UP, partition=CORE)
    _, cursor = requested(bench)
    bench.defs.resolve_job_def(job).execute_in_process(
        instance=bench.instance, partition_key=cell, asset_selection=[dg.AssetKey("segment_crops")]
    )
    wanted, cursor = requested(bench, cursor)
    assert wanted == {}
    bench.make("segment_crops", partition=cell)
    wanted, _ = requested(bench, cursor)
    assert set(wanted) >= SCORED - {"segment_crops"}


def test_a_core_is_rolled_up_once_when_its_segments_are_done(bench):
    _, cursor = requested(bench)
    cell, _ = bench.add_cells(CORE, "0_20", "20_40")
    bench.make("segment_particles", *SCORED, partition=cell)
    wanted, cursor = requested(bench, cursor)
    assert {name: wanted.get(name) for name in ROLLED_UP} == {name: {CORE} for name in ROLLED_UP}
    bench.make(*ROLLED_UP, partition=CORE)
    wanted, cursor = requested(bench, cursor)
    assert wanted == {}


def test_a_new_labelled_map_scores_the_ice_again_but_reads_nothing_again(bench):
    cell, _ = bench.add_cells(CORE, "0_20", "20_40")
    bench.make("segment_particles", *SCORED, partition=cell)
    bench.make(*ROLLED_UP, partition=CORE)
    _, cursor = requested(bench)
    bench.make("synthetic_umap")
    wanted, _ = requested(bench, cursor)
    assert SCORED - {"segment_crops"} <= set(wanted)
    assert not {"segment_particles", "segment_crops"} & set(wanted)


@pytest.mark.parametrize(("models_good", "job"), [(True, "process_segment"), (False, "ingest_segment")])
def test_the_landing_sensor_adds_keys_and_requests_each_segment_once(bench, monkeypatch, models_good, job):
    if models_good:
        vouch_for_models(bench.lab)
    else:
        shutil.rmtree(bench.lab.store.models / "isolation_forest")
    now = [1_000.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    repository = bench.defs.get_repository_def()

    def look(cursor):
        context = dg.build_sensor_context(
            instance=bench.instance, cursor=cursor, repository_def=repository, resources=bench.defs.resources
        )
        now[0] += 60
        return landing_sensor(context)

    first = look(None)
    assert not first.run_requests
    second = look(first.cursor)
    keys = {str(request.partition_key) for request in second.run_requests}
    assert keys == {f"{CORE}|0_20", f"{CORE}|20_40"}
    assert {request.job_name for request in second.run_requests} == {job}
    added = {request.partitions_def_name: set(request.partition_keys) for request in second.dynamic_partitions_requests}
    assert added == {"core": {CORE}, "segment": {"0_20", "20_40"}}
    assert not look(second.cursor).run_requests


def test_the_night_scores_what_was_read_but_not_scored(bench):
    cells = bench.add_cells(CORE, "0_20", "20_40")
    bench.add_cells("GRIP_3136", "0_20")
    assert unscored_cells(bench.instance) == []
    bench.make("segment_particles", partition=cells[0])
    assert unscored_cells(bench.instance) == [cells[0]]
    bench.make(
        "segment_crops", "segment_predictions", "segment_anomaly_scores", "segment_embedding", partition=cells[0]
    )
    assert unscored_cells(bench.instance) == []


def test_the_ice_map_is_renewed_only_after_a_segment_was_added(bench):
    assert not map_is_stale(bench.instance)
    bench.instance.report_runless_asset_event(dg.AssetMaterialization("segment_embedding", partition=f"{CORE}|0_20"))
    assert map_is_stale(bench.instance)
    bench.instance.report_runless_asset_event(dg.AssetMaterialization("ice_umap"))
    assert not map_is_stale(bench.instance)


def test_the_first_anomalies_are_renewed_only_after_a_core_was_ranked(bench):
    assert not first_are_stale(bench.instance)
    bench.instance.report_runless_asset_event(dg.AssetMaterialization("anomaly_ranking", partition=CORE))
    assert first_are_stale(bench.instance)
    bench.instance.report_runless_asset_event(dg.AssetMaterialization("first_anomalies"))
    assert not first_are_stale(bench.instance)
