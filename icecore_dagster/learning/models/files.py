"""Each kind of model to and from its weights file: network, trees, forest and map."""

from collections.abc import Collection
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from upath import UPath

from icecore_dagster.learning.anomaly.forest import DustForest, TrainedForest
from icecore_dagster.learning.anomaly.isolation import IsolationTrees
from icecore_dagster.learning.anomaly.separation import Separation
from icecore_dagster.learning.maps import FittedMap, MapConfig
from icecore_dagster.learning.metrics import ClassificationMetrics
from icecore_dagster.learning.models.card import (
    ModelCard,
    ModelKind,
    ModelMismatchError,
    Provenance,
    load_model,
    save_model,
)
from icecore_dagster.learning.models.graphs import BATCH_SIZE, export_graph
from icecore_dagster.learning.networks.architectures import build_network
from icecore_dagster.learning.networks.training import TrainedNetwork
from icecore_dagster.learning.networks.transforms import TransformSpec
from icecore_dagster.learning.trees.boosting import Loss, TrainedTrees, class_probabilities, feature_matrix

if TYPE_CHECKING:
    import lightgbm

    from icecore_dagster.learning.networks.modules import ParticleNetwork

_HELD_OUT = "held_out_dust_scores"


@dataclass(frozen=True)
class NetworkModel:
    """A network read back, with its card."""

    card: ModelCard
    network: "ParticleNetwork"


@dataclass(frozen=True)
class TreesModel:
    """Trees read back, with their card."""

    card: ModelCard
    booster: "lightgbm.Booster"

    def probabilities(self, particles: pd.DataFrame) -> np.ndarray:
        """Probabilities of the classes, float64 (n, classes), of particles that have at least the trees' features."""
        if len(particles) == 0:
            return np.empty((0, len(self.card.classes)))
        matrix = feature_matrix(particles, self.card.features)
        return class_probabilities(self.booster, matrix, Loss(self.card.config["loss"]))


@dataclass(frozen=True)
class ForestModel:
    """A forest read back, with its card."""

    card: ModelCard
    forest: DustForest


@dataclass(frozen=True)
class MapModel:
    """A map read back, with its card."""

    card: ModelCard
    fitted: FittedMap


def save_network(root: UPath | Path, trained: TrainedNetwork, provenance: Provenance) -> ModelCard:
    """Save a trained network as safetensors, and exported, and make it current; returns its card."""
    from safetensors.torch import save

    card = new_card(
        "network",
        provenance,
        ("torch", "numpy"),
        task=trained.task,
        classes=trained.classes,
        architecture=trained.architecture,
        features=trained.features,
        transform=trained.transform,
        config={**asdict(trained.config), "start": trained.start},
        metrics=metrics_by_epoch(trained),
    )
    weights = save({name: value.contiguous() for name, value in trained.state.items()})
    return save_model(root, card, weights, export_network(trained.network(), trained.transform, trained.features))


def export_network(network: "ParticleNetwork", transform: TransformSpec, features: Collection[str]) -> bytes:
    """Write a network as an ONNX graph.

    Args:
        network: with its weights.
        transform: how its images are prepared; the graph takes them as they are stored.
        features: properties that it reads; none for a network on images alone.

    Returns:
        A graph from images, uint8 (n, 1, size, size), and properties, float32 (n, f), where there are features, to
        probabilities (n, classes) and embeddings (n, d).
    """
    import torch

    from icecore_dagster.learning.networks.modules import Answers, with_pooled_rows

    examples = {"images": torch.zeros(BATCH_SIZE, 1, transform.size_px, transform.size_px, dtype=torch.uint8)}
    if features:
        examples["properties"] = torch.zeros(BATCH_SIZE, len(features))
    answers = Answers(with_pooled_rows(network.cpu()), transform.grey_mean, transform.grey_sd)
    return export_graph(answers, examples, ("probabilities", "embeddings"))


def load_network(root: UPath | Path) -> NetworkModel:
    """Read the current network; raises as `load_model`.

    Raises:
        ModelMismatchError: its architecture was another one when it was trained.
    """
    from safetensors.torch import load

    card, weights = load_model(root, "network")
    network = build_network(str(card.architecture), len(card.classes))
    try:
        network.load_state_dict(load(weights))
    except RuntimeError as error:
        raise ModelMismatchError(
            f"{root}: these are not the weights that {card.architecture} has in this version; train it again"
        ) from error
    return NetworkModel(card, network.eval())


def save_trees(
    root: UPath | Path, trained: TrainedTrees, provenance: Provenance, built_on: dict[str, str] | None = None
) -> ModelCard:
    """Save trained trees in LightGBM's text format and make them current; returns their card.

    Args:
        root: folder of the trees.
        trained: the trees.
        provenance: where they come from.
        built_on: content hash of each model that computed features, by kind.
    """
    card = new_card(
        "trees",
        provenance,
        ("lightgbm", "numpy"),
        task=trained.task,
        classes=trained.classes,
        features=trained.features,
        built_on=built_on or {},
        config=asdict(trained.config),
        metrics={
            "validation": trained.validation.model_dump(mode="json"),
            "test": trained.test.model_dump(mode="json"),
            "best_round": trained.best_round,
            "importance": trained.importance.to_dict(orient="records"),
        },
    )
    return save_model(root, card, trained.booster_text.encode())


