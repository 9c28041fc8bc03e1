"""LightGBM on a table of features: training, probabilities and importance."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from icecore_dagster.learning.metrics import ClassificationMetrics, evaluate
from icecore_dagster.learning.networks.training import LabelledDataError, TaskRows, select_rows
from icecore_dagster.learning.trees.focal import FocalLoss
from icecore_dagster.particles.labels import Task
from icecore_dagster.particles.properties import FEATURES

if TYPE_CHECKING:
    import lightgbm

log = logging.getLogger(__name__)


class Loss(StrEnum):
    """What the trees make small.

    Attributes:
        CROSS_ENTROPY: softmax over the classes.
        FOCAL: each class against the rest by the focal loss, which counts hard particles more (`trees.focal`).
    """

    CROSS_ENTROPY = "cross-entropy"
    FOCAL = "focal one-vs-rest"


@dataclass(frozen=True)
class TreesConfig:
    """How the trees are grown.

    Attributes:
        rounds: at most so many boosting rounds, each one tree a class.
        patience: stop after so many rounds without a lower validation loss.
        learning_rate: share of each tree's answer that is added.
        leaves: most leaves a tree has.
        smallest_leaf: fewest particles a leaf holds.
        balanced: weigh particles so that every class counts alike.
        loss: what is made small.
        columns_a_tree: so many features at most are looked at for each tree, drawn at random. Of 1280 ImageNet features
            256 take a third of the time of all, and leave a lower validation loss.
        seed: of everything random.
        threads: of the processor; 0 for LightGBM's choice.
    """

    rounds: int = 1_000
    patience: int = 50
    learning_rate: float = 0.1
    leaves: int = 31
    smallest_leaf: int = 20
    balanced: bool = False
    loss: Loss = Loss.CROSS_ENTROPY
    columns_a_tree: int = 256
    seed: int = 0
    threads: int = 0


@dataclass(frozen=True)
class TrainedTrees:
    """Trained trees and how they came about.

    Attributes:
        task: key of the task.
        classes: in the order of the outputs.
        features: columns in the order that the trees expect.
        config: how they were grown.
        booster_text: LightGBM's own text format, cut to the best round.
        importance: one row a feature, highest gain first: feature, gain, split.
        best_round: round with the lowest validation loss.
        validation: metrics on the validation particles.
        test: metrics on the test particles.
    """

    task: str
    classes: tuple[str, ...]
    features: tuple[str, ...]
    config: TreesConfig
    booster_text: str
    importance: pd.DataFrame
    best_round: int
    validation: ClassificationMetrics
    test: ClassificationMetrics

    def booster(self) -> "lightgbm.Booster":
        """The trees, ready to score."""
        import lightgbm

        return lightgbm.Booster(model_str=self.booster_text)


def feature_matrix(particles: pd.DataFrame, features: Sequence[str]) -> np.ndarray:
    """The properties that a model learns from or scores by, in its order.

    Args:
        particles: one row a particle, with at least the columns `features`.
        features: columns in the model's order.

    Returns:
        float64 (n, f), NaN where a property is missing or infinite.

    Raises:
        ValueError: columns are missing.
    """
    if missing := [name for name in features if name not in particles.columns]:
        raise ValueError(f"the particle table lacks the properties {missing}; measure them, or train without them")
    matrix = particles[list(features)].to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    matrix[~np.isfinite(matrix)] = np.nan
    return matrix


def train_trees(
    features: pd.DataFrame,
    labels: Collection[str],
    splits: Collection[str],
    task: Task,
    config: TreesConfig | None = None,
    columns: Sequence[str] = FEATURES,
    runs: Collection[str] | None = None,
) -> TrainedTrees:
    """Grow trees that tell a task's classes apart, stopping when the validation loss no longer falls.

    The focal loss grows one tree a class and round like the cross-entropy, each for its class against the rest, so that
    one text file holds them all.

    Args:
        features: one row a labelled particle, with at least `columns`; missing values are left to LightGBM.
        labels: label key of each row.
        splits: "train", "validation" or "test" of each row.
        task: classes to tell apart.
        config: how to grow them.
        columns: features to learn from.
        runs: run of each row, for the intervals of the metrics; None for none.

    Returns:
        The trees, their importance and their metrics on validation and test particles.

    Raises:
        LabelledDataError: the labelled particles do not suffice.
        ValueError: a column is missing.
    """
    import lightgbm

    config = config or TreesConfig()
    if len(labels) != len(features):
        raise LabelledDataError(f"{len(features)} rows but {len(labels)} labels: one each a particle is needed")
    rows = select_rows(labels, splits, task)
    matrix = feature_matrix(features, columns)
    run_of = None if runs is None else np.asarray(list(runs), dtype=object)

    def dataset(side: np.ndarray, reference: "lightgbm.Dataset | None" = None) -> "lightgbm.Dataset":
        weight = _balancing_weights(rows.targets[side]) if config.balanced else None
        return lightgbm.Dataset(
            matrix[side], rows.targets[side], weight=weight, feature_name=list(columns), reference=reference
        )

    train = dataset(rows.train)
    booster = lightgbm.train(
        _parameters(config, len(task.classes), len(columns)),
        train,
        num_boost_round=config.rounds,
        valid_sets=[dataset(rows.validation, train)],
        feval=FocalLoss().measure if config.loss is Loss.FOCAL else None,
        callbacks=[lightgbm.early_stopping(config.patience, verbose=False)],
    )
    best = booster.best_iteration or booster.current_iteration()
    log.info("%s: LightGBM stopped growing, best round %d", task.key, best)
    booster = lightgbm.Booster(model_str=booster.model_to_string(num_iteration=best))
    return TrainedTrees(
        task=task.key,
        classes=task.classes,
        features=tuple(columns),
        config=config,
        booster_text=booster.model_to_string(),
        importance=_importance(booster, columns),
        best_round=best,
        validation=_measure(booster, config.loss, matrix, rows, rows.validation, task, run_of),
        test=_measure(booster, config.loss, matrix, rows, rows.test, task, run_of),
    )


def class_probabilities(booster: "lightgbm.Booster", matrix: np.ndarray, loss: Loss) -> np.ndarray:
    """Probabilities of the classes by grown trees.

    Args:
        booster: the trees.
        matrix: float (n, f), features in the trees' order.
        loss: that they were grown by; the text of trees grown by the focal loss does not say how to read their scores.

    Returns:
        float64 (n, classes), rows sum to 1. The focal loss gives a probability against the rest for each class, which
        are divided by their sum.
    """
    from scipy.special import expit

    if loss is Loss.CROSS_ENTROPY:
        return np.asarray(booster.predict(matrix))
    against_rest = expit(np.asarray(booster.predict(matrix, raw_score=True)))
    return against_rest / against_rest.sum(axis=1, keepdims=True)


def _parameters(config: TreesConfig, n_classes: int, n_columns: int) -> dict[str, Any]:
    focal = config.loss is Loss.FOCAL
    return {
        "objective": FocalLoss().derivatives if focal else "multiclass",
        # The focal loss measures itself.
        "metric": "None" if focal else "multi_logloss",
        "num_class": n_classes,
        "learning_rate": config.learning_rate,
        "num_leaves": config.leaves,
        "min_data_in_leaf": config.smallest_leaf,
        "feature_fraction": min(1.0, config.columns_a_tree / n_columns),
        "seed": config.seed,
        "num_threads": config.threads,
        # Both are needed for the same trees on every run.
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }


def _balancing_weights(targets: np.ndarray) -> np.ndarray:
    from sklearn.utils.class_weight import compute_sample_weight

    return compute_sample_weight("balanced", targets)


def _importance(booster: "lightgbm.Booster", columns: Sequence[str]) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "feature": list(columns),
            "gain": booster.feature_importance("gain"),
            "split": booster.feature_importance("split"),
        }
    )
    return table.sort_values("gain", ascending=False, kind="stable", ignore_index=True)


def _measure(
    booster: "lightgbm.Booster",
    loss: Loss,
    matrix: np.ndarray,
    rows: TaskRows,
    side: np.ndarray,
    task: Task,
    runs: np.ndarray | None,
) -> ClassificationMetrics:
    probabilities = class_probabilities(booster, matrix[side], loss)
    return evaluate(rows.targets[side], probabilities, task.classes, None if runs is None else runs[side])
