"""The siamese network: what one, five or ten examples of a material never met are worth."""

from typing import Literal

import dagster as dg
import pandas as pd
from pydantic import Field

from icecore_dagster.learning.few_labels.episodes import EpisodeConfig
from icecore_dagster.learning.few_labels.files import SIAMESE_MODEL
from icecore_dagster.learning.few_labels.fit import fit_siamese
from icecore_dagster.learning.few_labels.representations import SIAMESE
from icecore_dagster.learning.few_labels.siamese import SiameseConfig
from icecore_dagster.orchestration.assets.declare import half_of_the_cores, model_asset
from icecore_dagster.orchestration.assets.labelled import synthetic_split, synthetic_tensors
from icecore_dagster.orchestration.assets.models.networks import cnn_model
from icecore_dagster.orchestration.metadata import model_facts, numbers, picture, stored_at, table_head
from icecore_dagster.orchestration.partitions import SCORED_BY
from icecore_dagster.orchestration.resources import LaboratoryResource
from icecore_dagster.reports.figures.models.few_labels import few_shot_figure, siamese_curve_figure, zero_shot_figure


class SiameseNetworkConfig(dg.Config):
    """How the siamese network is trained and measured."""

    architecture: str = Field(default="A3", description="Registered network on images alone, whose trunk is used")
    held_out: list[str] = Field(
        default=list(SiameseConfig().held_out),
        description="Labels that take no part in the training, to see what is made of new materials; two at least",
    )
    loss: Literal["contrastive", "triplet"] = Field(
        default="contrastive", description="Supervised contrastive loss, or semi-hard triplets of the batch"
    )
    dimensions: int = Field(default=32, ge=2, description="Dimensions of the embedding, whose vectors have length 1")
    temperature: float = Field(
        default=0.1, gt=0, description="Of the contrastive loss; smaller looks at near strangers"
    )
    margin: float = Field(default=0.2, gt=0, description="Of the triplet loss, as a squared distance (0 to 4)")
    epochs: int = Field(default=20, ge=1, description="Passes over the training images at most")
    patience: int = Field(default=5, ge=1, description="Stop after so many epochs without a higher validation ROC AUC")
    a_class: int = Field(default=8, ge=2, description="Images of each label in every batch")
    episodes: int = Field(default=300, ge=2, description="Few-shot episodes of each kind to measure accuracy on")
    seed: int = Field(default=0, description="Of initial weights, batches, random changes and episodes")
    threads: int = Field(
        default_factory=half_of_the_cores, ge=1, description="Cores to use; two models train at a time"
    )


@model_asset(
    deps=[
        synthetic_split,
        synthetic_tensors,
        # Only compared with, where it is trained.
        dg.AssetDep(cnn_model, partition_mapping=SCORED_BY.the_network),
    ],
    kinds={"torch"},
    code_version="2",
    description="Siamese network: places particles of one material together, materials it never met among them. "
    "Measured by few-shot episodes on held-out labels, beside the scoring network and the measured properties.",
)
def siamese_model(
    context: dg.AssetExecutionContext, config: SiameseNetworkConfig, laboratory: LaboratoryResource
) -> dg.MaterializeResult:
    """Train and measure the siamese network."""
    lab = laboratory.open()
    training = SiameseConfig(**{**config.model_dump(exclude={"episodes"}), "held_out": tuple(config.held_out)})
    fitted = fit_siamese(
        lab,
        training,
        EpisodeConfig(episodes=config.episodes, seed=config.seed),
        compare_with=(SCORED_BY.task, SCORED_BY.architecture),
        country=laboratory.country,
    )
    trained = fitted.trained
    return dg.MaterializeResult(
        data_version=dg.DataVersion(fitted.card.content_hash),
        metadata={
            **numbers(_headline(fitted.few_shot, fitted.zero_shot)),
            **numbers({"labels held out": ", ".join(config.held_out)}),
            **numbers({"epochs": len(trained.history), "best epoch": trained.best_epoch}),
            **model_facts(fitted.card),
            "few shots": picture(few_shot_figure(fitted.few_shot), "accuracy against examples a label, by method"),
            "no shot": picture(zero_shot_figure(fitted.zero_shot), "ROC AUC of questions that need no example"),
            "learning curve": picture(
                siamese_curve_figure(trained.history, trained.best_epoch), "loss and ROC AUC of pairs by epoch"
            ),
            "accuracy": table_head(fitted.few_shot, rows=len(fitted.few_shot)),
            "ROC AUC": table_head(fitted.zero_shot, rows=len(fitted.zero_shot)),
            "history": table_head(trained.history, rows=len(trained.history)),
            "folder": stored_at(lab.store.models / SIAMESE_MODEL),
        },
    )


def _headline(few_shot: pd.DataFrame, zero_shot: pd.DataFrame) -> dict[str, float]:
    """The siamese network's own results, a number each."""
    shots = few_shot[few_shot["method"] == SIAMESE]
    asked = zero_shot[zero_shot["method"] == SIAMESE]
    settings = shots["setting"] + ": " + shots["ways"].astype(str) + "-way " + shots["shots"].astype(str) + "-shot"
    return {
        **dict(zip(settings + " accuracy", shots["accuracy"].astype(float), strict=True)),
        **dict(zip(asked["question"] + " ROC AUC", asked["roc_auc"].astype(float), strict=True)),
    }
