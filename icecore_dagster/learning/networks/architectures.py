"""The image networks: which there are, how one is built from its numbers, and how it is run.

The reference study's networks differ in numbers only, so they are rows of one registry; a further one is a further row.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from icecore_dagster.learning.networks.transforms import TransformSpec, normalise
from icecore_dagster.particles.properties import FEATURES

if TYPE_CHECKING:
    from icecore_dagster.learning.networks.modules import ParticleNetwork

BATCH_SIZE = 32
"""Larger batches are slower on a CPU: their activations no longer fit what the allocator keeps (measured for A3)."""


@dataclass(frozen=True)
class MeasuredBranch:
    """A network's second branch, on measured properties, and the layer that joins it to the image's.

    Attributes:
        units: of each layer of the branch.
        dropout: share dropped after each of them.
        joined: units of the layer that reads both branches; its activations are the embedding.
        features: properties that the branch reads, in order.
    """

    units: tuple[int, ...]
    dropout: float
    joined: int
    features: tuple[str, ...] = FEATURES


@dataclass(frozen=True)
class Architecture:
    """One network: convolutions - dense - output, and a branch on measured properties where it has one.

    Attributes:
        key: name in partitions and files.
        convolutions: (channels, kernel side in px) of each block convolution - ReLU - max-pooling 2x2.
        dense: units of the image's last layer; its activations are the embedding of a network on images alone.
        dropout: share dropped after batch normalisation of the dense layer; None for a plain dense layer.
        published_classes: number of outputs in the study; None for a network that is not the study's.
        published_parameters: number of weights in the study, with that many outputs.
        learning_rate: of Adam; the highest one where it follows a cycle.
        cycle: let the learning rate rise over the first fifth of the steps and fall to nothing at the last one (Smith &
            Topin 2017, arXiv:1708.07120); the training then goes on to its last epoch.
        transform: how its images are prepared.
        strided: (channels, kernel side in px, stride in px) of each block convolution - batch normalisation - ReLU,
            whose last is averaged over the image; in place of `convolutions`.
        backbone: what stands in the place of the convolutions; None for the blocks.
        measured: branch on measured properties; None for a network on images alone.
    """

    key: str
    convolutions: tuple[tuple[int, int], ...]
    dense: int
    dropout: float | None
    published_classes: int | None = None
    published_parameters: int | None = None
    learning_rate: float = 0.001
    cycle: bool = False
    transform: TransformSpec = field(default_factory=TransformSpec)
    strided: tuple[tuple[int, int, int], ...] = ()
    backbone: Literal["resnet18"] | None = None
    measured: MeasuredBranch | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """Columns of the properties that the network reads, in order; none for a network on images alone."""
        return self.measured.features if self.measured else ()


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
        # A3 beside the properties: size and grey are kept, which the squashed and normalised image loses.
        Architecture(
            "hybrid",
            ((8, 11), (16, 5), (32, 3)),
            64,
            0.2,
            measured=MeasuredBranch((128, 64), dropout=0.2, joined=64),
        ),
        # Few positions and many filters cost less than A3's many positions. Turned and mirrored as often as not: a
        # grain may lie in any way. Greys are centred below the background, which `to_network_input` brings to 134.
        Architecture(
            "hybrid_strided",
            (),
            64,
            0.2,
            learning_rate=0.002,
            cycle=True,
            transform=TransformSpec(
                grey_mean=110.0,
                crop_probability=0.0,
                horizontal_flip_probability=0.5,
                vertical_flip_probability=0.5,
                transpose_probability=0.5,
                blur_probability=0.0,
            ),
            strided=((24, 7, 4), (48, 3, 2), (48, 3, 1), (96, 3, 2), (96, 3, 1)),
            measured=MeasuredBranch((128, 64), dropout=0.2, joined=64),
        ),
        # Maffezzoli et al. 2023 (doi 10.5194/tc-17-539-2023): images only flipped at random, and properties scaled as
        # they are. How often an image was flipped is not told.
        Architecture(
            "hybrid_resnet18",
            (),
            64,
            0.2,
            learning_rate=0.0001,
            transform=TransformSpec(
                grey_mean=94.0,
                grey_sd=12.0,
                crop_probability=0.0,
                horizontal_flip_probability=0.5,
                vertical_flip_probability=0.5,
                blur_probability=0.0,
            ),
            backbone="resnet18",
            measured=MeasuredBranch((128, 64, 32), dropout=0.5, joined=40),
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
        A module on float32 (n, 1, size, size), and on properties (n, f) where the architecture has a branch for them,
        whose call gives logits (n, n_classes) and whose `embed` gives the activations (n, d) before the output layer.

    Raises:
        ValueError: unknown architecture.
    """
    import torch
    from torch import nn

    from icecore_dagster.learning.networks.modules import (
        ParticleNetwork,
        PropertyBranch,
        block_trunk,
        resnet18_trunk,
        strided_trunk,
    )

    plan = architecture_of(key)
    if plan.backbone == "resnet18":
        body = resnet18_trunk(plan.dense, plan.dropout)
    elif plan.strided:
        body = strided_trunk(plan.strided, plan.dense, plan.dropout)
    else:
        body = block_trunk(plan.convolutions, plan.transform.size_px, plan.dense, plan.dropout)
    if plan.measured is None:
        network = ParticleNetwork(body, nn.Linear(plan.dense, n_classes))
    else:
        branch = plan.measured
        network = ParticleNetwork(
            body,
            nn.Linear(branch.joined, n_classes),
            PropertyBranch(len(branch.features), branch.units, branch.dropout),
            nn.Sequential(nn.Linear(plan.dense + branch.units[-1], branch.joined), nn.ReLU()),
        )
    # Convolutions on a CPU run more than twice as fast in this layout (measured for A3 on two cores).
    return network.to(memory_format=torch.channels_last)


