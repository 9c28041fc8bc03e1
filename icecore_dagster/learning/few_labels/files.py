"""A siamese network to and from its model folder."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upath import UPath

from icecore_dagster.learning.few_labels.siamese import TrainedSiamese, build_siamese
from icecore_dagster.learning.models.card import ModelCard, Provenance, load_model, save_model
from icecore_dagster.learning.models.files import new_card

if TYPE_CHECKING:
    from icecore_dagster.learning.networks.modules import ParticleNetwork

SIAMESE_MODEL = "siamese_model"
"""Folder of the siamese network below that of all models."""


@dataclass(frozen=True)
class SiameseModel:
    """A siamese network read back, with its card."""

    card: ModelCard
    network: "ParticleNetwork"


def save_siamese(
    root: UPath | Path, trained: TrainedSiamese, measured: dict[str, Any], provenance: Provenance
) -> ModelCard:
    """Save a trained siamese network as safetensors and make it current; returns its card.

    Args:
        root: folder of the model.
        trained: the network.
        measured: further metrics, JSON values.
        provenance: where it comes from.
    """
    from safetensors.torch import save

    card = new_card(
        "siamese",
        provenance,
        ("torch", "numpy"),
        classes=trained.classes,
        architecture=trained.config.architecture,
        transform=trained.transform,
        # A list, as JSON gives it back.
        config={**asdict(trained.config), "held_out": list(trained.config.held_out)},
        metrics={
            **measured,
            "best_epoch": trained.best_epoch,
            # Without the clock, so that the same training gives the same content.
            "history": trained.history.drop(columns="seconds").to_dict(orient="records"),
        },
    )
    return save_model(root, card, save({name: value.contiguous() for name, value in trained.state.items()}))


def load_siamese(root: UPath | Path) -> SiameseModel:
    """Read the current siamese network; raises as `load_model`."""
    from safetensors.torch import load

    card, weights = load_model(root, "siamese")
    network = build_siamese(str(card.architecture), int(card.config["dimensions"]))
    network.load_state_dict(load(weights))
    return SiameseModel(card, network.eval())
