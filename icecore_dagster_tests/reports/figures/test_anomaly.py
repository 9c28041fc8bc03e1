"""Figures of models that know dust only."""

import numpy as np
import pandas as pd
import pytest

from icecore_dagster.learning.anomaly.augmentation import AugmentationEffect
from icecore_dagster.learning.anomaly.separation import curves_of
from icecore_dagster.learning.energy import EnergyUse
from icecore_dagster.learning.metrics import evaluate
from icecore_dagster.reports.figures.anomaly import (
    augmentation_figure,
    code_map,
    error_histogram,
    loss_figure,
    reconstruction_figure,
    separation_figure,
)
from icecore_dagster_tests.reports.conftest import shows_colour

RNG = np.random.default_rng(4)


def _scores() -> pd.DataFrame:
    labels = np.repeat(["dust", "camp", "unknown"], [200, 20, 3])
    errors = RNG.lognormal(-6, 0.5, 223) * np.where(labels == "dust", 1, 5)
    places = RNG.normal(0, 1, (223, 2))
    return pd.DataFrame(
        {"label": labels, "reconstruction_error": errors, "component_1": places[:, 0], "component_2": places[:, 1]}
    )


def test_a_line_for_each_kind_of_find(picture):
    scores = _scores()
    other = (scores["label"] != "dust").to_numpy()
    curve = curves_of(scores["reconstruction_error"].to_numpy(), other)
    image = picture(separation_figure({"other labels": curve, "no known class (drawn)": curve}))
    assert shows_colour(image, "#d9480f")
    assert not shows_colour(picture(separation_figure({"other labels": curve})), "#d9480f")
    picture(separation_figure({}))


@pytest.mark.parametrize("rows", [223, 1, 0])
def test_errors_of_many_one_and_no_particle(picture, rows):
    picture(error_histogram(_scores().head(rows)))
    picture(code_map(_scores().head(rows), (0.4, 0.1)))


def test_every_class_is_redrawn_in_a_row_of_its_own(picture):
    pair = (np.zeros((4, 64, 64)), np.full((4, 64, 64), -0.5))
    one = picture(reconstruction_figure({"dust": pair}))
    three = picture(reconstruction_figure({"dust": pair, "grim": pair, "unknown": (pair[0][:1], pair[1][:1])}))
    assert three.shape[0] > 1.8 * one.shape[0]
    picture(reconstruction_figure({}))


def test_loss_marks_the_epoch_that_was_kept(picture):
    history = pd.DataFrame({"epoch": [1, 2, 3], "train_loss": [0.1, 0.02, 0.01], "validation_loss": [0.1, 0.03, 0.04]})
    assert shows_colour(picture(loss_figure(history, 2)), "#d9480f")
    picture(loss_figure(history.head(1), 1))


def test_both_results_of_an_augmentation_are_shown(picture):
    targets = np.repeat([0, 1], 40)
    results = [
        evaluate(targets, np.column_stack([1 - p, p]), ("dust", "grim"), np.arange(80) % 5)
        for p in (RNG.uniform(0, 1, 80), 0.2 + 0.6 * targets)
    ]
    images = np.full((8, 128, 128), 120, np.uint8)
    effect = AugmentationEffect(
        "grim", 30, images, images[:5], *results, EnergyUse(1, None, None, None, "not measured")
    )
    assert shows_colour(picture(augmentation_figure(effect)), "#d9480f")
