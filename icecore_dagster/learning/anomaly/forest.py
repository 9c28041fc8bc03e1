"""The isolation forest: grown on labelled dust it says how unlike that a particle is, grown on a core how odd there.

Scores are scikit-learn's `decision_function`, as in the reference study: the more negative, the more anomalous (Liu et
al. 2008, Proc. IEEE ICDM 8, 413-422).
"""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from icecore_dagster.learning.anomaly.isolation import IsolationTrees
from icecore_dagster.learning.anomaly.separation import DUST, Separation, separation_from, separation_of
from icecore_dagster.learning.networks.training import LabelledDataError
from icecore_dagster.learning.trees.boosting import feature_matrix
from icecore_dagster.particles.properties import FEATURES
from icecore_dagster.particles.split import TEST, TRAIN, VALIDATION

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ForestConfig:
    """How the forest is grown.

    Attributes:
        trees: number of trees.
        particles_a_tree: dust particles that each tree is grown on.
        seed: of the drawing of particles, properties and cuts.
        threads: of the processor; None for one.
    """

    trees: int = 100
    particles_a_tree: int = 256
    seed: int = 0
    threads: int | None = None


@dataclass(frozen=True)
class DustForest:
    """A grown forest with everything needed to score.

    Attributes:
        trees: of the forest.
        features: columns in the order that it expects.
        medians: value that stands in for each property where it is missing: the training dust's median.
        held_out_dust_scores: float64 (m,), scores of dust that it was not grown on, ascending.
    """

    trees: IsolationTrees
    features: tuple[str, ...]
    medians: dict[str, float]
    held_out_dust_scores: np.ndarray

    def score(self, particles: pd.DataFrame) -> np.ndarray:
        """How unlike dust each particle is.

        Args:
            particles: one row a particle with at least the forest's features.

        Returns:
            float64 (n,); more negative is more anomalous.

        Raises:
            ValueError: a property's column is missing.
        """
        if len(particles) == 0:
            return np.empty(0)
        return self.trees.score(_filled(feature_matrix(particles, self.features), self.features, self.medians))

    def dust_share_more_anomalous(self, scores: np.ndarray) -> np.ndarray:
        """Share of held-out dust that is at least as anomalous: the rate at which dust would be taken for a find.

        Args:
            scores: float (n,), from `score`.

        Returns:
            float64 (n,), 0 to 1; 0 means less than one in as many as were held out.
        """
        ordered = self.held_out_dust_scores
        return np.searchsorted(ordered, scores, side="right") / len(ordered)


@dataclass(frozen=True)
class CrowdForest:
    """A forest grown on particles of which nothing is known but that nearly all are ordinary.

    Attributes:
        trees: of the forest; None where there were too few particles to grow one.
        features: columns in the order that it expects.
        medians: value that stands in for each property where it is missing: the crowd's median.
    """

    trees: IsolationTrees | None
    features: tuple[str, ...]
    medians: dict[str, float]

    def score(self, particles: pd.DataFrame) -> np.ndarray:
        """How odd each particle is in the crowd: float64 (n,), more negative is more anomalous; 0 without a forest."""
        if self.trees is None or len(particles) == 0:
            return np.zeros(len(particles))
        return self.trees.score(_filled(feature_matrix(particles, self.features), self.features, self.medians))


@dataclass(frozen=True)
class TrainedForest:
    """A grown forest and how it came about.

    Attributes:
        model: the forest, ready to score.
        config: how it was grown.
        trained_on: number of dust particles to grow from.
        separation: its separating power; None if no other label was held out.
        separation_from_unknown: of held-out dust from particles of no known class; None if not asked for.
    """

    model: DustForest
    config: ForestConfig
    trained_on: int
    separation: Separation | None
    separation_from_unknown: Separation | None = None


