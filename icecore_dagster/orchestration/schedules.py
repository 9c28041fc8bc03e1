"""What happens by the clock: at night, whatever was read but not scored is scored, and the ice map is renewed."""

from collections.abc import Iterator

import dagster as dg

from icecore_dagster.orchestration.checks import SEGMENT_CHECKS
from icecore_dagster.orchestration.jobs import SEGMENT_SCORES, map_ice, score_segment

READ, MAP = dg.AssetKey("segment_particles"), dg.AssetKey("ice_umap")


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
    embedded = instance.get_latest_materialization_event(dg.AssetKey("segment_embedding"))
    mapped = instance.get_latest_materialization_event(MAP)
    return embedded is not None and (mapped is None or mapped.timestamp < embedded.timestamp)


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


SCHEDULES = (nightly_scoring, nightly_map)
