"""Why trees say what they say: SHAP values of particles, by property and class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from icecore_dagster.learning.trees.boosting import feature_matrix

if TYPE_CHECKING:
    import lightgbm

MOST_EXPLAINED = 500
"""Particles that a summary is made of at most; more change neither the order of properties nor the picture."""


@dataclass(frozen=True)
class Explanation:
    """SHAP values of some particles.

    Attributes:
        classes: third axis of `values`.
        features: float64 (n, f), the explained particles' features, one column a feature.
        values: float64 (n, f, classes), how much each feature moved each class's raw score (log-odds scale).
    """

    classes: tuple[str, ...]
    features: pd.DataFrame
    values: np.ndarray

    def mean_influence(self) -> pd.DataFrame:
        """Mean absolute SHAP value, one row a feature and one column a class, most influential first."""
        table = pd.DataFrame(np.abs(self.values).mean(axis=0), index=self.features.columns, columns=list(self.classes))
        return table.loc[table.sum(axis=1).sort_values(ascending=False, kind="stable").index]

    def for_class(self, row: int, name: str) -> pd.Series:
        """SHAP values of one particle for one class, by feature, the strongest first."""
        values = pd.Series(self.values[row, :, self.classes.index(name)], index=self.features.columns)
        return values.loc[values.abs().sort_values(ascending=False, kind="stable").index]


def explain_trees(
    booster: "lightgbm.Booster", particles: pd.DataFrame, features: Sequence[str], classes: Sequence[str]
) -> Explanation:
    """How each feature moved each particle's scores (Lundberg et al. 2020, Nat. Mach. Intell. 2, 56-67).

    Args:
        booster: trained trees.
        particles: the particles to explain; some hundred suffice for a summary.
        features: columns in the trees' order.
        classes: in the order of the trees' outputs.

    Returns:
        SHAP values of every particle, feature and class.
    """
    import shap

    matrix = feature_matrix(particles, features)
    values = np.zeros((len(matrix), len(features), len(classes)))
    if len(matrix):
        values = np.asarray(shap.TreeExplainer(booster).shap_values(matrix))
    return Explanation(tuple(classes), pd.DataFrame(matrix, columns=list(features)), values)
