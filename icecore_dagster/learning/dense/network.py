"""The dense network: how it is built from its numbers, and how it is run on a table of features.

The scaler is part of the network, as buffers: a network that is read back scales new particles by the particles that it
was trained on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, cast

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import nn

    class DenseNetwork(nn.Module):
        """The shape of what `build_dense` builds, for type checkers; torch is imported only when it is used."""

        scaler: nn.Module
        layers: nn.Sequential


ROWS_AT_ONCE = 8_192


@dataclass(frozen=True)
class Scaling:
    """How features are brought to one scale.

    Attributes:
        median: float32 (f,), what stands in for a missing value.
        mean: float32 (f,), subtracted.
        sd: float32 (f,), what is then divided by; 1 where a feature never changes.
    """

    median: np.ndarray
    mean: np.ndarray
    sd: np.ndarray

    @classmethod
    def of(cls, matrix: np.ndarray) -> "Scaling":
        """The scaling of training particles.

        Args:
            matrix: float (n, f), NaN where a value is missing.

        Raises:
            ValueError: a feature that no particle has.
        """
        if (absent := np.isnan(matrix).all(axis=0)).any():
            raise ValueError(f"feature {int(absent.argmax())} is missing from every training particle; leave it out")
        median = np.nanmedian(matrix, axis=0)
        filled = np.where(np.isnan(matrix), median, matrix)
        sd = filled.std(axis=0)
        sd[sd == 0] = 1.0
        return cls(*(part.astype(np.float32) for part in (median, filled.mean(axis=0), sd)))


def build_dense(n_features: int, n_classes: int, hidden: Sequence[int], dropout: float) -> "DenseNetwork":
    """Build a network with fresh weights from torch's current random state, and a scaler that changes nothing.

    Args:
        n_features: columns that it takes.
        n_classes: outputs.
        hidden: units of each hidden layer, each followed by batch normalisation, ReLU and dropout.
        dropout: share dropped in training.

    Returns:
        A module on float32 (n, n_features), NaN where a value is missing, that gives logits (n, n_classes).
    """
    import torch
    from torch import nn

    class Scaler(nn.Module):
        median: torch.Tensor
        mean: torch.Tensor
        sd: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("median", torch.zeros(n_features))
            self.register_buffer("mean", torch.zeros(n_features))
            self.register_buffer("sd", torch.ones(n_features))

        def forward(self, features: "torch.Tensor") -> "torch.Tensor":
            # The volumes of real particles span decades; beyond about one sd the scale becomes logarithmic.
            return torch.asinh((torch.where(features.isnan(), self.median, features) - self.mean) / self.sd)

    class Dense(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scaler = Scaler()
            widths = [n_features, *hidden]
            layers: list[nn.Module] = []
            for before, after in pairwise(widths):
                layers += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU(), nn.Dropout(dropout)]
            self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], n_classes))

        def forward(self, features: "torch.Tensor") -> "torch.Tensor":
            return self.layers(self.scaler(features))

    return cast("DenseNetwork", Dense())


def set_scaling(network: "DenseNetwork", scaling: Scaling) -> None:
    """Give a network the scaling of its training particles."""
    import torch

    state = {name: torch.from_numpy(np.array(getattr(scaling, name))) for name in ("median", "mean", "sd")}
    network.scaler.load_state_dict(state)


def dense_probabilities(network: "DenseNetwork", matrix: np.ndarray) -> np.ndarray:
    """Probabilities of the classes, nothing random and no gradients.

    Args:
        network: with weights loaded.
        matrix: float (n, f), features in the network's order, NaN where a value is missing.

    Returns:
        float32 (n, classes), rows sum to 1.
    """
    import torch

    network.eval()
    device = next(network.parameters()).device
    parts = []
    with torch.inference_mode():
        for start in range(0, max(len(matrix), 1), ROWS_AT_ONCE):
            rows = torch.from_numpy(matrix[start : start + ROWS_AT_ONCE].astype(np.float32)).to(device)
            parts.append(torch.softmax(network(rows), dim=1).cpu().numpy())
    return np.concatenate(parts)
