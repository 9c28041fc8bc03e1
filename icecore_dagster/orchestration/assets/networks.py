"""The image networks, one partition a task and architecture."""

import dagster as dg
from pydantic import Field

from icecore_dagster.learning.labelled_set import SplitKind
from icecore_dagster.learning.networks.fit import fit_network
from icecore_dagster.learning.networks.training import TrainingConfig
from icecore_dagster.orchestration.assets.declare import half_of_the_cores, model_asset
from icecore_dagster.orchestration.assets.labelled import synthetic_split, synthetic_tensors
from icecore_dagster.orchestration.metadata import metric_facts, model_facts, numbers, picture, stored_at, table_head
from icecore_dagster.orchestration.partitions import network_of, networks
from icecore_dagster.orchestration.resources import LaboratoryResource
from icecore_dagster.reports.learning_figures import confusion_figure, learning_curve_figure


class NetworkConfig(dg.Config):
    """How an image network is trained."""

    epochs: int = Field(default=20, ge=1, description="Passes over the training images at most")
    patience: int = Field(default=5, ge=1, description="Stop after so many epochs without a lower validation loss")
    split: SplitKind = Field(default=SplitKind.BY_RUN, description="By run; by image is the study's, for comparison")
    batch_size: int = Field(default=32, ge=1, description="Images a step")
    balanced: bool = Field(default=False, description="Draw equally many images of each class in every epoch")
    seed: int = Field(default=0, description="Of initial weights, order and random changes")
    threads: int = Field(
        default_factory=half_of_the_cores, ge=1, description="Cores to use; two models train at a time"
    )


@model_asset(
    deps=[synthetic_split, synthetic_tensors],
    partitions_def=networks,
    kinds={"torch"},
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
            **model_facts(fitted.card),
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