def train_forest(
    features: pd.DataFrame,
    labels: Collection[str],
    splits: Collection[str],
    config: ForestConfig | None = None,
    columns: Sequence[str] = FEATURES,
    runs: Collection[str] | None = None,
    unknown: pd.DataFrame | None = None,
) -> TrainedForest:
    """Grow a forest on the training dust and measure it on the labelled particles that were held out.

    Nothing is chosen by the validation particles here, so validation and test together are what is held out.

    Args:
        features: one row a labelled particle, with at least `columns`.
        labels: label key of each row; only "dust" is learnt from.
        splits: "train", "validation" or "test" of each row.
        config: how to grow it.
        columns: properties to learn from.
        runs: run of each particle, for the intervals of the areas; None for none.
        unknown: properties of particles that no class covers; None to leave them out.

    Raises:
        LabelledDataError: no dust to learn from, none held out, or a property that no training dust has.
        ValueError: a column is missing.
    """
    config = config or ForestConfig()
    label, side = np.asarray(list(labels), dtype=object), np.asarray(list(splits), dtype=object)
    if not len(features) == len(label) == len(side):
        raise LabelledDataError(f"{len(features)} rows, {len(label)} labels, {len(side)} splits: one each is needed")
    train = (label == DUST) & (side == TRAIN)
    held_out = np.isin(side, [VALIDATION, TEST])
    if not train.any() or not (held_out & (label == DUST)).any():
        raise LabelledDataError(
            "the forest needs labelled dust to learn from and dust held out; add dust runs and split again"
        )
    matrix = feature_matrix(features, columns)
    medians = _medians(matrix[train], columns)
    trees = _grown(_filled(matrix[train], columns, medians), config)
    scores = trees.score(_filled(matrix[held_out], columns, medians))
    is_dust = label[held_out] == DUST
    dust_scores = np.sort(scores[is_dust])
    log.info("forest grown on %d dust particles, held against %d", train.sum(), len(dust_scores))
    model = DustForest(trees, tuple(columns), medians, dust_scores)
    run_of = None if runs is None else np.asarray(list(runs), dtype=object)[held_out]
    return TrainedForest(
        model=model,
        config=config,
        trained_on=int(train.sum()),
        separation=separation_of(-scores, label[held_out], run_of),
        separation_from_unknown=None
        if unknown is None
        else separation_from(-scores[is_dust], -model.score(unknown), None if run_of is None else run_of[is_dust]),
    )


def grow_in_crowd(
    particles: pd.DataFrame, config: ForestConfig | None = None, columns: Sequence[str] = FEATURES
) -> CrowdForest:
    """Grow a forest on unlabelled particles, nearly all of which are ordinary.

    A tree sees so few of them that rare ones hardly ever are among those that it is grown on (Liu et al. 2008, section
    2: sub-sampling against swamping and masking).

    Args:
        particles: one row a particle with at least `columns`.
        config: how to grow it.
        columns: properties to learn from; one that no particle has says nothing.
    """
    matrix = feature_matrix(particles, columns)
    known = ~np.isnan(matrix)
    medians = {
        name: float(np.median(column[has])) if has.any() else 0.0
        for name, column, has in zip(columns, matrix.T, known.T, strict=True)
    }
    trees = _grown(_filled(matrix, columns, medians), config or ForestConfig()) if len(matrix) > 1 else None
    return CrowdForest(trees, tuple(columns), medians)


def _grown(matrix: np.ndarray, config: ForestConfig) -> IsolationTrees:
    from sklearn.ensemble import IsolationForest

    grown = IsolationForest(
        n_estimators=config.trees,
        max_samples=min(config.particles_a_tree, len(matrix)),
        random_state=config.seed,
        n_jobs=config.threads,
    )
    return IsolationTrees.of(grown.fit(matrix))


def _medians(matrix: np.ndarray, columns: Sequence[str]) -> dict[str, float]:
    if empty := [name for name, column in zip(columns, matrix.T, strict=True) if np.isnan(column).all()]:
        raise LabelledDataError(f"no training dust has the properties {empty}; measure them, or leave them out")
    return dict(zip(columns, np.nanmedian(matrix, axis=0).tolist(), strict=True))


def _filled(matrix: np.ndarray, columns: Sequence[str], medians: dict[str, float]) -> np.ndarray:
    return np.where(np.isnan(matrix), np.array([medians[name] for name in columns]), matrix)
