"""How the work is cut: ice by core and segment as they are imaged, models by task and architecture.

A cell of cores by segments exists once somebody has imaged it; Dagster's matrix shows the full cross product, so
nothing here may request a cell merely because it is empty.
"""

from dataclasses import dataclass

import dagster as dg

from icecore_dagster.learning.networks.architectures import ARCHITECTURES
from icecore_dagster.particles.labels import TASKS
from icecore_dagster.scoring.files import DEFAULT_ARCHITECTURE, DEFAULT_TASK

CORE, SEGMENT = "core", "segment"
cores = dg.DynamicPartitionsDefinition(name=CORE)
segments = dg.DynamicPartitionsDefinition(name=SEGMENT)
cells = dg.MultiPartitionsDefinition({CORE: cores, SEGMENT: segments})

tasks = dg.StaticPartitionsDefinition(list(TASKS))
architectures = dg.StaticPartitionsDefinition(list(ARCHITECTURES))
networks = dg.MultiPartitionsDefinition({"architecture": architectures, "task": tasks})

cells_of_core = dg.MultiToSingleDimensionPartitionMapping(partition_dimension_name="core")


@dataclass(frozen=True)
class ScoredBy:
    """The models that score ice: which task they were trained for, and which network.

    Ice holds contamination, so the task that knows contamination is the default.
    """

    task: str = DEFAULT_TASK
    architecture: str = DEFAULT_ARCHITECTURE

    @property
    def network_key(self) -> dg.MultiPartitionKey:
        """Partition of `cnn_model` that scores."""
        return dg.MultiPartitionKey({"architecture": self.architecture, "task": self.task})

    @property
    def the_network(self) -> dg.SpecificPartitionsPartitionMapping:
        """Mapping from anything to that network alone."""
        return dg.SpecificPartitionsPartitionMapping([str(self.network_key)])

    @property
    def the_trees(self) -> dg.SpecificPartitionsPartitionMapping:
        """Mapping from anything to the LightGBM model of the task alone."""
        return dg.SpecificPartitionsPartitionMapping([self.task])


SCORED_BY = ScoredBy()


def cell_key(core: str, segment: str) -> dg.MultiPartitionKey:
    """The partition of one segment of one core."""
    return dg.MultiPartitionKey({"core": core, "segment": segment})


def cell_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> tuple[str, str]:
    """Core and segment that a run is for."""
    dimensions = _dimensions(context.partition_key, (CORE, SEGMENT))
    return dimensions[CORE], dimensions[SEGMENT]


def network_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> tuple[str, str]:
    """Task and architecture that a run is for."""
    dimensions = _dimensions(context.partition_key, ("architecture", "task"))
    return dimensions["task"], dimensions["architecture"]


def _dimensions(key: str, names: tuple[str, str]) -> dict[str, str]:
    """The parts of a two-dimensional key, by name; a run from the command line hands it over as plain text."""
    if isinstance(key, dg.MultiPartitionKey):
        return dict(key.keys_by_dimension)
    return dict(zip(names, key.split("|", 1), strict=True))
