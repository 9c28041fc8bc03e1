"""Models of what is ordinary, by which the anomalous is found."""

import dagster as dg
from pydantic import Field

from icecore_dagster.learning.anomaly.augmentation import AugmentationConfig, measure_augmentation
from icecore_dagster.learning.anomaly.fit import fit_autoencoder, fit_forest
from icecore_dagster.learning.anomaly.forest import ForestConfig
from icecore_dagster.learning.anomaly.reconstruction import AutoencoderConfig
from icecore_dagster.learning.anomaly.separation import Separation
from icecore_dagster.learning.anomaly.strangers import STRANGERS
from icecore_dagster.learning.labelled_set import SplitKind
from icecore_dagster.orchestration.assets.declare import half_of_the_cores, leave_out, model_asset
from icecore_dagster.orchestration.assets.labelled import synthetic_particles, synthetic_split, synthetic_tensors
from icecore_dagster.orchestration.metadata import (
    energy_facts,
    metric_facts,
    model_facts,
    numbers,
    picture,
    stored_at,
    table_head,
)
from icecore_dagster.orchestration.partitions import autoencoders
from icecore_dagster.orchestration.resources import LaboratoryResource
from icecore_dagster.particles.properties import features_without
from icecore_dagster.reports.figures.anomaly import (
    augmentation_figure,
    code_map,
    error_histogram,
    loss_figure,
    reconstruction_figure,
    separation_figure,
)
from icecore_dagster.reports.figures.models.learning import anomaly_histogram


def _strangers() -> int:
    return Field(
        default=STRANGERS,
        ge=1,
        description="Particles of no known class that are drawn to see whether the model finds them anomalous",
    )


class IsolationForestConfig(dg.Config):
    """How the isolation forest is grown."""

    trees: int = Field(default=ForestConfig().trees, ge=1, description="Number of trees")
    seed: int = Field(default=0, description="Of the random cuts")
    strangers: int = _strangers()
    leave_out: list[str] = leave_out()


@model_asset(
    deps=[synthetic_particles, synthetic_split],
    kinds={"scikitlearn"},
    description="Isolation forest grown on labelled dust alone: the more negative the score, the less like dust.",
)
def isolation_forest(
    context: dg.AssetExecutionContext, config: IsolationForestConfig, laboratory: LaboratoryResource
) -> dg.MaterializeResult:
    """Grow the forest."""
    lab = laboratory.open()
    growing = ForestConfig(**config.model_dump(exclude={"leave_out", "strangers"}))
    columns = features_without(config.leave_out)
    fitted = fit_forest(lab, growing, columns=columns, strangers=config.strangers, country=laboratory.country)
    trained = fitted.trained
    return dg.MaterializeResult(
        data_version=dg.DataVersion(fitted.card.content_hash),
        metadata={
            **numbers({"dust particles learnt from": trained.trained_on}),
            **_separation_facts(trained.separation, trained.separation_from_unknown),
            **model_facts(fitted.card),
            "scores": picture(anomaly_histogram(fitted.scores), "anomaly scores of held-out particles by label"),
            "ROC and precision": picture(separation_figure(fitted.curves), "what a threshold on anomaly trades"),
            "head": table_head(fitted.scores.groupby("label")["anomaly_score"].describe().reset_index(), rows=10),
            "folder": stored_at(lab.store.models / "isolation_forest"),
        },
    )


class DustAutoencoderConfig(dg.Config):
    """How an autoencoder is trained."""

    epochs: int = Field(default=AutoencoderConfig().epochs, ge=1, description="Passes over the training dust at most")
    patience: int = Field(
        default=AutoencoderConfig().patience, ge=1, description="Stop after so many epochs without a lower loss"
    )
    batch_size: int = Field(default=AutoencoderConfig().batch_size, ge=1, description="Images a step")
    split: SplitKind = Field(default=SplitKind.BY_RUN, description="By run; by image is the study's, for comparison")
    seed: int = Field(default=0, description="Of initial weights, order and turning of the images")
    strangers: int = _strangers()
    threads: int = Field(
        default_factory=half_of_the_cores, ge=1, description="Cores to use; two models train at a time"
    )


