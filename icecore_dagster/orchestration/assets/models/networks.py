"""The image networks, one partition a task and architecture, and which of them is best."""

import dagster as dg
from pydantic import Field

from icecore_dagster.learning.labelled_set import SplitKind
from icecore_dagster.learning.networks.fit import fit_network
from icecore_dagster.learning.networks.leaderboard import DecidedBy, keep_leaderboard
from icecore_dagster.learning.networks.training import Precision, TrainingConfig
from icecore_dagster.learning.search.configuration import training_with
from icecore_dagster.orchestration.assets.declare import MODELS_GROUP, OWNERS, half_of_the_cores, model_asset
from icecore_dagster.orchestration.assets.labelled import synthetic_split, synthetic_tensors
from icecore_dagster.orchestration.metadata import (
    Stopwatch,
    metric_facts,
    model_facts,
    numbers,
    picture,
    stored_at,
    table_head,
)
from icecore_dagster.orchestration.partitions import network_of, networks
from icecore_dagster.orchestration.resources import LaboratoryResource
from icecore_dagster.particles.tables.schemas import NETWORK_LEADERBOARD
from icecore_dagster.reports.figures.models.learning import confusion_figure, learning_curve_figure
from icecore_dagster.reports.figures.models.networks import (
    feature_maps_figure,
    filters_figure,
    leaderboard_figure,
    readable_leaderboard,
)


class NetworkConfig(dg.Config):
    """How an image network is trained."""

    epochs: int = Field(default=20, ge=1, description="Passes over the training images at most")
    patience: int = Field(default=5, ge=1, description="Stop after so many epochs without a lower validation loss")
    split: SplitKind = Field(default=SplitKind.BY_RUN, description="By run; by image is the study's, for comparison")
    configuration: str = Field(
        default="", description="Name of a searched configuration whose constants replace those below; empty for none"
    )
    learning_rate: float | None = Field(
        default=None, gt=0, description="Of Adam, the highest one of a cycle; by default the network's own"
    )
    cycle: bool | None = Field(
        default=None,
        description="Let the learning rate rise and fall once over all epochs; by default as the network says",
    )
    batch_size: int = Field(default=32, ge=1, description="Images a step")
    balanced: bool = Field(
        default=True,
        description="Draw equally many images of each class in every epoch: ice holds other shares",
    )
    seed: int = Field(default=0, description="Of initial weights, order and random changes")
    threads: int = Field(
        default_factory=half_of_the_cores, ge=1, description="Cores to use; two models train at a time"
    )
    precision: Precision = Field(
        default="auto", description="Of the products in a step; auto takes bfloat16 where the processor computes in it"
    )


@model_asset(
    deps=[synthetic_split, synthetic_tensors],
    partitions_def=networks,
    kinds={"torch"},
    code_version="4",
    description="Image networks of the study, and hybrids that read the FlowCam properties too, one partition a task "
    "and architecture, trained on the labelled particles.",
)
def cnn_model(
    context: dg.AssetExecutionContext, config: NetworkConfig, laboratory: LaboratoryResource
) -> dg.MaterializeResult:
    """Train one network for one task."""
    lab, (task, architecture) = laboratory.open(), network_of(context)
    asked = TrainingConfig(**config.model_dump(exclude={"split", "configuration"}))
    training = training_with(lab, config.configuration, architecture, asked)
    fitted = fit_network(lab, task, architecture, training, split=config.split, country=laboratory.country)
    trained = fitted.trained
    return dg.MaterializeResult(
        data_version=dg.DataVersion(fitted.card.content_hash),
        metadata={
            **metric_facts(trained.validation, "validation"),
            **metric_facts(trained.test, "test"),
            **numbers({"epochs": len(trained.history), "best epoch": trained.best_epoch}),
            **numbers({"configuration": config.configuration or "as asked for"}),
            **numbers({"start weights": trained.start, "properties": len(trained.features)}),
            **model_facts(fitted.card),
            "learning curve": picture(
                learning_curve_figure(trained.history, trained.best_epoch), "loss and accuracy by epoch"
            ),
            "confusion (test)": picture(
                confusion_figure(trained.test), "true and predicted classes of the test particles"
            ),
            "filters": picture(filters_figure(fitted.inside.filters), "weights of the first convolutions"),
            "feature maps": picture(
                feature_maps_figure(fitted.inside.examples, fitted.inside.maps),
                "what the first convolutions give for one particle of each class",
            ),
            "history": table_head(trained.history, rows=len(trained.history)),
            "folder": stored_at(lab.store.models / "cnn_model" / task / architecture),
        },
    )


class LeaderboardConfig(dg.Config):
    """How the best network of a task is chosen."""

    decided_by: DecidedBy = Field(
        default=DecidedBy.BALANCED_ACCURACY, description="The figure on the validation particles that decides"
    )


@dg.asset(
    deps=[dg.AssetDep(cnn_model, partition_mapping=dg.AllPartitionMapping())],
    group_name=MODELS_GROUP,
    owners=OWNERS,
    kinds={"parquet"},
    code_version="1",
    description="All saved image networks side by side, the best of each task marked by its validation particles; the "
    "test figures are those of the best alone.",
)
def network_leaderboard(
    context: dg.AssetExecutionContext, config: LeaderboardConfig, laboratory: LaboratoryResource
) -> dg.MaterializeResult:
    """Compare the networks."""
    lab, watch = laboratory.open(), Stopwatch()
    table = keep_leaderboard(lab, config.decided_by)
    best = table[table["best"]]
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(table),
            **numbers({f"best for {task}": key for task, key in zip(best["task"], best["architecture"], strict=True)}),
            **watch.facts,
            "networks": picture(leaderboard_figure(table), "every network's figures with 95 % intervals, by task"),
            "head": table_head(readable_leaderboard(table), rows=len(table)),
            "file": stored_at(lab.store.table(NETWORK_LEADERBOARD.name)),
        }
    )
