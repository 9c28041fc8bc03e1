"""Scoring a stream of particles: images and properties in, predictions, anomaly scores and embeddings out.

One pass through the network serves predictions and embeddings. While one block is being finished, the network looks at
the next and the one after it is read; memory is bounded by these three, and a particle's scores do not depend on the
block that it came in.
"""

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import ThreadpoolController
from upath import UPath

from icecore_dagster.learning.features.sets import MEASURED
from icecore_dagster.learning.maps import place_on_map
from icecore_dagster.learning.models.ahead import ahead
from icecore_dagster.learning.models.autoencoder_file import ScoringAutoencoder, load_scoring_autoencoder
from icecore_dagster.learning.models.card import ModelMismatchError, check_fits, current_hash
from icecore_dagster.learning.models.files import (
    ForestModel,
    MapModel,
    TreesModel,
    load_forest,
    load_map,
    load_trees,
)
from icecore_dagster.learning.models.for_scoring import ScoringNetwork, load_scoring_network
from icecore_dagster.learning.networks.architectures import NetworkOutput, architecture_of
from icecore_dagster.learning.networks.tensors import NETWORK_INPUT_PX, to_network_input
from icecore_dagster.learning.trees.boosting import feature_matrix
from icecore_dagster.particles.labels import BACKGROUND_LABELS, TASKS, Task
from icecore_dagster.particles.properties import FEATURES

log = logging.getLogger(__name__)

IDENTITY = ("particle_id", "run", "core", "segment", "replicate")
"""Columns that every table of scores carries over from the particles, where they are there."""

AUTOENCODER = "convolutional"
"""Kind of autoencoder that scores, where one has been trained."""

Crops = Sequence[np.ndarray | None]
"""One uint8 (h, w) crop a particle, None where a particle has no image."""


@dataclass(frozen=True)
class ScoringModels:
    """Models that belong together; each may be None if what it is for is not wanted.

    Attributes:
        task: whose classes are predicted.
        network: for predictions and the embedding.
        trees: for predictions.
        forest: for anomaly scores.
        map: for places on the map.
        autoencoder: for reconstruction errors beside the forest's scores; scoring does without.
    """

    task: Task
    network: ScoringNetwork | None = None
    trees: TreesModel | None = None
    forest: ForestModel | None = None
    map: MapModel | None = None
    autoencoder: ScoringAutoencoder | None = None

    @property
    def versions(self) -> dict[str, str]:
        """Content hash of each model, by kind."""
        models = (self.network, self.trees, self.forest, self.map, self.autoencoder)
        return {model.card.kind: model.card.content_hash for model in models if model is not None}


@dataclass(frozen=True)
class ScoredBlock:
    """Scores of one block, rows in the block's order; None for what was switched off.

    Attributes:
        predictions: predicted_class, interest, and p_<class>, p_cnn_<class>, p_lightgbm_<class> for each class.
        anomaly: anomaly_score, dust_share_more_anomalous, reconstruction_error, dust_share_worse_drawn; the last two
            are NaN without an autoencoder and for a particle without an image.
        embedding: map_x, map_y and e_00, e_01, ... (float32), NaN for a particle without an image.
    """

    predictions: pd.DataFrame | None
    anomaly: pd.DataFrame | None
    embedding: pd.DataFrame | None


def load_scoring_models(
    models_root: UPath | Path,
    task: str,
    architecture: str,
    *,
    predictions: bool = True,
    anomaly: bool = True,
    embedding: bool = True,
    features: str = MEASURED,
) -> ScoringModels:
    """Load the current models and refuse those that do not belong together.

    Args:
        models_root: folder that holds cnn_model/<task>/<architecture>, lightgbm_model/<task>/<features>,
            isolation_forest and synthetic_umap, and autoencoder/<kind> where one has been trained; local or remote.
        task: key of the task to predict.
        architecture: of the image network.
        predictions: whether the network and the trees are needed.
        anomaly: whether the forest is needed, and the autoencoder if there is one.
        embedding: whether the network and the map are needed.
        features: key of the feature set of the trees; ice has measured properties only.

    Raises:
        ValueError: unknown task or architecture.
        ModelNotFoundError: a model that is needed was never saved.
        ModelMismatchError: a model is for another task, or the map is of another network.
    """
    if task not in TASKS:
        raise ValueError(f"no task {task!r}; known: {', '.join(TASKS)}")
    transform = architecture_of(architecture).transform
    network = (
        load_scoring_network(models_root / "cnn_model" / task / architecture) if predictions or embedding else None
    )
    trees = load_trees(models_root / "lightgbm_model" / task / features) if predictions else None
    forest = load_forest(models_root / "isolation_forest") if anomaly else None
    placed = load_map(models_root / "synthetic_umap") if embedding else None
    dust_drawer = models_root / "autoencoder" / AUTOENCODER
    autoencoder = load_scoring_autoencoder(dust_drawer) if anomaly and current_hash(dust_drawer) else None
    classes = TASKS[task].classes
    if network:
        check_fits(
            network.card,
            task=task,
            classes=classes,
            architecture=architecture,
            transform=transform,
            available=FEATURES,
        )
    if trees:
        check_fits(trees.card, task=task, classes=classes, available=FEATURES)
    if forest:
        check_fits(forest.card, available=FEATURES)
    if network and placed and placed.card.built_on.get("network") != network.card.content_hash:
        raise ModelMismatchError(
            f"the map was fitted on another network ({placed.card.task} {placed.card.architecture}) than the current "
            f"{task} {architecture}: fit the map again (asset synthetic_umap), or score without embedding"
        )
    models = ScoringModels(TASKS[task], network, trees, forest, placed, autoencoder)
    _warn_of_unlike_training(models)
    return models


