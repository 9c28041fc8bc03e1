"""How good a classifier is: one result for networks and trees alike, computed from its probabilities."""

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from icecore_dagster.learning.intervals import (
    Interval,
    calibration_interval,
    called_intervals,
    classification_intervals,
)

CALIBRATION_BINS = 15

MEASURES: dict[str, str] = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "calibration_error": "calibration error",
}
"""The figures that every classifier is judged by, and how they are called."""


class ClassScore(BaseModel):
    """One class's part of the result.

    Attributes:
        support: particles that are of the class.
        precision: share of those called the class that are of it; 0 if none was called it.
        recall: share of those of the class that were called it; None if there are none.
        f1: harmonic mean of both; None if there are none.
        called: 95 % intervals of the share of its particles that were called each class, by the bootstrap by run; empty
            where the runs were not told, or where there are none.
    """

    model_config = ConfigDict(frozen=True)

    support: int
    precision: float
    recall: float | None
    f1: float | None
    called: dict[str, Interval] = {}


class ClassificationMetrics(BaseModel):
    """How a classifier did on labelled particles that it did not learn from.

    Attributes:
        classes: in the order of rows and columns of `confusion`.
        particles: how many were classified.
        confusion: counts, rows true, columns predicted.
        accuracy: share classified rightly.
        balanced_accuracy: mean recall of the classes that occur.
        macro_f1: mean F1 of the classes that occur.
        calibration_error: expected calibration error of the highest probability, 15 bins of equal width.
        log_loss: mean cross-entropy, natural logarithm.
        by_class: precision, recall and F1 of each class.
        intervals: 95 % intervals of accuracy, balanced_accuracy, macro_f1 and calibration_error by the bootstrap by
            run; empty where the runs were not told.
    """

    model_config = ConfigDict(frozen=True)

    classes: tuple[str, ...]
    particles: int
    confusion: tuple[tuple[int, ...], ...]
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    calibration_error: float
    log_loss: float
    by_class: dict[str, ClassScore]
    intervals: dict[str, Interval] = {}


def evaluate(
    targets: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], runs: Collection[str] | None = None
) -> ClassificationMetrics:
    """Compare probabilities with the truth.

    Args:
        targets: int (n,), index of the true class.
        probabilities: float (n, classes), rows sum to 1; the highest is the prediction.
        classes: names in the order of the columns.
        runs: run of each particle, for the intervals; None for none.

    Returns:
        All metrics; averages are over the classes that occur in `targets`.

    Raises:
        ValueError: nothing to evaluate.
    """
    from sklearn.metrics import confusion_matrix, log_loss, precision_recall_fscore_support

    if len(targets) == 0:
        raise ValueError("no labelled particles to evaluate on: the split leaves this side empty")
    indices = list(range(len(classes)))
    predicted = probabilities.argmax(axis=1)
    confusion = confusion_matrix(targets, predicted, labels=indices)
    precision, recall, f1, support = precision_recall_fscore_support(
        targets, predicted, labels=indices, zero_division=0.0
    )
    occurs = support > 0
    spread = [[]] * len(classes) if runs is None else called_intervals(targets, predicted, runs, len(classes))
    by_class = {
        name: ClassScore(
            support=int(support[i]),
            precision=float(precision[i]),
            recall=float(recall[i]) if occurs[i] else None,
            f1=float(f1[i]) if occurs[i] else None,
            called=dict(zip(classes, spread[i], strict=True)) if spread[i] else {},
        )
        for i, name in enumerate(classes)
    }
    certain = probabilities.astype(np.float64)
    return ClassificationMetrics(
        classes=tuple(classes),
        particles=len(targets),
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
        accuracy=float(np.mean(predicted == targets)),
        balanced_accuracy=float(recall[occurs].mean()),
        macro_f1=float(f1[occurs].mean()),
        calibration_error=expected_calibration_error(targets, probabilities),
        log_loss=float(log_loss(targets, certain / certain.sum(axis=1, keepdims=True), labels=indices)),
        by_class=by_class,
        intervals={} if runs is None else _intervals(targets, probabilities, runs),
    )


def _intervals(targets: np.ndarray, probabilities: np.ndarray, runs: Collection[str]) -> dict[str, Interval]:
    return {
        **classification_intervals(targets, probabilities.argmax(axis=1), runs, probabilities.shape[1]),
        "calibration_error": calibration_interval(targets, probabilities, runs, CALIBRATION_BINS),
    }


def class_table(metrics: ClassificationMetrics) -> pd.DataFrame:
    """One row a class: class, particles, precision, recall, f1; NaN where the class does not occur."""
    rows = [
        {
            "class": name,
            "particles": score.support,
            "precision": score.precision,
            "recall": score.recall,
            "f1": score.f1,
        }
        for name, score in metrics.by_class.items()
    ]
    return pd.DataFrame(rows).astype({"recall": float, "f1": float})


def expected_calibration_error(targets: np.ndarray, probabilities: np.ndarray, bins: int = CALIBRATION_BINS) -> float:
    """How far stated confidence is from the share that is right, averaged over bins of confidence.

    Sum over bins of (particles in bin / n) * |share right - mean confidence| (Guo et al. 2017, Proc. ICML 34).

    Args:
        targets: int (n,).
        probabilities: float (n, classes).
        bins: number of bins of equal width over 0-1.

    Returns:
        0 for a perfectly calibrated classifier, at most 1.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == targets
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    gap = np.bincount(bin_of, weights=right.astype(float), minlength=bins) - np.bincount(
        bin_of, weights=confidence, minlength=bins
    )
    return float(np.abs(gap).sum() / len(targets))