def load_trees(root: UPath | Path) -> TreesModel:
    """Read the current trees; raises as `load_model`, or if the text names other features than the card."""
    import lightgbm

    card, weights = load_model(root, "trees")
    booster = lightgbm.Booster(model_str=weights.decode())
    if tuple(booster.feature_name()) != card.features:
        raise ModelMismatchError(f"{root}: the trees' own feature names are not those of their card; train them again")
    return TreesModel(card, booster)


def save_forest(root: UPath | Path, trained: TrainedForest, provenance: Provenance) -> ModelCard:
    """Save a grown forest with its held-out dust scores as safetensors and make it current; returns its card."""
    from safetensors.numpy import save

    model = trained.model
    card = new_card(
        "forest",
        provenance,
        ("scikit-learn", "numpy"),
        features=model.features,
        medians=model.medians,
        config=asdict(trained.config),
        metrics={
            "trained_on": trained.trained_on,
            **separations(trained.separation, trained.separation_from_unknown),
            **held_out_dust(model.held_out_dust_scores),
        },
    )
    trees = {field.name: getattr(model.trees, field.name) for field in fields(IsolationTrees)}
    return save_model(root, card, save({**trees, _HELD_OUT: model.held_out_dust_scores}))


def load_forest(root: UPath | Path) -> ForestModel:
    """Read the current forest; raises as `load_model`."""
    from safetensors.numpy import load

    card, weights = load_model(root, "forest")
    arrays = load(weights)
    held_out = arrays.pop(_HELD_OUT)
    trees = IsolationTrees(**{field.name: arrays[field.name] for field in fields(IsolationTrees)})
    return ForestModel(card, DustForest(trees, card.features, dict(card.medians), held_out))


def save_map(root: UPath | Path, fitted: FittedMap, network: ModelCard, provenance: Provenance) -> ModelCard:
    """Save a fitted map as safetensors and make it current; returns its card.

    Args:
        root: folder of the map.
        fitted: the map.
        network: card of the network whose embedding was mapped; only that network's particles can be placed.
        provenance: where it comes from.
    """
    from safetensors.numpy import save

    card = new_card(
        "map",
        provenance,
        ("umap-learn", "numba", "numpy"),
        task=network.task,
        architecture=network.architecture,
        built_on={"network": network.content_hash},
        config={**asdict(fitted.config), "seed": fitted.seed},
        metrics={"particles": len(fitted.coordinates)},
    )
    return save_model(root, card, save({"coordinates": fitted.coordinates, "vectors": fitted.vectors}))


def load_map(root: UPath | Path) -> MapModel:
    """Read the current map; raises as `load_model`."""
    from safetensors.numpy import load

    card, weights = load_model(root, "map")
    arrays, config = load(weights), dict(card.config)
    seed = config.pop("seed")
    return MapModel(card, FittedMap(arrays["coordinates"], arrays["vectors"], MapConfig(**config), seed))


def separations(known: Separation | None, unknown: Separation | None) -> dict[str, Any]:
    """The metrics of a model of dust: how well it separates dust from other labels, and from no known class."""
    return {
        "separation": known.model_dump(mode="json") if known else None,
        "separation_from_unknown": unknown.model_dump(mode="json") if unknown else None,
    }


def held_out_dust(scores: np.ndarray) -> dict[str, Any]:
    """How the scores of held-out dust, float (m,), are distributed."""
    shares = (0.0, 0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 1.0)
    return {
        "held_out_dust": len(scores),
        "held_out_dust_quantiles": {str(q): float(np.quantile(scores, q)) for q in shares},
    }


class TrainedByEpoch(Protocol):
    """What is known of a classifier that was trained epoch by epoch."""

    @property
    def validation(self) -> ClassificationMetrics:
        """Metrics on the validation particles."""

    @property
    def test(self) -> ClassificationMetrics:
        """Metrics on the test particles."""

    @property
    def best_epoch(self) -> int:
        """Epoch whose weights were kept."""

    @property
    def history(self) -> pd.DataFrame:
        """One row an epoch."""


def metrics_by_epoch(trained: TrainedByEpoch) -> dict[str, Any]:
    """The metrics of such a classifier as its card holds them."""
    return {
        "validation": trained.validation.model_dump(mode="json"),
        "test": trained.test.model_dump(mode="json"),
        "best_epoch": trained.best_epoch,
        # Without the clock, so that the same training gives the same content.
        "history": trained.history.drop(columns="seconds").to_dict(orient="records"),
    }


def new_card(kind: ModelKind, provenance: Provenance, libraries: tuple[str, ...], **fields: Any) -> ModelCard:
    """The card of a model that has just been trained.

    Args:
        kind: what sort of model it is.
        provenance: what it learnt from.
        libraries: packages whose versions are recorded.
        **fields: further fields of `ModelCard`.
    """
    return ModelCard(
        kind=kind,
        training_data=provenance.training_data,
        split_kind=provenance.split_kind,
        energy=provenance.energy,
        library_versions={name: version(name) for name in libraries},
        created_at=datetime.now(UTC),
        **fields,
    )
