"""What Dagster loads: every asset, check, job, sensor and schedule, over one laboratory."""

import importlib
import os
from typing import Any

import dagster as dg

from icecore_dagster.orchestration.assets import cores, ice, labelled, ledger, maps, scores, study
from icecore_dagster.orchestration.assets.models import anomaly, features, few_labels, networks, search, trees
from icecore_dagster.orchestration.checks import CHECKS
from icecore_dagster.orchestration.jobs import JOBS
from icecore_dagster.orchestration.resources import LaboratoryResource
from icecore_dagster.orchestration.schedules import SCHEDULES
from icecore_dagster.orchestration.sensors import SENSORS
from icecore_dagster.particles.laboratory import STORAGE_VARIABLE, Laboratory

EXECUTOR_VARIABLE = "ICECORE_EXECUTOR"


def _executor() -> dg.ExecutorDefinition:
    """The executor that `ICECORE_EXECUTOR` names as `module:attribute`; by default steps run in the run's own process.

    One process a run is the fastest on one computer: each further process would import the numerical libraries again.
    """
    named = os.environ.get(EXECUTOR_VARIABLE)
    if not named:
        return dg.in_process_executor
    module, _, attribute = named.partition(":")
    executor = getattr(importlib.import_module(module), attribute, None)
    if not isinstance(executor, dg.ExecutorDefinition):
        raise ValueError(f"{EXECUTOR_VARIABLE}={named}: not an executor; name one as dagster:multiprocess_executor")
    return executor


def build_defs(resource_overrides: dict[str, Any] | None = None) -> dg.Definitions:
    """Assemble the project; tests and other deployments hand in resources of their own."""
    resources = {
        "laboratory": LaboratoryResource(
            data=str(Laboratory.from_environment().data), storage=os.environ.get(STORAGE_VARIABLE, "")
        ),
        **(resource_overrides or {}),
    }
    return dg.Definitions(
        assets=dg.load_assets_from_modules(
            [labelled, features, networks, trees, anomaly, few_labels, maps, ice, scores, cores, ledger, search, study]
        ),
        asset_checks=list(CHECKS),
        jobs=list(JOBS),
        sensors=list(SENSORS),
        schedules=list(SCHEDULES),
        resources=resources,
        executor=_executor(),
    )


defs = build_defs()
