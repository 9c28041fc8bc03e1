"""A dense network to and from its file."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from upath import UPath

from icecore_dagster.learning.dense.network import build_dense, dense_probabilities
from icecore_dagster.learning.dense.training import TrainedDense
from icecore_dagster.learning.models.card import ModelCard, Provenance, load_model, save_model
from icecore_dagster.learning.models.files import metrics_by_epoch, new_card
from icecore_dagster.learning.trees.boosting import feature_matrix

if TYPE_CHECKING:
    from icecore_dagster.learning.dense.network import DenseNetwork


@dataclass(frozen=True)
class DenseModel:
    """A dense network read back, with its card."""

    card: ModelCard
    network: "DenseNetwork"

    def probabilities(self, particles: pd.DataFrame) -> np.ndarray:
        """Probabilities of the classes, float32 (n, classes), of particles that have at least its features."""
        return dense_probabilities(self.network, feature_matrix(particles, self.card.features))


def save_dense(
    root: UPath | Path, trained: TrainedDense, provenance: Provenance, built_on: dict[str, str] | None = None
) -> ModelCard:
    """Save a trained dense network as safetensors and make it current; returns its card.

    Args:
        root: folder of the network.
        trained: the network.
        provenance: where it comes from.
        built_on: content hash of each model that computed features, by kind.
    """
    from safetensors.torch import save

    card = new_card(
        "dense",
        provenance,
        ("torch", "numpy"),
        task=trained.task,
        classes=trained.classes,
        features=trained.features,
        built_on=built_on or {},
        config=asdict(trained.config),
        metrics=metrics_by_epoch(trained),
    )
    return save_model(root, card, save({name: value.contiguous() for name, value in trained.state.items()}))


def load_dense(root: UPath | Path) -> DenseModel:
    """Read the current dense network; raises as `load_model`."""
    from safetensors.torch import load

    card, weights = load_model(root, "dense")
    network = build_dense(len(card.features), len(card.classes), card.config["hidden"], card.config["dropout"])
    network.load_state_dict(load(weights))
    network.eval()
    return DenseModel(card, network)