def parameter_count(key: str, n_classes: int) -> int:
    """Number of weights that a network learns, with that many outputs; raises as `build_network`."""
    import torch

    with torch.device("meta"):
        return sum(weights.numel() for weights in build_network(key, n_classes).parameters())


def run_network(
    network: "ParticleNetwork",
    images: np.ndarray,
    transform: TransformSpec,
    properties: np.ndarray | None = None,
    *,
    batch_size: int = BATCH_SIZE,
) -> NetworkOutput:
    """Pass particles through a trained network, nothing random and no gradients.

    Every batch has the same size (the last is filled up), so that a particle's result does not depend on how many
    others it came with.

    Args:
        network: from `build_network`, with weights loaded.
        images: uint8 (n, size, size), squashed by `to_network_input`; a memory map is read batch by batch.
        transform: the network's own.
        properties: float (n, f), the columns that the network's card names, NaN where missing; a network on images
            alone does not look at them.
        batch_size: images at a time.

    Returns:
        Probabilities float32 (n, classes) and embeddings float32 (n, d).

    Raises:
        ValueError: the network needs properties, and these are none or too few.
    """
    import torch

    device = next(network.parameters()).device
    measured = network.take_properties(properties, len(images))
    if measured is not None:
        measured = torch.nn.functional.pad(measured, (0, 0, 0, batch_size))
    probabilities, embeddings = [], []
    network.eval()
    with torch.inference_mode():
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size]
            full = np.zeros((batch_size, *images.shape[1:]), dtype=np.uint8)
            full[: len(batch)] = batch
            beside = None if measured is None else measured[start : start + batch_size].to(device)
            embedded = network.embed(normalise(full, transform).to(device), beside)
            softmax = torch.softmax(network.output(embedded), dim=1)
            embeddings.append(embedded[: len(batch)].cpu().numpy())
            probabilities.append(softmax[: len(batch)].cpu().numpy())
    if not probabilities:
        return NetworkOutput(
            np.empty((0, network.output.out_features), np.float32),
            np.empty((0, network.output.in_features), np.float32),
        )
    return NetworkOutput(np.concatenate(probabilities), np.concatenate(embeddings))
