"""How the work is cut: ice by core and segment as they are imaged, models by task and architecture.

A cell of cores by segments exists once somebody has imaged it; Dagster's matrix shows the full cross product, so
nothing here may request a cell merely because it is empty.
"""

from dataclasses import dataclass

import dagster as dg

from icecore_dagster.learning.networks.architectures import ARCHITECTURES
from icecore_dagster.particles.labels import TASKS

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

    task: str = "seven_class"
    architecture: str = "A3"

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
    key = context.partition_key
    dimensions = key.keys_by_dimension if isinstance(key, dg.MultiPartitionKey) else dict(_dimensions(key))
    return dimensions["core"], dimensions["segment"]


def _dimensions(key: str) -> list[tuple[str, str]]:
    core, segment = key.split("|", 1)
    return [("core", core), ("segment", segment)]
