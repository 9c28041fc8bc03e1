"""Features of the labelled particles that are not measured: what a network sees that has learnt other images."""

import dagster as dg
from pydantic import Field

from icecore_dagster.learning.features.imagenet import FEATURE_COUNT
from icecore_dagster.learning.features.transfer import keep_transfer_features
from icecore_dagster.orchestration.assets.declare import OWNERS, TRAINING_POOL, half_of_the_cores
from icecore_dagster.orchestration.assets.labelled import GROUP, synthetic_split, synthetic_tensors
from icecore_dagster.orchestration.metadata import Stopwatch, numbers, picture, stored_at, table_head
from icecore_dagster.orchestration.resources import LaboratoryResource
from icecore_dagster.particles.tables.schemas import TRANSFER_FEATURES
from icecore_dagster.reports.figures.maps import map_by_class


class TransferConfig(dg.Config):
    """How the features are computed."""

    threads: int = Field(default_factory=half_of_the_cores, ge=1, description="Cores to use; a training may run beside")
    shown: int = Field(default=3_000, ge=10, description="Particles on the picture at most")


@dg.asset(
    deps=[synthetic_tensors, synthetic_split],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"torch", "parquet"},
    code_version="1",
    pool=TRAINING_POOL,
    description="The labelled crops as EfficientNet-Lite0 sees them, which learnt ImageNet and no particle: 1280 "
    "features each, for the feature sets transfer and properties_transfer.",
)
def transfer_features(
    context: dg.AssetExecutionContext, config: TransferConfig, laboratory: LaboratoryResource
) -> dg.MaterializeResult:
    """Compute and keep the ImageNet features."""
    lab, watch = laboratory.open(), Stopwatch()
    kept = keep_transfer_features(lab, threads=config.threads, shown=config.shown)
    titles = [
        f"Principal component {i} ({100 * share:.0f} % of the variance)" for i, share in enumerate(kept.shares, 1)
    ]
    return dg.MaterializeResult(
        data_version=dg.DataVersion(kept.version),
        metadata={
            "dagster/row_count": kept.particles,
            **numbers({"features": FEATURE_COUNT, "images a second": kept.images_a_second}),
            **watch.facts,
            "picture": picture(
                map_by_class(kept.components, titles=(titles[0], titles[1])),
                "labelled particles on the first two principal components of their ImageNet features",
            ),
            "head": table_head(kept.head),
            "file": stored_at(lab.store.table(TRANSFER_FEATURES.name)),
        },
    )
