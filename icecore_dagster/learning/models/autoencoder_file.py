"""Autoencoders to and from their weights file."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from upath import UPath

from icecore_dagster.learning.anomaly.autoencoders import (
    AUTOENCODERS,
    IMAGE_PX,
    PREPARATION_VERSION,
    AutoencoderPlan,
    Reconstruction,
    autoencoder_plan,
    build_autoencoder,
    contrast_of,
)
from icecore_dagster.learning.anomaly.reconstruction import DustAutoencoder, TrainedAutoencoder, share_worse
from icecore_dagster.learning.models.card import (
    ModelCard,
    ModelMismatchError,
    Provenance,
    load_exported,
    load_model,
    save_model,
)
from icecore_dagster.learning.models.files import held_out_dust, new_card, separations
from icecore_dagster.learning.models.graphs import BATCH_SIZE, Graph, export_graph, open_graph

if TYPE_CHECKING:
    from icecore_dagster.learning.anomaly.autoencoders import ParticleAutoencoder

_HELD_OUT = "held_out_dust_errors"


@dataclass(frozen=True)
class ScoringAutoencoder:
    """An autoencoder ready to score, with its card.

    Attributes:
        card: its card.
        graph: the exported autoencoder.
        held_out_dust_errors: float64 (m,), as those of `DustAutoencoder`.
    """

    card: ModelCard
    graph: Graph
    held_out_dust_errors: np.ndarray

    def reconstruct(self, images: np.ndarray) -> Reconstruction:
        """Errors and codes of images, uint8 (n, 128, 128), as `autoencoders.run_autoencoder` has them."""
        contrast = contrast_of(images)
        found = self.graph.run({"contrast": contrast[:, None]})
        errors = ((contrast - found["drawn"][:, 0]) ** 2).mean(axis=(1, 2), dtype=np.float64)
        return Reconstruction(errors, found["codes"])

    def dust_share_worse(self, errors: np.ndarray) -> np.ndarray:
        """As `DustAutoencoder.dust_share_worse`."""
        return share_worse(self.held_out_dust_errors, errors)


@dataclass(frozen=True)
class AutoencoderModel:
    """An autoencoder read back, with its card."""

    card: ModelCard
    autoencoder: DustAutoencoder


def save_autoencoder(root: UPath | Path, trained: TrainedAutoencoder, provenance: Provenance) -> ModelCard:
    """Save a trained autoencoder with its held-out dust errors as safetensors, and exported, and make it current.

    Returns:
        Its card.
    """
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
    weights = save({**tensors, _HELD_OUT: torch.from_numpy(model.held_out_dust_errors)})
    return save_model(root, card, weights, _exported(model.module))


def load_autoencoder(root: UPath | Path) -> AutoencoderModel:
    """Read the current autoencoder; raises as `load_model`, or if this version knows or prepares images otherwise."""
    from safetensors.torch import load

    card, weights = load_model(root, "autoencoder")
    plan = _plan_of(root, card)
    tensors = load(weights)
    errors = np.asarray(tensors.pop(_HELD_OUT))
    module = build_autoencoder(plan)
    module.load_state_dict(tensors)
    return AutoencoderModel(card, DustAutoencoder(plan.key, module.eval(), errors))


def load_scoring_autoencoder(root: UPath | Path) -> ScoringAutoencoder:
    """Open the current autoencoder for scoring, without torch; raises as `load_autoencoder` and `load_exported`."""
    from safetensors.numpy import load

    card, exported = load_exported(root, "autoencoder")
    _plan_of(root, card)
    _, weights = load_model(root, "autoencoder")
    return ScoringAutoencoder(card, open_graph(exported), load(weights)[_HELD_OUT])


def _plan_of(root: UPath | Path, card: ModelCard) -> AutoencoderPlan:
    if card.architecture not in AUTOENCODERS or card.config.get("preparation_version") != PREPARATION_VERSION:
        raise ModelMismatchError(f"{root}: the autoencoder is of another version; train it again")
    return autoencoder_plan(card.architecture)


def _exported(module: "ParticleAutoencoder") -> bytes:
    """A graph from contrast, float32 (n, 1, 64, 64), to what is drawn of it, and the codes."""
    import torch

    class Redrawing(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.autoencoder = module

        def forward(self, contrast: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            codes, _ = self.autoencoder.encode(contrast)
            return self.autoencoder.decode(codes), codes

    example = {"contrast": torch.zeros(BATCH_SIZE, 1, IMAGE_PX, IMAGE_PX)}
    return export_graph(Redrawing(), example, ("drawn", "codes"))
