"""From the laboratory's labelled particles to a saved model: one function a model, each measured in energy."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import pandas as pd

from icecore_dagster.learning.anomaly import ForestConfig, TrainedForest, train_forest
from icecore_dagster.learning.energy import EnergyUse, measure_energy
from icecore_dagster.learning.labelled_set import LabelledSet, open_labelled_set
from icecore_dagster.learning.maps import MapConfig, fit_map
from icecore_dagster.learning.model_files import (
    load_forest,
    load_network,
    save_forest,
    save_map,
    save_network,
    save_trees,
)
from icecore_dagster.learning.models import ModelCard, Provenance
from icecore_dagster.learning.networks.training import TrainedNetwork, TrainingConfig, run_on_rows, train_network
from icecore_dagster.learning.networks.transforms import TransformSpec
from icecore_dagster.learning.trees import TrainedTrees, TreesConfig, train_trees
from icecore_dagster.particles.labels import TASKS
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.properties import FEATURES


class SplitKind(StrEnum):
    """How the labelled particles are divided: the headline is by run; the study's is by image."""

    BY_RUN = "by run"
    BY_IMAGE = "by image"


_SPLIT_COLUMN = {SplitKind.BY_RUN: "split", SplitKind.BY_IMAGE: "split_by_image"}


@dataclass(frozen=True)
class FittedNetwork:
    """A trained network and the card under which it was saved."""

    card: ModelCard
    trained: TrainedNetwork


@dataclass(frozen=True)
class FittedTrees:
    """Trained trees and the card under which they were saved."""

    card: ModelCard
    trained: TrainedTrees


@dataclass(frozen=True)
class FittedForest:
    """A grown forest, the card under which it was saved, and the labelled particles' scores (label, anomaly_score)."""

    card: ModelCard
    trained: TrainedForest
    scores: pd.DataFrame


@dataclass(frozen=True)
class MappedParticles:
    """The card of a saved map, and a row a labelled particle: particle_id, run, class, anomaly_score, map_x, map_y."""

    card: ModelCard
    points: pd.DataFrame


def fit_network(
    lab: Laboratory,
    task: str,
    architecture: str,
    config: TrainingConfig,
    *,
    split: SplitKind = SplitKind.BY_RUN,
    country: str = "DNK",
) -> FittedNetwork:
    """Train an image network on the labelled particles and save it as `models/cnn_model/<task>/<architecture>`.

    Args:
        lab: the laboratory.
        task: key of the task.
        architecture: key in the registry.
        config: how to train.
        split: which division of the labelled particles to use.
        country: ISO code of the country whose electricity is used.
    """
    labelled = open_labelled_set(lab)
    with measure_energy(country) as meter:
        trained = train_network(
            labelled.tensors, labelled.table["label"], _sides(labelled, split), TASKS[task], architecture, config
        )
    root = lab.store.models / "cnn_model" / task / architecture
    return FittedNetwork(save_network(root, trained, _provenance(labelled, split, meter.use)), trained)


def fit_trees(
    lab: Laboratory,
    task: str,
    config: TreesConfig,
    *,
    columns: Sequence[str] = FEATURES,
    split: SplitKind = SplitKind.BY_RUN,
    country: str = "DNK",
) -> FittedTrees:
    """Train LightGBM on the labelled particles' properties and save it as `models/lightgbm_model/<task>`."""
    labelled = open_labelled_set(lab)
    labels, sides = labelled.table["label"], _sides(labelled, split)
    with measure_energy(country) as meter:
        trained = train_trees(labelled.table, labels, sides, TASKS[task], config, columns)
    root = lab.store.models / "lightgbm_model" / task
    return FittedTrees(save_trees(root, trained, _provenance(labelled, split, meter.use)), trained)


def fit_forest(
    lab: Laboratory,
    config: ForestConfig,
    *,
    columns: Sequence[str] = FEATURES,
    split: SplitKind = SplitKind.BY_RUN,
    country: str = "DNK",
) -> FittedForest:
    """Grow the isolation forest on labelled dust and save it as `models/isolation_forest`."""
    labelled = open_labelled_set(lab)
    sides = _sides(labelled, split)
    with measure_energy(country) as meter:
        trained = train_forest(labelled.table, labelled.table["label"], sides, config, columns)
    card = save_forest(lab.store.models / "isolation_forest", trained, _provenance(labelled, split, meter.use))
    held_out = labelled.table[sides != "train"]
    scores = pd.DataFrame({"label": held_out["label"], "anomaly_score": trained.model.score(held_out)})
    return FittedForest(card, trained, scores)


def fit_labelled_map(
    lab: Laboratory, task: str, architecture: str, config: MapConfig, *, most: int, seed: int, country: str = "DNK"
) -> MappedParticles:
    """Map the labelled particles by a network's embedding and save the map as `models/synthetic_umap`.

    Args:
        lab: the laboratory.
        task: task of the network whose embedding is mapped.
        architecture: its architecture.
        config: how the map is fitted.
        most: particles to map at most; more are sampled, the same share of each label.
        seed: of the sample and of the fit.
        country: ISO code of the country whose electricity is used.
    """
    labelled = open_labelled_set(lab)
    model = load_network(lab.store.models / "cnn_model" / task / architecture)
    rows = sample_evenly(labelled.table["label"], most, seed)
    chosen = labelled.table.iloc[rows].reset_index(drop=True)
    transform = model.card.transform or TransformSpec()
    with measure_energy(country) as meter:
        fitted = fit_map(run_on_rows(model.network, labelled.tensors, rows, transform).embeddings, seed, config)
    provenance = replace(_provenance(labelled, SplitKind.BY_RUN, meter.use), split_kind=model.card.split_kind)
    card = save_map(lab.store.models / "synthetic_umap", fitted, model.card, provenance)
    forest = load_forest(lab.store.models / "isolation_forest").forest
    points = pd.DataFrame(
        {
            "particle_id": chosen["particle_id"],
            "run": chosen["run"],
            "class": chosen["label"],
            "anomaly_score": forest.score(chosen),
            "map_x": fitted.coordinates[:, 0],
            "map_y": fitted.coordinates[:, 1],
        }
    )
    return MappedParticles(card, points)


def sample_evenly(groups: pd.Series, most: int, seed: int) -> np.ndarray:
    """Positions of at most `most` rows, the same share of every group, in ascending order: int64 (m,).

    Args:
        groups: group of each row.
        most: how many rows at most; every group keeps at least one.
        seed: the same seed takes the same rows.
    """
    if len(groups) <= most:
        return np.arange(len(groups))
    rng = np.random.default_rng(seed)
    return np.sort(np.concatenate(list(_shares(groups, most / len(groups), rng))))


def _shares(groups: pd.Series, share: float, rng: np.random.Generator) -> Iterator[np.ndarray]:
    positions = pd.Series(np.arange(len(groups)))
    for _, members in positions.groupby(groups.to_numpy(), sort=True):
        yield rng.choice(members.to_numpy(), max(1, int(share * len(members))), replace=False)


def _sides(labelled: LabelledSet, split: SplitKind) -> pd.Series:
    return labelled.table[_SPLIT_COLUMN[split]]


def _provenance(labelled: LabelledSet, split: SplitKind, energy: EnergyUse) -> Provenance:
    return Provenance(training_data=labelled.versions, split_kind=split, energy=energy)
