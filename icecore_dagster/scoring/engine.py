"""Scoring a stream of particles: images and properties in, predictions, anomaly scores and embeddings out.

One pass through the network serves predictions and embeddings. Memory is bounded by a block, and a particle's scores do
not depend on the block or batch that it came in.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from upath import UPath

from icecore_dagster.learning.features.sets import MEASURED
from icecore_dagster.learning.maps import place_on_map
from icecore_dagster.learning.models.autoencoder_file import AutoencoderModel, load_autoencoder
from icecore_dagster.learning.models.card import ModelMismatchError, check_fits, current_hash
from icecore_dagster.learning.models.files import (
    ForestModel,
    MapModel,
    NetworkModel,
    TreesModel,
    load_forest,
    load_map,
    load_network,
    load_trees,
)
from icecore_dagster.learning.networks.architectures import BATCH_SIZE, NetworkOutput, architecture_of, run_network
from icecore_dagster.learning.networks.tensors import to_network_input
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
    network: NetworkModel | None = None
    trees: TreesModel | None = None
    forest: ForestModel | None = None
    map: MapModel | None = None
    autoencoder: AutoencoderModel | None = None

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
    network = load_network(models_root / "cnn_model" / task / architecture) if predictions or embedding else None
    trees = load_trees(models_root / "lightgbm_model" / task / features) if predictions else None
    forest = load_forest(models_root / "isolation_forest") if anomaly else None
    placed = load_map(models_root / "synthetic_umap") if embedding else None
    dust_drawer = models_root / "autoencoder" / AUTOENCODER
    autoencoder = load_autoencoder(dust_drawer) if anomaly and current_hash(dust_drawer) else None
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
    batch_size: int = BATCH_SIZE,
) -> Iterator[ScoredBlock]:
    """Score particles block by block, as they come.

    Args:
        blocks: for each block the particles (particle_id and the models' features, one row a particle) and their crops
            in the same order; None for a block without images.
        models: that belong together.
        predictions: whether to predict classes, with whichever of network and trees is there.
        anomaly: whether to score anomaly.
        embedding: whether to give the network's embedding and places on the map.
        batch_size: images that go through the network at a time.

    Yields:
        One `ScoredBlock` a block.

    Raises:
        ModelMismatchError: the particles lack a property, or a model that is needed was not loaded.
        ValueError: the number of crops is not that of particles.
    """
    _check_loaded(models, predictions, anomaly, embedding)
    for particles, crops in blocks:
        if crops is not None and len(crops) != len(particles):
            raise ValueError(
                f"{len(crops)} crops for {len(particles)} particles: one each is needed, None without image"
            )
        seen = _through_network(models.network, particles, crops, batch_size) if predictions or embedding else None
        yield ScoredBlock(
            predictions=_predictions(particles, seen, models) if predictions else None,
            anomaly=_anomaly(particles, crops, models.forest, models.autoencoder)
            if anomaly and models.forest
            else None,
            embedding=_embedding(particles, seen, models.map) if embedding and seen and models.map else None,
        )


def background_classes(task: Task) -> tuple[str, ...]:
    """Classes of a task that hold nothing but labels nobody searches the ice for."""
    searched = {task.class_of[label] for label in task.class_of if label not in BACKGROUND_LABELS}
    return tuple(name for name in task.classes if name not in searched)


def _through_network(
    model: NetworkModel | None, particles: pd.DataFrame, crops: Crops | None, batch_size: int
) -> NetworkOutput | None:
    """Probabilities and embeddings of particles, NaN where there is no image; one batch of inputs at a time."""
    if model is None:
        return None
    transform, n = model.card.transform, len(particles)
    assert transform is not None, "a network's card names its transform"
    check_fits(model.card, available=list(particles.columns))
    properties = feature_matrix(particles, model.card.features)
    out = NetworkOutput(
        np.full((n, model.network.output.out_features), np.nan, dtype=np.float32),
        np.full((n, model.network.output.in_features), np.nan, dtype=np.float32),
    )
    with_image = [i for i, crop in enumerate(crops or []) if crop is not None]
    for start in range(0, len(with_image), batch_size):
        rows = with_image[start : start + batch_size]
        inputs = np.stack([to_network_input(crops[i], transform.size_px) for i in rows])  # type: ignore[index,arg-type]
        batch = run_network(model.network, inputs, transform, properties[rows], batch_size=batch_size)
        out.probabilities[rows], out.embeddings[rows] = batch.probabilities, batch.embeddings
    return out


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


def _anomaly(
    particles: pd.DataFrame, crops: Crops | None, model: ForestModel, autoencoder: AutoencoderModel | None
) -> pd.DataFrame:
    check_fits(model.card, available=list(particles.columns))
    scores = model.forest.score(particles)
    errors = np.full(len(particles), np.nan)
    with_image = [i for i, crop in enumerate(crops or []) if crop is not None]
    if autoencoder is not None and with_image:
        images = np.stack([to_network_input(crops[i]) for i in with_image])  # type: ignore[index,arg-type]
        errors[with_image] = autoencoder.autoencoder.reconstruct(images).errors
    worse = autoencoder.autoencoder.dust_share_worse(errors) if autoencoder else errors
    return _table(
        particles,
        {
            "anomaly_score": scores,
            "dust_share_more_anomalous": model.forest.dust_share_more_anomalous(scores),
            "reconstruction_error": errors,
            "dust_share_worse_drawn": worse,
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
