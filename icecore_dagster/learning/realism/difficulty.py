"""How hard the labelled particles are to tell apart by their measured properties alone, asked as the study asked it.

LightGBM with its default settings, 70 % of the particles to learn from and 30 % to be named, divided at random class by
class. That division lets a model recognise runs; it is kept here because the study's own figures rest on it.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from icecore_dagster.learning.metrics import ClassificationMetrics, evaluate
from icecore_dagster.learning.trees.boosting import feature_matrix
from icecore_dagster.particles.labels import Task
from icecore_dagster.particles.properties import FEATURES

HELD_OUT = 0.3


@dataclass(frozen=True)
class PublishedDifficulty:
    """What the study reached on its 136,022 labelled particles, and how near a simulated set should come.

    Attributes:
        accuracy: share named rightly.
        accuracy_within: allowed difference either way.
        macro_recall: mean recall of the classes.
        macro_recall_within: allowed difference either way.
    """

    accuracy: float
    accuracy_within: float
    macro_recall: float
    macro_recall_within: float

    def holds(self, metrics: ClassificationMetrics) -> bool:
        """Whether a result is as near as it should be."""
        return (
            abs(metrics.accuracy - self.accuracy) <= self.accuracy_within
            and abs(metrics.balanced_accuracy - self.macro_recall) <= self.macro_recall_within
        )


PUBLISHED: dict[str, PublishedDifficulty] = {
    "six_class": PublishedDifficulty(0.909, 0.02, 0.858, 0.03),
    "three_class": PublishedDifficulty(0.982, 0.01, 0.977, 0.03),
}
"""The study's own notebooks: LightGBM on the measured properties alone."""

PUBLISHED_RECALLS = {"dust": 0.96, "camp": 0.98, "grim": 0.65, "corylus": 0.96, "qrob": 0.79, "qsub": 0.79}
"""The study's six-class recalls; 32 % of basaltic grains were called felsic, 16-18 % of each oak the other."""


def measure_difficulty(
    particles: pd.DataFrame, task: Task, seed: int = 0, threads: int | None = None
) -> ClassificationMetrics:
    """Name held-out particles by their properties.

    Args:
        particles: one row a particle: label, run and the columns `FEATURES`.
        task: classes to tell apart; particles of other labels take no part.
        seed: of the division.
        threads: of the processor; None for LightGBM's choice.

    Returns:
        Metrics on the 30 % that were held out.

    Raises:
        ValueError: a class has fewer than two particles, or a property's column is missing.
    """
    from lightgbm import LGBMClassifier
    from sklearn.model_selection import train_test_split

    index = {name: i for i, name in enumerate(task.classes)}
    classes = particles["label"].map(task.class_of).map(index)
    chosen = particles[classes.notna()]
    targets = classes.dropna().to_numpy(dtype=np.int64)
    matrix = feature_matrix(chosen, FEATURES)
    learn, ask, known, truth, _, runs = train_test_split(
        matrix, targets, chosen["run"].to_numpy(), test_size=HELD_OUT, stratify=targets, random_state=seed
    )
    trees = LGBMClassifier(verbose=-1, random_state=seed, n_jobs=threads, deterministic=True, force_row_wise=True).fit(
        learn, known
    )
    return evaluate(truth, np.asarray(trees.predict_proba(ask)), task.classes, runs)
