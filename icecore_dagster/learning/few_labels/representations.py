"""Ways to place particles so that near means alike: the siamese network's, a classifier's, the measured properties."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from icecore_dagster.learning.few_labels.siamese import TrainedSiamese, embed_rows
from icecore_dagster.learning.labelled_set import LabelledSet
from icecore_dagster.learning.models.files import NetworkModel
from icecore_dagster.learning.networks.tensors import TensorSet
from icecore_dagster.learning.networks.training import run_on_rows
from icecore_dagster.learning.networks.transforms import TransformSpec
from icecore_dagster.learning.trees.boosting import feature_matrix
from icecore_dagster.particles.labels import TASKS
from icecore_dagster.particles.properties import FEATURES
from icecore_dagster.particles.split import TEST, TRAIN, VALIDATION

SIAMESE, PROPERTIES = "siamese network", "standardised properties"


@dataclass(frozen=True)
class HeldOutSet:
    """The labelled particles that representations are compared on, a bounded number of each label and side.

    Attributes:
        table: particles with their properties, and the columns label, run and split.
        rows: int64 (n,), where each lies among all labelled particles.
        held_out: labels that the siamese network never saw.
    """

    table: pd.DataFrame
    rows: np.ndarray
    held_out: tuple[str, ...]

    @property
    def labels(self) -> np.ndarray:
        """Label of each particle: object (n,)."""
        return self.table["label"].to_numpy(dtype=object)

    @property
    def runs(self) -> np.ndarray:
        """Run of each particle: object (n,)."""
        return self.table["run"].to_numpy(dtype=object)

    @property
    def sides(self) -> np.ndarray:
        """Side of each particle, "train", "validation" or "test": object (n,)."""
        return self.table["split"].to_numpy(dtype=object)

    @property
    def known(self) -> tuple[str, ...]:
        """Labels that are not held out."""
        return tuple(sorted(set(self.labels) - set(self.held_out)))


@dataclass(frozen=True)
class Representation:
    """One way to place the particles of a `HeldOutSet`.

    Attributes:
        name: what people call it.
        vectors: float64 (n, d); Euclidean distance is how unlike two particles are.
        saw_held_out: whether it learnt from the held-out labels, which makes them not new to it.
    """

    name: str
    vectors: np.ndarray
    saw_held_out: bool


def choose_held_out_set(table: pd.DataFrame, held_out: Collection[str], *, most: int, seed: int) -> HeldOutSet:
    """Draw at most so many labelled particles of each label and side.

    Args:
        table: labelled particles with the columns label, run and split.
        held_out: labels that the siamese network never saw.
        most: particles of a label on one side.
        seed: the same seed draws the same.
    """
    rng = np.random.default_rng(seed)
    used = table.reset_index(drop=True)
    used = used[used["split"].isin([TRAIN, VALIDATION, TEST])]
    groups = [members.index.to_numpy() for _, members in used.groupby(["label", "split"], sort=True)]
    rows = np.sort(np.concatenate([rng.permutation(members)[:most] for members in groups]))
    return HeldOutSet(table.iloc[rows].reset_index(drop=True), rows, tuple(held_out))


def by_siamese(trained: TrainedSiamese, tensors: TensorSet, chosen: HeldOutSet) -> Representation:
    """Places by the siamese network: unit vectors."""
    vectors = embed_rows(trained.network(), tensors, chosen.rows, trained.transform)
    return Representation(SIAMESE, vectors.astype(np.float64), saw_held_out=False)


def by_classifier(model: NetworkModel, labelled: LabelledSet, chosen: HeldOutSet) -> Representation:
    """Places by the activations of a classifier before its output layer; it has learnt whatever its task holds."""
    card = model.card
    properties = feature_matrix(labelled.table, card.features) if card.features else None
    seen = run_on_rows(model.network, labelled.tensors, chosen.rows, card.transform or TransformSpec(), properties)
    saw = bool(set(chosen.held_out) & set(TASKS[str(card.task)].class_of))
    return Representation(f"classifier {card.architecture} ({card.task})", seen.embeddings.astype(np.float64), saw)


def by_properties(chosen: HeldOutSet, columns: Sequence[str] = FEATURES) -> Representation:
    """Places by the measured properties, each less its mean and divided by its standard deviation.

    Both are those of the training particles of the labels that are not held out; a missing property is at its mean.
    """
    matrix = feature_matrix(chosen.table, columns)
    learnt = (chosen.sides == TRAIN) & ~np.isin(chosen.labels, chosen.held_out)
    measured = ~np.isnan(matrix[learnt]).all(axis=0)
    matrix = matrix[:, measured]
    mean, sd = np.nanmean(matrix[learnt], axis=0), np.nanstd(matrix[learnt], axis=0)
    standard = (matrix - mean) / np.where(sd > 0, sd, 1)
    return Representation(PROPERTIES, np.nan_to_num(standard), saw_held_out=False)
