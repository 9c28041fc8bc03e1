"""The image networks: which there are, how one is built from its numbers, and how it is run.

The reference study's networks differ in numbers only, so they are rows of one registry; a further one is a further row.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from icecore_dagster.learning.networks.transforms import TransformSpec, normalise

if TYPE_CHECKING:
    import torch
    from torch import nn

    class ParticleNetwork(nn.Module):
        """The shape of what `build_network` builds, for type checkers; torch is imported only when it is used."""

        body: nn.Sequential
        output: nn.Linear

        def embed(self, images: torch.Tensor) -> torch.Tensor:
            """Activations (n, dense) before the output layer."""
            ...


BATCH_SIZE = 32
"""Larger batches are slower on a CPU: their activations no longer fit what the allocator keeps (measured for A3)."""


@dataclass(frozen=True)
class Architecture:
    """One network of the family convolutions - dense - output.

    Attributes:
        key: name in partitions and files.
        convolutions: (channels, kernel side in px) of each block convolution - ReLU - max-pooling 2x2.
        dense: units of the layer whose activations are the embedding.
        dropout: share dropped after batch normalisation of the dense layer; None for a plain dense layer.
        learning_rate: of Adam.
        transform: how its images are prepared.
        published_classes: number of outputs in the study.
        published_parameters: number of weights in the study, with that many outputs.
    """

    key: str
    convolutions: tuple[tuple[int, int], ...]
    dense: int
    dropout: float | None
    published_classes: int
    published_parameters: int
    learning_rate: float = 0.001
    transform: TransformSpec = field(default_factory=TransformSpec)


# The study gives no dropout rate; 0.2 is that of the published follow-up (Maffezzoli et al. 2023).
ARCHITECTURES: dict[str, Architecture] = {
    architecture.key: architecture
    for architecture in (
        Architecture("A1", ((8, 11), (16, 5)), 108, None, 6, 1_264_666),
        Architecture("A2", ((8, 11), (16, 5)), 108, 0.2, 6, 1_264_882),
        Architecture("A3", ((8, 11), (16, 5), (32, 3)), 64, 0.2, 6, 304_326),
        Architecture("A4", ((8, 11), (16, 5), (32, 3), (64, 3)), 40, 0.2, 3, 91_571),
        Architecture(
            "K1",
            ((8, 3), (16, 3), (32, 3), (64, 3)),
            128,
            None,
            3,
            319_811,
            learning_rate=0.0008,
            # Its rescaling layer, which maps grey 0-255 to 0-1.
            transform=TransformSpec(grey_mean=0.0, grey_sd=255.0),
        ),
    )
}


class NetworkOutput(NamedTuple):
    """What one pass through a network gives.

    Attributes:
        probabilities: float32 (n, classes), softmax of the logits.
        embeddings: float32 (n, d), activations before the output layer.
    """

    probabilities: np.ndarray
    embeddings: np.ndarray


def architecture_of(key: str) -> Architecture:
    """The registered architecture of that name.

    Raises:
        ValueError: there is none.
    """
    if key not in ARCHITECTURES:
        raise ValueError(f"no architecture {key!r}; known: {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[key]


def build_network(key: str, n_classes: int) -> "ParticleNetwork":
    """Build a network with fresh weights from torch's current random state.

    Args:
        key: name in `ARCHITECTURES`.
        n_classes: number of outputs.

    Returns:
        A module on float32 (n, 1, size, size) whose call gives logits (n, n_classes) and whose `embed` gives the
        activations (n, dense) before the output layer. Blocks are named conv_1, conv_2, ... inside `body`.

    Raises:
        ValueError: unknown architecture.
    """
    import torch
    from torch import nn

    class BlockNetwork(nn.Module):
        def __init__(self, body: nn.Sequential, output: nn.Linear):
            super().__init__()
            self.body = body
            self.output = output

        def embed(self, images: "torch.Tensor") -> "torch.Tensor":
            return self.body(images)

        def forward(self, images: "torch.Tensor") -> "torch.Tensor":
            return self.output(self.embed(images))

    architecture = architecture_of(key)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels, side = 1, architecture.transform.size_px
    for number, (width, kernel) in enumerate(architecture.convolutions, start=1):
        layers[f"conv_{number}"] = nn.Conv2d(channels, width, kernel)
        layers[f"relu_{number}"] = nn.ReLU()
        layers[f"pool_{number}"] = nn.MaxPool2d(2)
        channels, side = width, (side - kernel + 1) // 2
    layers["flatten"] = nn.Flatten()
    layers["dense"] = nn.Linear(channels * side * side, architecture.dense)
    if architecture.dropout is not None:
        layers["dense_norm"] = nn.BatchNorm1d(architecture.dense)
    layers["dense_relu"] = nn.ReLU()
    if architecture.dropout is not None:
        layers["dense_dropout"] = nn.Dropout(architecture.dropout)
    network = BlockNetwork(nn.Sequential(layers), nn.Linear(architecture.dense, n_classes))
    # Convolutions on a CPU run more than twice as fast in this layout (measured for A3 on two cores).
    return cast("ParticleNetwork", network.to(memory_format=torch.channels_last))


def run_network(
    network: "ParticleNetwork", images: np.ndarray, transform: TransformSpec, *, batch_size: int = BATCH_SIZE
) -> NetworkOutput:
    """Pass images through a trained network, nothing random and no gradients.

    Every batch has the same size (the last is filled up), so that an image's result does not depend on how many
    others it came with.

    Args:
        network: from `build_network`, with weights loaded.
        images: uint8 (n, size, size), squashed by `to_network_input`; a memory map is read batch by batch.
        transform: the network's own.
        batch_size: images at a time.

    Returns:
        Probabilities float32 (n, classes) and embeddings float32 (n, d).
    """
    import torch

    device = next(network.parameters()).device
    probabilities, embeddings = [], []
    network.eval()
    with torch.inference_mode():
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size]
            full = np.zeros((batch_size, *images.shape[1:]), dtype=np.uint8)
            full[: len(batch)] = batch
            embedded = network.embed(normalise(full, transform).to(device))
            softmax = torch.softmax(network.output(embedded), dim=1)
            embeddings.append(embedded[: len(batch)].cpu().numpy())
            probabilities.append(softmax[: len(batch)].cpu().numpy())
    if not probabilities:
        return NetworkOutput(
            np.empty((0, network.output.out_features), np.float32),
            np.empty((0, network.output.in_features), np.float32),
        )
    return NetworkOutput(np.concatenate(probabilities), np.concatenate(embeddings))
