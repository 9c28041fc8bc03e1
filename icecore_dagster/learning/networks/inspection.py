"""What a trained network looks for: its learned filters, and what they answer to example particles. Arrays only."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from icecore_dagster.learning.networks.training import TaskRows
from icecore_dagster.learning.networks.transforms import TransformSpec, normalise

if TYPE_CHECKING:
    from torch import Tensor, nn

    from icecore_dagster.learning.networks.modules import ParticleNetwork

SHOWN_CONVOLUTIONS = 3


@dataclass(frozen=True)
class NetworkInside:
    """The first convolutions of a network, in the order in which the image passes them.

    Attributes:
        filters: by name of the convolution, float32 (filters, inputs, side, side): its weights.
        examples: by class, uint8 (size, size): the particle that was shown to the network.
        maps: by name of the convolution, float32 (examples, filters, height, width): what it gives for each example,
            before anything else is done to it.
    """

    filters: dict[str, np.ndarray]
    examples: dict[str, np.ndarray]
    maps: dict[str, np.ndarray]


def example_rows(rows: TaskRows, classes: Collection[str]) -> dict[str, int]:
    """The first validation particle of each class; of a class that has none, the first training particle.

    Args:
        rows: of the task.
        classes: names in the order of the targets.
    """
    in_order = np.concatenate([rows.validation, rows.train])
    return {name: int(in_order[rows.targets[in_order] == i][0]) for i, name in enumerate(classes)}


def look_into(network: "ParticleNetwork", examples: dict[str, np.ndarray], transform: TransformSpec) -> NetworkInside:
    """Filters and feature maps of a network's first three convolutions.

    Args:
        network: with weights loaded, on the CPU.
        examples: by class, uint8 (size, size), squashed by `to_network_input`.
        transform: the network's own.
    """
    import torch

    layers = _first_convolutions(network)
    maps: dict[str, np.ndarray] = {}

    def keep(name: str, _layer: "nn.Module", _taken: object, given: "Tensor") -> None:
        maps[name] = given.numpy().copy()

    hooks = [layer.register_forward_hook(partial(keep, name)) for name, layer in layers.items()]
    try:
        network.eval()
        with torch.inference_mode():
            # The image's trunk alone: properties do not reach the convolutions.
            network.body(normalise(np.stack(list(examples.values())), transform))
    finally:
        for hook in hooks:
            hook.remove()
    return NetworkInside({name: layer.weight.detach().numpy().copy() for name, layer in layers.items()}, examples, maps)


def _first_convolutions(network: "ParticleNetwork") -> dict[str, "nn.Conv2d"]:
    from torch import nn

    every = {name: module for name, module in network.body.named_modules() if isinstance(module, nn.Conv2d)}
    return dict(list(every.items())[:SHOWN_CONVOLUTIONS])
