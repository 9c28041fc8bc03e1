"""The isolation forest: it knows dust only, and says how unlike dust a particle is.

Scores are scikit-learn's `decision_function`, as in the reference study: the more negative, the more anomalous (Liu et
al. 2008, Proc. IEEE ICDM 8, 413-422).
"""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from icecore_dagster.learning.networks.training import LabelledDataError
from icecore_dagster.learning.trees.boosting import feature_matrix
from icecore_dagster.particles.properties import FEATURES
from icecore_dagster.particles.split import TEST, TRAIN, VALIDATION

if TYPE_CHECKING:
    from sklearn.ensemble import IsolationForest

log = logging.getLogger(__name__)

DUST = "dust"


@dataclass(frozen=True)
class ForestConfig:
    """How the forest is grown.

    Attributes:
        trees: number of trees.
        particles_a_tree: dust particles that each tree is grown on.
        seed: of the drawing of particles, properties and cuts.
        threads: of the processor; None for one.
    """

    trees: int = 200
    particles_a_tree: int = 256
    seed: int = 0
    threads: int | None = None


@dataclass(frozen=True)
class DustForest:
    """A grown forest with everything needed to score.

    Attributes:
        forest: scikit-learn's isolation forest.
        features: columns in the order that it expects.
        medians: value that stands in for each property where it is missing: the training dust's median.
        held_out_dust_scores: float64 (m,), scores of dust that it was not grown on, ascending.
    """

    forest: "IsolationForest"
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
        return self.forest.decision_function(
            _filled(feature_matrix(particles, self.features), self.features, self.medians)
        )

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
class Separation:
    """How well anomaly tells held-out dust from other held-out labelled particles.

    Attributes:
        dust: number of held-out dust particles.
        other: number of held-out particles of other labels.
        roc_auc: area under the receiver operating characteristic; 0.5 is chance.
        average_precision: area under precision against recall; chance is the share of other particles.
        roc_auc_by_label: the same area for dust against one label alone.
    """

    dust: int
    other: int
    roc_auc: float
    average_precision: float
    roc_auc_by_label: dict[str, float]


@dataclass(frozen=True)
class TrainedForest:
    """A grown forest and how it came about.

    Attributes:
        model: the forest, ready to score.
        config: how it was grown.
        trained_on: number of dust particles to grow from.
        separation: its separating power; None if no other label was held out.
    """

    model: DustForest
    config: ForestConfig
    trained_on: int
    separation: Separation | None


def train_forest(
    features: pd.DataFrame,
    labels: Collection[str],
    splits: Collection[str],
    config: ForestConfig | None = None,
    columns: Sequence[str] = FEATURES,
) -> TrainedForest:
    """Grow a forest on the training dust and measure it on the labelled particles that were held out.

    Nothing is chosen by the validation particles here, so validation and test together are what is held out.

    Args:
        features: one row a labelled particle, with at least `columns`.
        labels: label key of each row; only "dust" is learnt from.
        splits: "train", "validation" or "test" of each row.
        config: how to grow it.
        columns: properties to learn from.

    Raises:
        LabelledDataError: no dust to learn from, none held out, or a property that no training dust has.
        ValueError: a column is missing.
    """
    from sklearn.ensemble import IsolationForest

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
    forest = IsolationForest(
        n_estimators=config.trees,
        max_samples=min(config.particles_a_tree, int(train.sum())),
        random_state=config.seed,
        n_jobs=config.threads,
    ).fit(_filled(matrix[train], columns, medians))
    scores = forest.decision_function(_filled(matrix[held_out], columns, medians))
    dust_scores = np.sort(scores[label[held_out] == DUST])
    log.info("forest grown on %d dust particles, held against %d", train.sum(), len(dust_scores))
    return TrainedForest(
        model=DustForest(forest, tuple(columns), medians, dust_scores),
        config=config,
        trained_on=int(train.sum()),
        separation=_separation(scores, label[held_out]),
    )


def _medians(matrix: np.ndarray, columns: Sequence[str]) -> dict[str, float]:
    if empty := [name for name, column in zip(columns, matrix.T, strict=True) if np.isnan(column).all()]:
        raise LabelledDataError(f"no training dust has the properties {empty}; measure them, or leave them out")
    return dict(zip(columns, np.nanmedian(matrix, axis=0).tolist(), strict=True))


def _filled(matrix: np.ndarray, columns: Sequence[str], medians: dict[str, float]) -> np.ndarray:
    return np.where(np.isnan(matrix), np.array([medians[name] for name in columns]), matrix)


def _separation(scores: np.ndarray, labels: np.ndarray) -> Separation | None:
    from sklearn.metrics import average_precision_score, roc_auc_score

    other = labels != DUST
    if not other.any():
        return None
    by_label = {
        str(name): float(roc_auc_score(of_either == name, -scores[among]))
        for name in sorted(set(labels[other]))
        for among in [(labels == name) | ~other]
        for of_either in [labels[among]]
    }
    return Separation(
        dust=int((~other).sum()),
        other=int(other.sum()),
        roc_auc=float(roc_auc_score(other, -scores)),
        average_precision=float(average_precision_score(other, -scores)),
        roc_auc_by_label=by_label,
    )
