"""Autoencoders to and from their weights file."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from upath import UPath

from icecore_dagster.learning.anomaly.autoencoders import (
    AUTOENCODERS,
    PREPARATION_VERSION,
    autoencoder_plan,
    build_autoencoder,
)
from icecore_dagster.learning.anomaly.reconstruction import DustAutoencoder, TrainedAutoencoder
from icecore_dagster.learning.models.card import ModelCard, ModelMismatchError, Provenance, load_model, save_model
from icecore_dagster.learning.models.files import held_out_dust, new_card, separations

_HELD_OUT = "held_out_dust_errors"


@dataclass(frozen=True)
class AutoencoderModel:
    """An autoencoder read back, with its card."""

    card: ModelCard
    autoencoder: DustAutoencoder


def save_autoencoder(root: UPath | Path, trained: TrainedAutoencoder, provenance: Provenance) -> ModelCard:
    """Save a trained autoencoder with its held-out dust errors as safetensors and make it current; returns its card."""
    import torch
    from safetensors.torch import save

    model = trained.model
    card = new_card(
        "autoencoder",
        provenance,
        ("torch", "numpy"),
        architecture=model.kind,
        config={**asdict(trained.config), "preparation_version": PREPARATION_VERSION},
        metrics={
            "trained_on": trained.trained_on,
            "best_epoch": trained.best_epoch,
            **separations(trained.separation, trained.separation_from_unknown),
            **held_out_dust(model.held_out_dust_errors),
            # Without the clock, so that the same training gives the same content.
            "history": trained.history.drop(columns="seconds").to_dict(orient="records"),
        },
    )
    tensors = {name: value.contiguous() for name, value in trained.state.items()}
    return save_model(root, card, save({**tensors, _HELD_OUT: torch.from_numpy(model.held_out_dust_errors)}))


def load_autoencoder(root: UPath | Path) -> AutoencoderModel:
    """Read the current autoencoder; raises as `load_model`, or if this version knows or prepares images otherwise."""
    from safetensors.torch import load

    card, weights = load_model(root, "autoencoder")
    if card.architecture not in AUTOENCODERS or card.config.get("preparation_version") != PREPARATION_VERSION:
        raise ModelMismatchError(f"{root}: the autoencoder is of another version; train it again")
    tensors = load(weights)
    errors = np.asarray(tensors.pop(_HELD_OUT))
    module = build_autoencoder(autoencoder_plan(card.architecture))
    module.load_state_dict(tensors)
    return AutoencoderModel(card, DustAutoencoder(card.architecture, module.eval(), errors))
