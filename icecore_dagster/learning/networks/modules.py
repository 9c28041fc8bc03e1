"""The torch modules that image networks are made of: trunks on the image, a branch on properties, and both joined.

This module imports torch, and is therefore imported only by what builds or looks into a network.
"""

import copy
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

_FARTHEST_SD = 5.0
"""A grain ten times as large as those learnt from is large, and no more can be said of it."""

_HALF_OF_LANES, _SMALL_KERNEL_PX = 8, 3
"""Numbers of 32 bits in half of the widest register of today's processors (AVX-512); and the side of a kernel to which
one row more is a third more work: with it K1 was a tenth slower, while A1 and A3, of 11 px, were a fifth faster."""


class PropertyBranch(nn.Module):
    """A perceptron on measured properties, which it first scales by what the training particles were like.

    Mean and standard deviation are buffers: they are saved with the weights, and the particles that are scored never
    change them. A missing or infinite property counts as the mean, one that lies far out as `_FARTHEST_SD`.

    Args:
        properties: how many there are.
        units: of each layer.
        dropout: share dropped after each layer.
    """

    mean: Tensor
    sd: Tensor

    def __init__(self, properties: int, units: Sequence[int], dropout: float):
        super().__init__()
        self.register_buffer("mean", torch.zeros(properties))
        self.register_buffer("sd", torch.ones(properties))
        layers: list[nn.Module] = []
        for taken, given in zip((properties, *units[:-1]), units, strict=True):
            layers += [nn.Linear(taken, given), nn.ReLU(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers)

    def learn_scale(self, properties: Tensor) -> None:
        """Take mean and standard deviation from the training particles.

        Args:
            properties: float (n, f); missing and infinite values are left out.
        """
        values = properties.double()
        known = values.isfinite()
        values, of_each = values.where(known, 0.0), known.sum(dim=0).clamp(min=1)
        mean = values.sum(dim=0) / of_each
        sd = ((values - mean).where(known, 0.0).square().sum(dim=0) / of_each).sqrt()
        self.mean.copy_(mean)
        # A property that never varies says nothing; divided by 1 it stays at 0.
        self.sd.copy_(sd.where(sd > 0, 1.0))

    def forward(self, properties: Tensor) -> Tensor:
        """Activations (n, units of the last layer) from float (n, f)."""
        scaled = (properties - self.mean) / self.sd
        return self.layers(scaled.where(scaled.isfinite(), 0.0).clamp(-_FARTHEST_SD, _FARTHEST_SD))


class ParticleNetwork(nn.Module):
    """A network on a particle's image, and on its measured properties where it has a branch for them.

    Args:
        body: from images (n, 1, size, size) to activations (n, dense).
        output: from the embedding to the logits.
        measured: the branch on properties; None for a network on images alone.
        joined: from both branches' activations, side by side, to the embedding; None without `measured`.
    """

    def __init__(
        self,
        body: nn.Sequential,
        output: nn.Linear,
        measured: PropertyBranch | None = None,
        joined: nn.Sequential | None = None,
    ):
        super().__init__()
        self.body = body
        self.measured = measured
        self.joined = joined
        self.output = output

    def embed(self, images: Tensor, properties: Tensor | None = None) -> Tensor:
        """Activations (n, d) before the output layer, from float32 (n, 1, size, size) and, for a hybrid, (n, f)."""
        seen = self.body(images)
        if self.measured is None or self.joined is None:
            return seen
        return self.joined(torch.cat([seen, self.measured(properties)], dim=1))

    def forward(self, images: Tensor, properties: Tensor | None = None) -> Tensor:
        """Logits (n, classes); arguments as `embed`."""
        return self.output(self.embed(images, properties))

    def take_properties(self, properties: np.ndarray | None, particles: int) -> Tensor | None:
        """The particles' properties as this network takes them: float32 (n, f), None for one on images alone.

        Args:
            properties: float (n, f), columns as in the network's card; not looked at by a network on images alone.
            particles: how many there are.

        Raises:
            ValueError: the network needs properties, and these are none or not as many as it needs.
        """
        if self.measured is None:
            return None
        wanted = (particles, len(self.measured.mean))
        if properties is None or properties.shape != wanted:
            raise ValueError(
                f"this network needs {wanted[1]} measured properties of each of {wanted[0]} particles and got "
                f"{'none' if properties is None else properties.shape}; hand over feature_matrix(particles, features) "
                "with the features of its architecture or card"
            )
        return torch.from_numpy(properties.astype(np.float32))


class Answers(nn.Module):
    """All that scoring asks of a network, from the stored image on: what is exported.

    Args:
        network: with its weights.
        grey_mean: subtracted from the grey values (0-255).
        grey_sd: what they are then divided by.
    """

    def __init__(self, network: ParticleNetwork, grey_mean: float, grey_sd: float):
        super().__init__()
        self.network = network
        self.grey_mean = grey_mean
        self.grey_sd = grey_sd

    def forward(self, images: Tensor, properties: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Probabilities (n, classes) and embeddings (n, d) of uint8 (n, 1, size, size) and, for a hybrid, (n, f)."""
        embedded = self.network.embed((images.float() - self.grey_mean) / self.grey_sd, properties)
        return torch.softmax(self.network.output(embedded), dim=1), embedded


class PooledRows(nn.Module):
    """A convolution, ReLU and max-pooling 2x2 as one convolution that takes two rows at a step.

    The same numbers but for rounding: the two rows that pooling compares become two halves of the channels, from the
    kernel as it is and moved down by one row, and the larger of both is taken. Twice the channels fill the lanes of a
    processor that a convolution of few leaves idle.

    Args:
        convolution: of stride 1, without padding.
    """

    def __init__(self, convolution: nn.Conv2d):
        super().__init__()
        assert convolution.bias is not None, "block_trunk makes convolutions with a bias"
        width, channels, high, wide = convolution.weight.shape
        self.both = nn.Conv2d(channels, 2 * width, (high + 1, wide), stride=(2, 1))
        moved = [nn.functional.pad(convolution.weight, (0, 0, row, 1 - row)) for row in (0, 1)]
        self.both.load_state_dict({"weight": torch.cat(moved), "bias": convolution.bias.repeat(2)})

    def forward(self, images: Tensor) -> Tensor:
        """From (n, c, h, w) to (n, width, (h - kernel + 1) // 2, (w - kernel + 1) // 2)."""
        upper, lower = nn.functional.max_pool2d(self.both(images), (1, 2)).relu().chunk(2, dim=1)
        return torch.maximum(upper, lower)


def with_pooled_rows(network: ParticleNetwork) -> ParticleNetwork:
    """A copy for computing: the first block of `block_trunk` as `PooledRows`, where it has few channels, large kernels.

    Args:
        network: left as it is.
    """
    network = copy.deepcopy(network)
    body = network.body
    if [name for name, _ in body.named_children()][:3] == ["conv_1", "relu_1", "pool_1"]:
        first = body.get_submodule("conv_1")
        assert isinstance(first, nn.Conv2d), "the first block of block_trunk"
        if first.out_channels <= _HALF_OF_LANES and first.kernel_size[0] > _SMALL_KERNEL_PX:
            body.conv_1 = PooledRows(first)
            body.relu_1 = body.pool_1 = nn.Identity()
    return network


class GreyAsColour(nn.Module):
    """The grey image three times over, for a trunk that was made for colour."""

    def forward(self, images: Tensor) -> Tensor:
        """From (n, 1, h, w) to (n, 3, h, w)."""
        return images.expand(-1, 3, -1, -1)


def block_trunk(
    convolutions: Sequence[tuple[int, int]], size_px: int, dense: int, dropout: float | None
) -> nn.Sequential:
    """Blocks convolution - ReLU - max-pooling 2x2, named conv_1, conv_2, ..., and a dense layer.

    Args:
        convolutions: (channels, kernel side in px) of each block.
        size_px: side of the image.
        dense: units of the dense layer.
        dropout: share dropped after its batch normalisation; None for neither.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels, side = 1, size_px
    for number, (width, kernel) in enumerate(convolutions, start=1):
        layers[f"conv_{number}"] = nn.Conv2d(channels, width, kernel)
        layers[f"relu_{number}"] = nn.ReLU()
        layers[f"pool_{number}"] = nn.MaxPool2d(2)
        channels, side = width, (side - kernel + 1) // 2
    layers["flatten"] = nn.Flatten()
    return nn.Sequential(layers | _dense_layers(channels * side * side, dense, dropout))


def strided_trunk(blocks: Sequence[tuple[int, int, int]], dense: int, dropout: float | None) -> nn.Sequential:
    """Blocks convolution - batch normalisation - ReLU, named conv_1, conv_2, ..., averaged, and a dense layer.

    Args:
        blocks: (channels, kernel side in px, stride in px) of each.
        dense: units of the dense layer.
        dropout: share dropped after its batch normalisation; None for neither.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels = 1
    for number, (width, kernel, stride) in enumerate(blocks, start=1):
        # The normalisation has a shift of its own.
        layers[f"conv_{number}"] = nn.Conv2d(channels, width, kernel, stride, kernel // 2, bias=False)
        layers[f"norm_{number}"] = nn.BatchNorm2d(width)
        layers[f"relu_{number}"] = nn.ReLU()
        channels = width
    layers |= OrderedDict(average=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten())
    return nn.Sequential(layers | _dense_layers(channels, dense, dropout))


def resnet18_trunk(dense: int, dropout: float | None) -> nn.Sequential:
    """ResNet18 (He et al. 2016, arXiv:1512.03385) on the grey image, its last layer replaced by a dense one.

    Arguments as `block_trunk`.
    """
    from torchvision.models import resnet18

    backbone = resnet18()
    dense_layers = _dense_layers(backbone.fc.in_features, dense, dropout)
    # The dense layer stands in the sequence, where that of the other networks stands.
    backbone.fc = nn.Identity()  # type: ignore[assignment]
    return nn.Sequential(OrderedDict[str, nn.Module](colour=GreyAsColour(), backbone=backbone) | dense_layers)


def start_of(network: ParticleNetwork, backbone: str | None) -> str:
    """Give a backbone its ImageNet weights where torchvision's file is in torch's own cache; nothing is downloaded.

    Args:
        network: fresh from `build_network`, changed in place.
        backbone: the architecture's; a network without one is left as it is.

    Returns:
        What the weights are now, for the card: "random", or "ImageNet" and the file's name.

    Raises:
        ValueError: the file in the cache is not the one that torchvision publishes.
    """
    if backbone is None:
        return "random"
    from torchvision.models import get_model_weights

    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(get_model_weights(backbone).DEFAULT.url).name
    if not file.exists():
        return "random"
    # torchvision names its files by the beginning of their SHA-256, so that no other file is opened.
    if not sha256(file.read_bytes()).hexdigest().startswith(file.stem.rsplit("-", 1)[-1]):
        raise ValueError(f"{file} is not the file that torchvision publishes; delete it, or put the right one there")
    # Tensors alone are read: with weights_only nothing in the file can run.
    weights = torch.load(file, map_location="cpu", weights_only=True)
    trunk = network.body.get_submodule("backbone")
    trunk.load_state_dict({name: value for name, value in weights.items() if not name.startswith("fc.")})
    return f"ImageNet ({file.name})"


def _dense_layers(taken: int, dense: int, dropout: float | None) -> "OrderedDict[str, nn.Module]":
    layers: OrderedDict[str, nn.Module] = OrderedDict(dense=nn.Linear(taken, dense))
    if dropout is not None:
        layers["dense_norm"] = nn.BatchNorm1d(dense)
    layers["dense_relu"] = nn.ReLU()
    if dropout is not None:
        layers["dense_dropout"] = nn.Dropout(dropout)
    return layers
