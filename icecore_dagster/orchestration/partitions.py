"""How the work is cut: ice by core and segment as they are imaged, models by task and architecture or feature set.

A cell of cores by segments exists once somebody has imaged it; Dagster's matrix shows the full cross product, so
nothing here may request a cell merely because it is empty.
"""

from dataclasses import dataclass

import dagster as dg

from icecore_dagster.learning.anomaly.autoencoders import AUTOENCODERS
from icecore_dagster.learning.features.sets import FEATURE_SETS, ImageFeatures
from icecore_dagster.learning.networks.architectures import ARCHITECTURES
from icecore_dagster.particles.labels import TASKS
from icecore_dagster.scoring.files import DEFAULT_ARCHITECTURE, DEFAULT_FEATURES, DEFAULT_TASK

CORE, SEGMENT = "core", "segment"
cores = dg.DynamicPartitionsDefinition(name=CORE)
segments = dg.DynamicPartitionsDefinition(name=SEGMENT)
cells = dg.MultiPartitionsDefinition({CORE: cores, SEGMENT: segments})

tasks = dg.StaticPartitionsDefinition(list(TASKS))
architectures = dg.StaticPartitionsDefinition(list(ARCHITECTURES))
networks = dg.MultiPartitionsDefinition({"architecture": architectures, "task": tasks})
feature_sets = dg.StaticPartitionsDefinition(list(FEATURE_SETS))
classifiers = dg.MultiPartitionsDefinition({"features": feature_sets, "task": tasks})

autoencoders = dg.StaticPartitionsDefinition(list(AUTOENCODERS))

cells_of_core = dg.MultiToSingleDimensionPartitionMapping(partition_dimension_name="core")


@dataclass(frozen=True)
class ScoredBy:
    """The models that score ice: which task they were trained for, which network, and from what the trees learnt.

    Ice holds contamination, so the task that knows contamination is the default.
    """

    task: str = DEFAULT_TASK
    architecture: str = DEFAULT_ARCHITECTURE
    features: str = DEFAULT_FEATURES

    @property
    def network_key(self) -> dg.MultiPartitionKey:
        """Partition of `cnn_model` that scores."""
        return dg.MultiPartitionKey({"architecture": self.architecture, "task": self.task})

    @property
    def the_network(self) -> dg.SpecificPartitionsPartitionMapping:
        """Mapping from anything to that network alone."""
        return dg.SpecificPartitionsPartitionMapping([str(self.network_key)])

    @property
    def trees_key(self) -> dg.MultiPartitionKey:
        """Partition of `lightgbm_model` that scores."""
        return dg.MultiPartitionKey({"features": self.features, "task": self.task})

    @property
    def the_trees(self) -> dg.SpecificPartitionsPartitionMapping:
        """Mapping from anything to that LightGBM model alone."""
        return dg.SpecificPartitionsPartitionMapping([str(self.trees_key)])

    @property
    def to_learned_features(self) -> dg.MultiPartitionMapping:
        """Mapping from a classifier that learns from a network's features to that network, of the same task."""
        learned = {chosen.key for chosen in FEATURE_SETS.values() if chosen.images is ImageFeatures.LEARNED}
        return dg.MultiPartitionMapping(
            {
                "architecture": dg.DimensionPartitionMapping(
                    "features", dg.StaticPartitionMapping({self.architecture: learned})
                ),
                "task": dg.DimensionPartitionMapping("task", dg.IdentityPartitionMapping()),
            }
        )


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


def classifier_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> tuple[str, str]:
    """Task and feature set that a run is for."""
    dimensions = _dimensions(context.partition_key, ("features", "task"))
    return dimensions["task"], dimensions["features"]


def _dimensions(key: str, names: tuple[str, str]) -> dict[str, str]:
    """The parts of a two-dimensional key, by name; a run from the command line hands it over as plain text."""
    if isinstance(key, dg.MultiPartitionKey):
        return dict(key.keys_by_dimension)
    return dict(zip(names, key.split("|", 1), strict=True))
