"""What Dagster watches: the landing folder, and the automation conditions of the assets."""

import time

import dagster as dg

from icecore_dagster.orchestration.arrivals import Memory, Patience, decide
from icecore_dagster.orchestration.jobs import ingest_segment
from icecore_dagster.orchestration.partitions import cell_key, cores, segments
from icecore_dagster.orchestration.resources import LaboratoryResource

SECONDS_BETWEEN_LOOKS = 15


@dg.sensor(
    job=ingest_segment,
    minimum_interval_seconds=SECONDS_BETWEEN_LOOKS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Takes runs from the landing folder once they lie still and are complete, and reads exactly the "
    "segments that are new or whose bytes have changed.",
)
def landing_sensor(context: dg.SensorEvaluationContext, laboratory: LaboratoryResource) -> dg.SensorResult:
    """Request the cells that `arrivals.decide` names, with their partition keys."""
    memory = Memory.model_validate_json(context.cursor) if context.cursor else Memory()
    decision = decide(laboratory.open().landing, memory, Patience(), time.time)
    for note in decision.notes:
        context.log.info(note)
    requests = [
        dg.RunRequest(
            run_key=request.key,
            partition_key=cell_key(request.core, request.segment),
            tags={"icecore/runs": ", ".join(request.runs), "icecore/fingerprint": request.fingerprint[:16]},
        )
        for request in decision.requests
    ]
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else "; ".join(decision.notes) or "nothing new in the landing folder",
        cursor=decision.memory.model_dump_json(),
        dynamic_partitions_requests=[
            cores.build_add_request(sorted({r.core for r in decision.requests})),
            segments.build_add_request(sorted({r.segment for r in decision.requests})),
        ]
        if requests
        else [],
    )


automation_sensor = dg.AutomationConditionSensorDefinition(
    "automation_sensor",
    target=dg.AssetSelection.all(),
    minimum_interval_seconds=SECONDS_BETWEEN_LOOKS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Scores a segment when it has been read, and renews a core's report when a segment was scored.",
)

SENSORS = (landing_sensor, automation_sensor)
