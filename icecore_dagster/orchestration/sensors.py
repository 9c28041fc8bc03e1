"""What Dagster watches: the landing folder, and the automation conditions of the assets."""

import time

import dagster as dg

from icecore_dagster.orchestration.arrivals import Memory, Patience, decide
from icecore_dagster.orchestration.jobs import ingest_segment, process_segment
from icecore_dagster.orchestration.partitions import SCORED_BY, cell_key, cores, segments
from icecore_dagster.orchestration.resources import LaboratoryResource
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.scoring.readiness import why_not_ready

SECONDS_BETWEEN_LOOKS = 15


@dg.sensor(
    jobs=[ingest_segment, process_segment],
    minimum_interval_seconds=SECONDS_BETWEEN_LOOKS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Takes runs from the landing folder once they lie still and are complete, and reads exactly the "
    "segments that are new or whose bytes have changed; scores them in the same run if the models are there.",
)
def landing_sensor(context: dg.SensorEvaluationContext, laboratory: LaboratoryResource) -> dg.SensorResult:
    """Request the cells that `arrivals.decide` names, with their partition keys."""
    memory = Memory.model_validate_json(context.cursor) if context.cursor else Memory()
    lab = laboratory.open()
    decision = decide(lab.landing, memory, Patience(), time.time)
    for note in decision.notes:
        context.log.info(note)
    job = _job_for_new_segments(context, lab) if decision.requests else ""
    requests = [
        dg.RunRequest(
            run_key=request.key,
            job_name=job,
            partition_key=cell_key(request.core, request.segment),
            tags={
                "icecore/runs": ", ".join(request.runs),
                "icecore/fingerprint": request.fingerprint[:16],
            },
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


def _job_for_new_segments(context: dg.SensorEvaluationContext, lab: Laboratory) -> str:
    """Read and score in one run where the models are there; else only read, and the automation scores later."""
    obstacle = why_not_ready(lab.store.models, SCORED_BY.task, SCORED_BY.architecture, SCORED_BY.features)
    if obstacle:
        context.log.info(f"segments are read, but not scored yet: {obstacle}")
    return (ingest_segment if obstacle else process_segment).name


automation_sensor = dg.AutomationConditionSensorDefinition(
    "automation_sensor",
    target=dg.AssetSelection.all(),
    minimum_interval_seconds=SECONDS_BETWEEN_LOOKS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Scores a segment when it has been read, and renews a core's report when a segment was scored.",
)

SENSORS = (landing_sensor, automation_sensor)
