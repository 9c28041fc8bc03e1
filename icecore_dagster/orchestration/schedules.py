"""What happens by the clock: at night, what was read is scored, and what shows all cores together is renewed."""

from collections.abc import Iterator

import dagster as dg

from icecore_dagster.orchestration.checks import SEGMENT_CHECKS
from icecore_dagster.orchestration.jobs import SEGMENT_SCORES, map_ice, score_segment, show_first

READ, MAP, FIRST = dg.AssetKey("segment_particles"), dg.AssetKey("ice_umap"), dg.AssetKey("first_anomalies")


def unscored_cells(instance: dg.DagsterInstance) -> list[str]:
    """Cells that have been read and passed their checks, but lack one of the scores.

    Only cells that somebody imaged are ever in this list, whatever the matrix of partitions shows.
    """
    read = set(instance.get_materialized_partitions(READ))
    scored = read.intersection(*(instance.get_materialized_partitions(dg.AssetKey(name)) for name in SEGMENT_SCORES))
    return sorted(read - scored - _gated_cells(instance))


def _gated_cells(instance: dg.DagsterInstance) -> set[str]:
    """Cells whose latest result of some blocking check is a failure."""
    keys = [dg.AssetCheckKey(READ, name) for name in SEGMENT_CHECKS]
    infos = instance.event_log_storage.get_asset_check_partition_info(keys)
    return {
        info.partition_key for info in infos if info.partition_key and info.latest_execution_status.value == "FAILED"
    }


def map_is_stale(instance: dg.DagsterInstance) -> bool:
    """Whether a segment was embedded after the ice map was last made."""
    return _is_behind(instance, MAP, dg.AssetKey("segment_embedding"))


def first_are_stale(instance: dg.DagsterInstance) -> bool:
    """Whether a core was ranked after the first anomalies of all cores were last shown."""
    return _is_behind(instance, FIRST, dg.AssetKey("anomaly_ranking"))


def _is_behind(instance: dg.DagsterInstance, asset: dg.AssetKey, source: dg.AssetKey) -> bool:
    """Whether some partition of a source was made after an asset was last made from it."""
    made, new = (instance.get_latest_materialization_event(key) for key in (asset, source))
    return new is not None and (made is None or made.timestamp < new.timestamp)


@dg.schedule(
    cron_schedule="0 2 * * *",
    job=score_segment,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="At 02:00, score the segments that were read and found sound, but not scored.",
)
def nightly_scoring(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """Request each unscored cell."""
    night = context.scheduled_execution_time.date().isoformat()
    for cell in unscored_cells(context.instance):
        yield dg.RunRequest(run_key=f"{night}:{cell}", partition_key=cell)


@dg.schedule(
    cron_schedule="0 5 * * *",
    job=map_ice,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="At 05:00, renew the map of all ice if segments were added to it.",
)
def nightly_map(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """Request the ice map if it is stale."""
    if map_is_stale(context.instance):
        yield dg.RunRequest(run_key=context.scheduled_execution_time.date().isoformat())


@dg.schedule(
    cron_schedule="30 5 * * *",
    job=show_first,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="At 05:30, show the first anomalies of all cores anew if a core was ranked.",
)
def nightly_first(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """Request the first anomalies if they are stale."""
    if first_are_stale(context.instance):
        yield dg.RunRequest(run_key=context.scheduled_execution_time.date().isoformat())


SCHEDULES = (nightly_scoring, nightly_map, nightly_first)
