"""How assets are declared: who owns them, and what all assets that train a model have in common."""

import os
from collections.abc import Callable
from typing import Any

import dagster as dg
from pydantic import Field

OWNERS = ["team:ice-core-particles"]
TRAINING_POOL = "training"
"""Trainings queue here; the instance's settings let two of them run side by side."""
MODELS_GROUP = "models"


def model_asset(*, code_version: str = "1", **declared: Any) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Declare an asset that trains a model; what is not said here is `dg.asset`'s own."""
    return dg.asset(group_name=MODELS_GROUP, owners=OWNERS, code_version=code_version, pool=TRAINING_POOL, **declared)


def half_of_the_cores() -> int:
    """Threads for one of two trainings that run side by side."""
    return max(1, (os.cpu_count() or 2) // 2)


def leave_out() -> list[str]:
    """The field of a model's configuration that names properties not to learn from."""
    return Field(
        default=[],
        description="Properties not to learn from, such as Biovolume (Cylinder) where exported and measured data mix",
    )
