"""Image networks as scoring needs them: exported when they were trained, so that torch is not imported to score."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from upath import UPath

from icecore_dagster.learning.models.card import ModelCard, load_exported
from icecore_dagster.learning.models.files import load_network
from icecore_dagster.learning.models.graphs import Arrays, Graph, TorchGraph, has_gpu, open_graph
from icecore_dagster.learning.networks.architectures import NetworkOutput


@dataclass(frozen=True)
class ScoringNetwork:
    """An image network ready to score, with its card."""

    card: ModelCard
    graph: Graph

    def run(self, images: np.ndarray, properties: np.ndarray) -> NetworkOutput:
        """Pass particles through the network.

        Args:
            images: uint8 (n, size, size), squashed by `tensors.to_network_input`.
            properties: float (n, f), the columns that the card names, NaN where missing.
        """
        return next(self.run_each([(images, properties)]))

    def run_each(self, blocks: Iterable[tuple[np.ndarray, np.ndarray]]) -> Iterator[NetworkOutput]:
        """Pass one block of particles after the other through the network; each as in `run`, in their order."""
        for found in self.graph.run_each(map(self._inputs, blocks)):
            yield NetworkOutput(found["probabilities"], found["embeddings"])

    def _inputs(self, block: tuple[np.ndarray, np.ndarray]) -> Arrays:
        images, properties = block
        inputs = {"images": images[:, None]}
        return inputs | ({"properties": properties.astype(np.float32)} if self.card.features else {})


def load_scoring_network(root: UPath | Path) -> ScoringNetwork:
    """Open the current network for scoring; raises as `load_exported`."""
    if has_gpu():
        return on_torch(root, "cuda")
    card, exported = load_exported(root, "network")
    return ScoringNetwork(card, open_graph(exported))


def on_torch(root: UPath | Path, device: str) -> ScoringNetwork:
    """Open the current network on a device of torch's; raises as `load_network`."""
    from icecore_dagster.learning.networks.modules import Answers

    model = load_network(root)
    transform, output = model.card.transform, model.network.output
    assert transform is not None, "a network's card names its transform"
    shapes = {"probabilities": (output.out_features,), "embeddings": (output.in_features,)}
    answers = Answers(model.network, transform.grey_mean, transform.grey_sd)
    return ScoringNetwork(model.card, TorchGraph(answers, shapes, device))