def score_blocks(
    blocks: Iterable[tuple[pd.DataFrame, Crops | None]],
    models: ScoringModels,
    *,
    predictions: bool = True,
    anomaly: bool = True,
    embedding: bool = True,
) -> Iterator[ScoredBlock]:
    """Score particles block by block, in the order in which they come.

    Up to three blocks are in memory: the network begins one before the last one is finished, and another is read ahead.

    Args:
        blocks: for each block the particles (particle_id and the models' features, one row a particle) and their crops
            in the same order; None for a block without images.
        models: that belong together.
        predictions: whether to predict classes, with whichever of network and trees is there.
        anomaly: whether to score anomaly.
        embedding: whether to give the network's embedding and places on the map.

    Yields:
        One `ScoredBlock` a block.

    Raises:
        ModelMismatchError: the particles lack a property, or a model that is needed was not loaded.
        ValueError: the number of crops is not that of particles.
    """
    _check_loaded(models, predictions, anomaly, embedding)
    network = models.network if predictions or embedding else None
    autoencoder = models.autoencoder if anomaly else None
    # The network keeps every processor busy; more threads for the rest only take turns with it.
    threads, most = ThreadpoolController(), {"openmp": 1} if network else None
    prepared = ahead((_prepared(*block, network) for block in blocks), "read")
    for block, seen in _looked_at(prepared, network, autoencoder):
        particles = block.particles
        with threads.limit(limits=most):
            scored = ScoredBlock(
                predictions=_predictions(particles, seen.network, models) if predictions else None,
                anomaly=_anomaly(particles, seen.errors, models) if anomaly and models.forest else None,
                embedding=_embedding(particles, seen.network, models.map)
                if embedding and seen.network and models.map
                else None,
            )
        yield scored


def background_classes(task: Task) -> tuple[str, ...]:
    """Classes of a task that hold nothing but labels nobody searches the ice for."""
    searched = {task.class_of[label] for label in task.class_of if label not in BACKGROUND_LABELS}
    return tuple(name for name in task.classes if name not in searched)


@dataclass(frozen=True)
class _Prepared:
    """A block as the networks take it.

    Attributes:
        particles: one row a particle.
        with_image: int (k,), rows that have an image.
        images: uint8 (k, size, size), theirs.
        properties: float (k, f), what the network reads of them.
    """

    particles: pd.DataFrame
    with_image: np.ndarray
    images: np.ndarray
    properties: np.ndarray


@dataclass(frozen=True)
class _Seen:
    """What the networks make of a block, NaN where a particle has no image.

    Attributes:
        network: probabilities and embeddings; None without a network.
        errors: float64 (n,), of the autoencoder.
    """

    network: NetworkOutput | None
    errors: np.ndarray


def _prepared(particles: pd.DataFrame, crops: Crops | None, model: ScoringNetwork | None) -> _Prepared:
    if crops is not None and len(crops) != len(particles):
        raise ValueError(f"{len(crops)} crops for {len(particles)} particles: one each is needed, None without image")
    rows = [i for i, crop in enumerate(crops or []) if crop is not None]
    size = model.card.transform.size_px if model and model.card.transform else NETWORK_INPUT_PX
    images = np.empty((len(rows), size, size), dtype=np.uint8)
    for place, i in enumerate(rows):
        images[place] = to_network_input(crops[i], size)  # type: ignore[index,arg-type]
    properties = np.empty((len(rows), 0))
    if model:
        check_fits(model.card, available=list(particles.columns))
        properties = feature_matrix(particles, model.card.features)[rows]
    return _Prepared(particles, np.array(rows, dtype=np.intp), images, properties)


def _looked_at(
    blocks: Iterator[_Prepared], model: ScoringNetwork | None, autoencoder: ScoringAutoencoder | None
) -> Iterator[tuple[_Prepared, _Seen]]:
    """Each block with what the networks make of it; the network computes the next one while one is finished."""
    if model is None:
        yield from ((block, _Seen(None, _errors(block, autoencoder))) for block in blocks)
        return
    begun: deque[tuple[_Prepared, np.ndarray]] = deque()

    def inputs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for block in blocks:
            begun.append((block, _errors(block, autoencoder)))
            yield block.images, block.properties

    for found in model.run_each(inputs()):
        block, errors = begun.popleft()
        yield block, _Seen(_for_all(block, found), errors)


