"""The trained models: image networks by task and architecture, LightGBM by task, and the isolation forest."""

import os

import dagster as dg
from pydantic import Field

from icecore_dagster.learning.anomaly import ForestConfig
from icecore_dagster.learning.fit import SplitKind, fit_forest, fit_network, fit_trees
from icecore_dagster.learning.models import ModelCard
from icecore_dagster.learning.networks.training import TrainingConfig
from icecore_dagster.learning.trees import TreesConfig
from icecore_dagster.orchestration.assets.identity import OWNERS
from icecore_dagster.orchestration.assets.labelled import synthetic_particles, synthetic_split, synthetic_tensors
from icecore_dagster.orchestration.metadata import energy_facts, metric_facts, numbers, picture, stored_at, table_head
from icecore_dagster.orchestration.partitions import network_of, networks, tasks
from icecore_dagster.orchestration.resources import LaboratoryResource
from icecore_dagster.particles.properties import features_without
from icecore_dagster.reports.learning_figures import (
    anomaly_histogram,
    confusion_figure,
    importance_figure,
    learning_curve_figure,
)

GROUP = "models"
TRAINING_POOL = "training"
"""Trainings queue here; the instance's settings let two of them run side by side."""


def _half_of_the_cores() -> int:
    return max(1, (os.cpu_count() or 2) // 2)


class NetworkConfig(dg.Config):
    """How an image network is trained."""

    epochs: int = Field(default=20, ge=1, description="Passes over the training images at most")
    patience: int = Field(default=5, ge=1, description="Stop after so many epochs without a lower validation loss")
    split: SplitKind = Field(default=SplitKind.BY_RUN, description="By run; by image is the study's, for comparison")
    batch_size: int = Field(default=32, ge=1, description="Images a step")
    balanced: bool = Field(default=False, description="Draw equally many images of each class in every epoch")
    seed: int = Field(default=0, description="Of initial weights, order and random changes")
    threads: int = Field(
        default_factory=_half_of_the_cores, ge=1, description="Cores to use; two models train at a time"
    )


def _leave_out() -> list[str]:
    return Field(
        default=[],
        description="Properties not to learn from, such as Biovolume (Cylinder) where exported and measured data mix",
    )


class GradientBoostingConfig(dg.Config):
    """How LightGBM is trained."""

    split: SplitKind = Field(default=SplitKind.BY_RUN, description="By run; by image is the study's, for comparison")
    balanced: bool = Field(default=False, description="Weigh classes so that each counts the same")
    seed: int = Field(default=0, description="Of the sampling within LightGBM")
    leave_out: list[str] = _leave_out()
    threads: int = Field(
        default_factory=_half_of_the_cores, ge=1, description="Cores to use; two models train at a time"
    )


class IsolationForestConfig(dg.Config):
    """How the isolation forest is grown."""

    trees: int = Field(default=ForestConfig().trees, ge=1, description="Number of trees")
    seed: int = Field(default=0, description="Of the random cuts")
    leave_out: list[str] = _leave_out()


def _model_facts(card: ModelCard) -> dict[str, dg.MetadataValue]:
    return {
        **numbers({"version": card.content_hash[:12], "classes": ", ".join(card.classes) or "dust only"}),
        **numbers({f"learnt from {asset}": version[:12] for asset, version in card.training_data.items()}),
        **numbers({"split": card.split_kind}),
        **energy_facts(card.energy),
    }


@dg.asset(
    deps=[synthetic_split, synthetic_tensors],
    partitions_def=networks,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"torch"},
    code_version="1",
    pool=TRAINING_POOL,
    description="Image networks of the study, one partition a task and architecture, trained on the labelled crops.",
)
def cnn_model(
    context: dg.AssetExecutionContext, config: NetworkConfig, laboratory: LaboratoryResource
) -> dg.MaterializeResult:
    """Train one network for one task."""
    lab, (task, architecture) = laboratory.open(), network_of(context)
    training = TrainingConfig(**config.model_dump(exclude={"split"}))
    fitted = fit_network(lab, task, architecture, training, split=config.split, country=laboratory.country)
    trained = fitted.trained
    return dg.MaterializeResult(
        data_version=dg.DataVersion(fitted.card.content_hash),
        metadata={
            **metric_facts(trained.validation, "validation"),
            **metric_facts(trained.test, "test"),
            **numbers({"epochs": len(trained.history), "best epoch": trained.best_epoch}),
            **_model_facts(fitted.card),
            "learning curve": picture(
                learning_curve_figure(trained.history, trained.best_epoch), "loss and accuracy by epoch"
            ),
            "confusion (test)": picture(
                confusion_figure(trained.test), "true and predicted classes of the test particles"
            ),
            "history": table_head(trained.history, rows=len(trained.history)),
            "folder": stored_at(lab.store.models / "cnn_model" / task / architecture),
        },
    )


@dg.asset(
    deps=[synthetic_particles, synthetic_split],
    partitions_def=tasks,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"lightgbm"},
    code_version="1",
    pool=TRAINING_POOL,
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
            **_model_facts(fitted.card),
            "confusion (test)": picture(
                confusion_figure(trained.test), "true and predicted classes of the test particles"
            ),
            "importance": picture(importance_figure(trained.importance), "gain and split by property"),
            "head": table_head(trained.importance, rows=10),
            "folder": stored_at(lab.store.models / "lightgbm_model" / task),
        },
    )


@dg.asset(
    deps=[synthetic_particles, synthetic_split],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"scikitlearn"},
    code_version="1",
    pool=TRAINING_POOL,
    description="Isolation forest grown on labelled dust alone: the more negative the score, the less like dust.",
)
def isolation_forest(
    context: dg.AssetExecutionContext, config: IsolationForestConfig, laboratory: LaboratoryResource
) -> dg.MaterializeResult:
    """Grow the forest."""
    lab = laboratory.open()
    growing = ForestConfig(**config.model_dump(exclude={"leave_out"}))
    fitted = fit_forest(lab, growing, columns=features_without(config.leave_out), country=laboratory.country)
    separation = fitted.trained.separation
    shown = {"ROC AUC": separation.roc_auc, "average precision": separation.average_precision} if separation else {}
    return dg.MaterializeResult(
        data_version=dg.DataVersion(fitted.card.content_hash),
        metadata={
            **numbers({"dust particles learnt from": fitted.trained.trained_on}),
            **numbers({f"{name}, held-out others against dust": value for name, value in shown.items()}),
            **_model_facts(fitted.card),
            "scores": picture(anomaly_histogram(fitted.scores), "anomaly scores of held-out particles by label"),
            "head": table_head(fitted.scores.groupby("label")["anomaly_score"].describe().reset_index(), rows=10),
            "folder": stored_at(lab.store.models / "isolation_forest"),
        },
    )