@model_asset(
    deps=[synthetic_split, synthetic_tensors],
    partitions_def=autoencoders,
    code_version="2",
    kinds={"torch"},
    description="Autoencoders trained on the crops of labelled dust alone: the larger the reconstruction error, the "
    "less like dust. Ice is scored by the convolutional one, where there is one.",
)
def autoencoder(
    context: dg.AssetExecutionContext, config: DustAutoencoderConfig, laboratory: LaboratoryResource
) -> dg.MaterializeResult:
    """Train one autoencoder."""
    lab, kind = laboratory.open(), context.partition_key
    training = AutoencoderConfig(**config.model_dump(exclude={"split", "strangers"}))
    fitted = fit_autoencoder(
        lab, kind, training, split=config.split, strangers=config.strangers, country=laboratory.country
    )
    trained = fitted.trained
    return dg.MaterializeResult(
        data_version=dg.DataVersion(fitted.card.content_hash),
        metadata={
            **numbers({"dust particles learnt from": trained.trained_on}),
            **numbers({"epochs": len(trained.history), "best epoch": trained.best_epoch}),
            **_separation_facts(trained.separation, trained.separation_from_unknown),
            **model_facts(fitted.card),
            "loss": picture(loss_figure(trained.history, trained.best_epoch), "loss by epoch"),
            "reconstructions": picture(reconstruction_figure(fitted.redrawn), "particles and what is drawn of them"),
            "errors": picture(error_histogram(fitted.scores), "reconstruction errors of test particles by label"),
            "ROC and precision": picture(separation_figure(fitted.curves), "what a threshold on the error trades"),
            "codes": picture(code_map(fitted.scores, fitted.component_shares), "test particles by their codes"),
            "head": table_head(
                fitted.scores.groupby("label")["reconstruction_error"].describe().reset_index(), rows=10
            ),
            "folder": stored_at(lab.store.models / "autoencoder" / kind),
        },
    )


class AugmentationAssetConfig(dg.Config):
    """What is drawn, and which network is asked whether it helps."""

    task: str = Field(default=AugmentationConfig().task, description="Task whose classes the network tells apart")
    architecture: str = Field(
        default=AugmentationConfig().architecture, description="Network; one that looks at images alone"
    )
    label: str = Field(default=AugmentationConfig().label, description="Rare label to draw")
    drawn: int = Field(default=AugmentationConfig().drawn, ge=1, description="Images to draw")
    most_of_label: int = Field(
        default=AugmentationConfig().most_of_label, ge=2, description="Real training images of each label at most"
    )
    epochs: int = Field(
        default=AugmentationConfig().epochs, ge=1, description="Passes of the network over the training images"
    )
    steps: int = Field(
        default=AugmentationConfig().steps, ge=1, description="Batches that the autoencoder learns from at most"
    )
    seed: int = Field(default=0, description="Of everything that is random")
    threads: int = Field(
        default_factory=half_of_the_cores, ge=1, description="Cores to use; two models train at a time"
    )


@model_asset(
    deps=[synthetic_split, synthetic_tensors],
    kinds={"torch"},
    code_version="2",
    description="Whether images of a rare class that a variational autoencoder draws help a network: the same network "
    "without and with them, on the same real test particles. No model is kept.",
)
def vae_augmentation(
    context: dg.AssetExecutionContext, config: AugmentationAssetConfig, laboratory: LaboratoryResource
) -> dg.MaterializeResult:
    """Train a network without and with drawn images."""
    chosen = AugmentationConfig(**config.model_dump())
    effect = measure_augmentation(laboratory.open(), chosen, country=laboratory.country)
    return dg.MaterializeResult(
        metadata={
            **numbers({f"real training images of {effect.label}": effect.real, "drawn images": config.drawn}),
            **metric_facts(effect.without, "without drawn images"),
            **metric_facts(effect.with_drawn, "with drawn images"),
            **energy_facts(effect.energy),
            "effect": picture(augmentation_figure(effect), "real and drawn images, and what the network reaches"),
        }
    )


def _separation_facts(known: Separation | None, unknown: Separation | None) -> dict[str, dg.MetadataValue]:
    """How well a model of dust tells other labels, and what no label covers, from dust that it did not learn from."""
    facts: dict[str, object] = {}
    for name, found in (("other labels", known), ("no known class (drawn)", unknown)):
        if found is None:
            continue
        for measure, words in (("roc_auc", "ROC AUC"), ("average_precision", "average precision")):
            facts[f"{name} against dust: {words}"] = getattr(found, measure)
            if bounds := found.intervals.get(measure):
                facts[f"{name} against dust: {words}, 95 % interval"] = f"{bounds.low:.3f} to {bounds.high:.3f}"
    by_label = {} if known is None else known.roc_auc_by_label
    facts |= {f"{label} against dust: ROC AUC": area for label, area in by_label.items()}
    return numbers(facts)