def _for_all(block: _Prepared, found: NetworkOutput) -> NetworkOutput:
    """What was found in a block's images, with rows for particles without one."""
    n, rows = len(block.particles), block.with_image
    if len(rows) == n:
        return found
    every = NetworkOutput(
        np.full((n, found.probabilities.shape[1]), np.nan, dtype=np.float32),
        np.full((n, found.embeddings.shape[1]), np.nan, dtype=np.float32),
    )
    every.probabilities[rows], every.embeddings[rows] = found
    return every


def _errors(block: _Prepared, autoencoder: ScoringAutoencoder | None) -> np.ndarray:
    errors = np.full(len(block.particles), np.nan)
    if autoencoder is not None and len(block.with_image):
        errors[block.with_image] = autoencoder.reconstruct(block.images).errors
    return errors


def _predictions(particles: pd.DataFrame, seen: NetworkOutput | None, models: ScoringModels) -> pd.DataFrame:
    classes = models.task.classes
    nothing = np.full((len(particles), len(classes)), np.nan)
    by_network = seen.probabilities.astype(np.float64) if seen else nothing
    by_trees = _tree_probabilities(particles, models.trees) if models.trees else nothing
    could = np.stack([~np.isnan(by_network).any(axis=1), ~np.isnan(by_trees).any(axis=1)])
    if not could.any(axis=0).all():
        first = particles["particle_id"].iloc[int(np.argmin(could.any(axis=0)))]
        raise ModelMismatchError(
            f"particle {first} has no image and there are no trees to score it; load the trees too"
        )
    total = np.where(could[0][:, None], by_network, 0.0) + np.where(could[1][:, None], by_trees, 0.0)
    mean = total / could.sum(axis=0)[:, None]
    background = [classes.index(name) for name in background_classes(models.task)]
    columns = {
        "predicted_class": np.asarray(classes, dtype=object)[mean.argmax(axis=1)],
        "interest": np.clip(1.0 - mean[:, background].sum(axis=1), 0.0, 1.0),
    }
    for prefix, values in (("p", mean), ("p_cnn", by_network), ("p_lightgbm", by_trees)):
        columns |= {f"{prefix}_{name}": values[:, i] for i, name in enumerate(classes)}
    return _table(particles, columns)


def _tree_probabilities(particles: pd.DataFrame, trees: TreesModel) -> np.ndarray:
    check_fits(trees.card, available=list(particles.columns))
    return trees.probabilities(particles)


def _anomaly(particles: pd.DataFrame, errors: np.ndarray, models: ScoringModels) -> pd.DataFrame:
    assert models.forest is not None
    check_fits(models.forest.card, available=list(particles.columns))
    forest = models.forest.forest
    scores = forest.score(particles)
    return _table(
        particles,
        {
            "anomaly_score": scores,
            "dust_share_more_anomalous": forest.dust_share_more_anomalous(scores),
            "reconstruction_error": errors,
            "dust_share_worse_drawn": models.autoencoder.dust_share_worse(errors) if models.autoencoder else errors,
        },
    )


def _embedding(particles: pd.DataFrame, seen: NetworkOutput, placed: MapModel) -> pd.DataFrame:
    vectors = seen.embeddings
    has_image = ~np.isnan(vectors).any(axis=1)
    places = np.full((len(vectors), 2), np.nan, dtype=np.float32)
    places[has_image] = place_on_map(placed.fitted, vectors[has_image])
    columns = {"map_x": places[:, 0], "map_y": places[:, 1]}
    return _table(particles, columns | {f"e_{i:02d}": vectors[:, i] for i in range(vectors.shape[1])})


def _table(particles: pd.DataFrame, columns: dict[str, np.ndarray]) -> pd.DataFrame:
    identity = {name: particles[name].to_numpy() for name in IDENTITY if name in particles.columns}
    return pd.DataFrame(identity | columns)


def _check_loaded(models: ScoringModels, predictions: bool, anomaly: bool, embedding: bool) -> None:
    lacking = []
    if predictions and models.network is None and models.trees is None:
        lacking.append("predictions need the network or the trees")
    if anomaly and models.forest is None:
        lacking.append("anomaly scores need the forest")
    if embedding and (models.network is None or models.map is None):
        lacking.append("the embedding needs the network and the map")
    if lacking:
        raise ModelMismatchError(f"{'; '.join(lacking)}: load them, or switch off what they are for")


def _warn_of_unlike_training(models: ScoringModels) -> None:
    """Models that saw different versions of the labelled data still fit together, but should be looked at."""
    every = (models.network, models.trees, models.forest, models.autoencoder)
    loaded = [model.card for model in every if model is not None]
    for name in sorted({name for card in loaded for name in card.training_data}):
        versions = {card.kind: card.training_data[name] for card in loaded if name in card.training_data}
        if len(set(versions.values())) > 1:
            log.warning("models learnt from different versions of %s: %s; train them again to compare", name, versions)
