"""Figures of learning from few labels."""

import pandas as pd
import pytest

from icecore_dagster.reports.figures.models.few_labels import few_shot_figure, siamese_curve_figure, zero_shot_figure
from icecore_dagster_tests.reports.conftest import shows_colour

METHODS = (("siamese network", False), ("classifier A3 (seven_class)", True), ("standardised properties", False))
FEW_SHOT = pd.DataFrame(
    [
        {
            "method": method,
            "setting": setting,
            "ways": ways,
            "shots": shots,
            "accuracy": 0.5 + 0.04 * shots**0.5,
            "low": 0.47 + 0.04 * shots**0.5,
            "high": 0.53 + 0.04 * shots**0.5,
            "episodes": 300,
            "chance": 1 / ways,
            "saw_held_out": saw,
        }
        for method, saw in METHODS
        for setting, ways in (("held-out labels", 2), ("all labels", 7), ("held-out among all labels", 7))
        for shots in (1, 5, 10)
    ]
)
ZERO_SHOT = pd.DataFrame(
    [
        {"method": method, "question": question, "roc_auc": 0.7, "low": 0.6, "high": 0.8, "saw_held_out": saw}
        for question in ("same material?", "new material?")
        for method, saw in METHODS
    ]
)


@pytest.mark.parametrize("rows", [FEW_SHOT, FEW_SHOT[FEW_SHOT["shots"] == 1], FEW_SHOT.head(0)])
def test_accuracy_against_shots_is_whole(rows, picture):
    assert shows_colour(picture(few_shot_figure(rows)), "#1971c2") == bool(len(rows))


@pytest.mark.parametrize("rows", [ZERO_SHOT, ZERO_SHOT.head(1), ZERO_SHOT.head(0)])
def test_questions_without_examples_are_whole(rows, picture):
    assert shows_colour(picture(zero_shot_figure(rows)), "#1971c2") == bool(len(rows))


def test_curve_marks_the_epoch_that_was_kept(picture):
    history = pd.DataFrame(
        {
            "epoch": [1, 2, 3],
            "train_loss": [3.0, 2.5, 2.2],
            "validation_loss": [3.1, 2.8, 2.9],
            "validation_auc": [0.7, 0.85, 0.84],
        }
    )
    assert shows_colour(picture(siamese_curve_figure(history, 2)), "#d9480f")
    picture(siamese_curve_figure(history.head(1), 1))
