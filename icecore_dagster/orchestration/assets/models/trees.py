"""Classifiers that learn from a table of features, one partition a task and feature set."""

import dagster as dg
from pydantic import Field

from icecore_dagster.learning.dense.fit import fit_dense
from icecore_dagster.learning.dense.training import DenseConfig
from icecore_dagster.learning.labelled_set import SplitKind
from icecore_dagster.learning.trees.boosting import Loss, TreesConfig
from icecore_dagster.learning.trees.explanation import Explanation
from icecore_dagster.learning.trees.fit import fit_trees
from icecore_dagster.orchestration.assets.declare import half_of_the_cores, leave_out, model_asset
from icecore_dagster.orchestration.assets.labelled import synthetic_particles, synthetic_split
from icecore_dagster.orchestration.assets.models.features import transfer_features
from icecore_dagster.orchestration.assets.models.networks import cnn_model
from icecore_dagster.orchestration.metadata import metric_facts, model_facts, numbers, picture, stored_at, table_head
from icecore_dagster.orchestration.partitions import SCORED_BY, classifier_of, classifiers
from icecore_dagster.orchestration.resources import LaboratoryResource
from icecore_dagster.reports.figures.models.learning import confusion_figure, learning_curve_figure
from icecore_dagster.reports.figures.models.trees import importance_figure, influence_figure, swarm_figure

_LEARNT_FROM = [
    synthetic_particles,
    synthetic_split,
    transfer_features,
    dg.AssetDep(cnn_model, partition_mapping=SCORED_BY.to_learned_features),
]
"""Lineage of every feature set together; a partition reads what its own set is made of."""


class GradientBoostingConfig(dg.Config):
    """How LightGBM is trained."""

    split: SplitKind = Field(default=SplitKind.BY_RUN, description="By run; by image is the study's, for comparison")
    loss: Loss = Field(
        default=Loss.CROSS_ENTROPY,
        description="What is made small: cross-entropy, or the focal loss of each class against the rest "
        "(alpha 0.75, gamma 2), which counts hard particles more",
    )
    balanced: bool = Field(
        default=True,
        description="Weigh classes so that each counts the same: ice holds other shares",
    )
    seed: int = Field(default=0, description="Of the sampling within LightGBM")
    leave_out: list[str] = leave_out()
    threads: int = Field(
        default_factory=half_of_the_cores, ge=1, description="Cores to use; two models train at a time"
    )


@model_asset(
    deps=_LEARNT_FROM,
    partitions_def=classifiers,
    kinds={"lightgbm"},
    code_version="2",
    description="LightGBM on the 34 FlowCam properties or another feature set, one partition a task and set.",
)
def lightgbm_model(
    context: dg.AssetExecutionContext, config: GradientBoostingConfig, laboratory: LaboratoryResource
) -> dg.MaterializeResult:
    """Train LightGBM for one task on one feature set."""
    lab, (task, features) = laboratory.open(), classifier_of(context)
    fitted = fit_trees(
        lab,
        task,
        TreesConfig(**config.model_dump(exclude={"split", "leave_out"})),
        features=features,
        architecture=SCORED_BY.architecture,
        left_out=config.leave_out,
        split=config.split,
        country=laboratory.country,
    )
    trained = fitted.trained
    return dg.MaterializeResult(
        data_version=dg.DataVersion(fitted.card.content_hash),
        metadata={
            **metric_facts(trained.validation, "validation"),
            **metric_facts(trained.test, "test"),
            **numbers({"rounds": trained.best_round, "features": len(trained.features)}),
            **model_facts(fitted.card),
            "confusion (test)": picture(
                confusion_figure(trained.test), "true and predicted classes of the test particles"
            ),
            "importance": picture(importance_figure(trained.importance), "gain and split by feature"),
            **(_explained(fitted.explanation) if fitted.explanation else {}),
            "head": table_head(trained.importance, rows=10),
            "folder": stored_at(lab.store.models / "lightgbm_model" / task / features),
        },
    )


def _explained(explanation: Explanation) -> dict[str, dg.MetadataValue]:
    return {
        "SHAP summary": picture(influence_figure(explanation), "mean SHAP values by property and class"),
        "SHAP by class": picture(swarm_figure(explanation), "SHAP values of test particles by property and class"),
    }


class DenseNetworkConfig(dg.Config):
    """How the dense network is built and trained."""

    hidden: list[int] = Field(default=list(DenseConfig().hidden), description="Units of each hidden layer")
    dropout: float = Field(default=DenseConfig().dropout, ge=0, lt=1, description="Share dropped after each of them")
    epochs: int = Field(default=DenseConfig().epochs, ge=1, description="Passes over the training particles at most")
    patience: int = Field(
        default=DenseConfig().patience, ge=1, description="Stop after so many epochs without a lower validation loss"
    )
    learning_rate: float = Field(default=DenseConfig().learning_rate, gt=0, description="Of Adam")
    batch_size: int = Field(default=DenseConfig().batch_size, ge=2, description="Particles a step")
    split: SplitKind = Field(default=SplitKind.BY_RUN, description="By run; by image is the study's, for comparison")
    balanced: bool = Field(
        default=True,
        description="Weigh classes so that each counts the same: ice holds other shares",
    )
    seed: int = Field(default=0, description="Of initial weights, order and dropout")
    leave_out: list[str] = leave_out()
    threads: int = Field(
        default_factory=half_of_the_cores, ge=1, description="Cores to use; two models train at a time"
    )


@model_asset(
    deps=_LEARNT_FROM,
    partitions_def=classifiers,
    kinds={"torch"},
    description="Dense feed-forward network on the 34 FlowCam properties or another feature set, its scaler inside.",
)
def dense_model(
    context: dg.AssetExecutionContext, config: DenseNetworkConfig, laboratory: LaboratoryResource
) -> dg.MaterializeResult:
    """Train a dense network for one task on one feature set."""
    lab, (task, features) = laboratory.open(), classifier_of(context)
    told = config.model_dump(exclude={"split", "leave_out", "hidden"})
    fitted = fit_dense(
        lab,
        task,
        DenseConfig(hidden=tuple(config.hidden), **told),
        features=features,
        architecture=SCORED_BY.architecture,
        left_out=config.leave_out,
        split=config.split,
        country=laboratory.country,
    )
    trained = fitted.trained
    return dg.MaterializeResult(
        data_version=dg.DataVersion(fitted.card.content_hash),
        metadata={
            **metric_facts(trained.validation, "validation"),
            **metric_facts(trained.test, "test"),
            **numbers({"epochs": len(trained.history), "best epoch": trained.best_epoch}),
            **numbers({"features": len(trained.features)}),
            **model_facts(fitted.card),
            "learning curve": picture(
                learning_curve_figure(trained.history, trained.best_epoch), "loss and accuracy by epoch"
            ),
            "confusion (test)": picture(
                confusion_figure(trained.test), "true and predicted classes of the test particles"
            ),
            "history": table_head(trained.history, rows=len(trained.history)),
            "folder": stored_at(lab.store.models / "dense_model" / task / features),
        },
    )
