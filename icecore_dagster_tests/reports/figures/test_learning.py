"""Figures of how models learnt."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from icecore_dagster.particles.labels import BY_KEY, LABEL_KEYS
from icecore_dagster.reports.figures.models.learning import (
    anomaly_histogram,
    confusion_figure,
    learning_curve_figure,
)
from icecore_dagster_tests.reports.conftest import shows_colour


@dataclass(frozen=True)
class _Counts:
    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]


def _confusion(classes: tuple[str, ...], right: int) -> _Counts:
    n = len(classes)
    return _Counts(classes, tuple(tuple(right if i == j else 2 for j in range(n)) for i in range(n)))


def test_confusion_is_whole_for_three_and_for_seven_classes(picture):
    small = picture(confusion_figure(_confusion(("dust", "ash", "pollen"), 40)))
    large = picture(confusion_figure(_confusion(LABEL_KEYS, 12_345)))
    assert large.shape[0] > small.shape[0]


def test_confusion_with_an_absent_class_can_be_drawn(picture):
    picture(confusion_figure(_Counts(("dust", "ash"), ((3, 1), (0, 0)))))


def test_learning_curve_marks_the_epoch_that_was_kept(picture):
    history = pd.DataFrame(
        {
            "epoch": [1, 2, 3],
            "train_loss": [1.0, 0.5, 0.2],
            "validation_loss": [1.1, 0.6, 0.7],
            "validation_accuracy": [0.6, 0.8, 0.79],
        }
    )
    assert shows_colour(picture(learning_curve_figure(history, 2)), "#d9480f")
    picture(learning_curve_figure(history.head(1), 1))


def test_rare_classes_show_beside_much_dust(picture):
    rng = np.random.default_rng(0)
    scores = pd.DataFrame(
        {
            "label": ["dust"] * 5000 + ["corylus"] * 6,
            "anomaly_score": np.r_[rng.normal(-0.42, 0.02, 5000), rng.normal(-0.6, 0.02, 6)],
        }
    )
    image = picture(anomaly_histogram(scores))
    green = np.array([int(BY_KEY["corylus"].colour[i : i + 2], 16) for i in (1, 3, 5)])
    blended = np.rint(0.75 * green + 0.25 * 255)
    assert (np.abs(image.astype(float) - blended).max(axis=2) <= 3).sum() > 200
