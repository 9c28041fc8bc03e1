"""Classifiers that learn from measured properties, one partition a task."""

import dagster as dg
from pydantic import Field

from icecore_dagster.learning.labelled_set import SplitKind
from icecore_dagster.learning.trees.boosting import TreesConfig
from icecore_dagster.learning.trees.fit import fit_trees
from icecore_dagster.orchestration.assets.declare import half_of_the_cores, leave_out, model_asset
from icecore_dagster.orchestration.assets.labelled import synthetic_particles, synthetic_split
from icecore_dagster.orchestration.metadata import metric_facts, model_facts, numbers, picture, stored_at, table_head
from icecore_dagster.orchestration.partitions import tasks
from icecore_dagster.orchestration.resources import LaboratoryResource
from icecore_dagster.particles.properties import features_without
from icecore_dagster.reports.learning_figures import confusion_figure, importance_figure


class GradientBoostingConfig(dg.Config):
    """How LightGBM is trained."""

    split: SplitKind = Field(default=SplitKind.BY_RUN, description="By run; by image is the study's, for comparison")
    balanced: bool = Field(default=False, description="Weigh classes so that each counts the same")
    seed: int = Field(default=0, description="Of the sampling within LightGBM")
    leave_out: list[str] = leave_out()
    threads: int = Field(
        default_factory=half_of_the_cores, ge=1, description="Cores to use; two models train at a time"
    )


@model_asset(
    deps=[synthetic_particles, synthetic_split],
    partitions_def=tasks,
    kinds={"lightgbm"},
    description="LightGBM on the 34 FlowCam properties, one partition a task.",
)
def lightgbm_model(
    context: dg.AssetExecutionContext, config: GradientBoostingConfig, laboratory: LaboratoryResource
) -> dg.MaterializeResult:
    """Train LightGBM for one task."""
    lab, task = laboratory.open(), context.partition_key
    growing = TreesConfig(**config.model_dump(exclude={"split", "leave_out"}))
    columns = features_without(config.leave_out)
    fitted = fit_trees(lab, task, growing, columns=columns, split=config.split, country=laboratory.country)
    trained = fitted.trained
    return dg.MaterializeResult(
        data_version=dg.DataVersion(fitted.card.content_hash),
        metadata={
            **metric_facts(trained.validation, "validation"),
            **metric_facts(trained.test, "test"),
            **numbers({"rounds": trained.best_round}),
            **model_facts(fitted.card),
            "confusion (test)": picture(
                confusion_figure(trained.test), "true and predicted classes of the test particles"
            ),
            "importance": picture(importance_figure(trained.importance), "gain and split by property"),
            "head": table_head(trained.importance, rows=10),
            "folder": stored_at(lab.store.models / "lightgbm_model" / task),
        },
    )
