"""Figures of image networks."""

import numpy as np
import pandas as pd
import pytest

from icecore_dagster.particles.labels import LABEL_KEYS
from icecore_dagster.reports.figures.models.networks import (
    feature_maps_figure,
    filters_figure,
    leaderboard_figure,
    readable_leaderboard,
)
from icecore_dagster_tests.reports.conftest import shows_colour

A3_FILTERS = {"conv_1": (8, 1, 11, 11), "conv_2": (16, 8, 5, 5), "conv_3": (32, 16, 3, 3)}
RESNET_FILTERS = {"backbone.conv1": (64, 3, 7, 7), "backbone.layer1.0.conv1": (64, 64, 3, 3)}


@pytest.mark.parametrize("shapes", [A3_FILTERS, RESNET_FILTERS])
def test_filters_of_every_layer_are_drawn(picture, shapes):
    rng = np.random.default_rng(0)
    image = picture(filters_figure({name: rng.normal(size=shape) for name, shape in shapes.items()}))
    one_layer = picture(filters_figure({"conv_1": rng.normal(size=(8, 1, 11, 11))}))
    assert image.shape[0] > one_layer.shape[0]


def test_a_filter_of_nothing_but_zeros_and_no_filter_can_be_drawn(picture):
    picture(filters_figure({"conv_1": np.zeros((4, 1, 3, 3))}))
    picture(filters_figure({}))


def test_feature_maps_have_a_row_a_class_however_many_maps_there_are(picture):
    rng = np.random.default_rng(0)
    sizes = {"conv_1": (8, 118, 118), "conv_2": (16, 55, 55), "conv_3": (32, 25, 25)}

    def drawn(classes):
        examples = {name: rng.integers(0, 256, (128, 128), dtype=np.uint8) for name in classes}
        return picture(
            feature_maps_figure(examples, {n: rng.normal(size=(len(classes), *s)) for n, s in sizes.items()})
        )

    assert drawn(LABEL_KEYS).shape[0] > 2 * drawn(("dust", "ash", "pollen")).shape[0]


def test_feature_maps_that_never_answer_and_no_maps_can_be_drawn(picture):
    examples = {"dust": np.full((128, 128), 100, np.uint8)}
    picture(feature_maps_figure(examples, {"conv_1": np.zeros((1, 5, 9, 9))}))
    picture(feature_maps_figure(examples, {}))


def board(tasks=("three_class", "seven_class")) -> pd.DataFrame:
    rows = []
    for task in tasks:
        for place, name in enumerate(("hybrid", "A3", "hybrid_resnet18", "A1")):
            row = {"task": task, "architecture": name, "parameters": 304_326, "split": "by run", "epochs": 12}
            row |= {"seconds": 730.0, "kwh": np.nan if place else 0.0284, "best": place == 0, "comparable": place < 3}
            for measure in ("accuracy", "balanced_accuracy", "macro_f1", "calibration_error"):
                for side, value in (("validation", 0.95 - 0.05 * place), ("test", 0.93 if place == 0 else np.nan)):
                    row |= {
                        f"{side}_{measure}{end}": value + by for end, by in (("", 0), ("_low", -0.03), ("_high", 0.02))
                    }
            rows.append(row)
    return pd.DataFrame(rows)


def test_the_best_is_marked_and_what_cannot_be_compared_is_pale(picture):
    image = picture(leaderboard_figure(board()))
    for colour in ("#d9480f", "#1971c2", "#adb5bd"):
        assert shows_colour(image, colour)
    picture(leaderboard_figure(board().head(0)))


def test_a_network_without_intervals_can_be_drawn(picture):
    table = board(("pollen",))
    table[[name for name in table.columns if name.endswith(("_low", "_high"))]] = np.nan
    picture(leaderboard_figure(table))


def test_the_table_gives_intervals_and_the_test_of_the_best_alone():
    table = readable_leaderboard(board())
    assert table["accuracy"][0] == "0.950 (0.920–0.970), test 0.930 (0.900–0.950)"
    assert table["accuracy"][1] == "0.900 (0.870–0.920)"
    assert table["best"].tolist()[:4] == ["best", "", "", "not comparable"]
    assert table["kWh"].tolist()[:2] == ["0.0284", "unknown"]
    assert table.shape[1] == 12
