"""Maps stay legible from one particle to a hundred thousand."""

import time

import numpy as np
import pandas as pd
import pytest

from icecore_dagster.particles.labels import BY_KEY
from icecore_dagster.reports.figures.maps import (
    map_by_anomaly,
    map_by_class,
    map_density,
    map_of_anomaly,
    map_of_each_class,
)
from icecore_dagster_tests.reports.conftest import shows_colour


def _points(n: int, rare: int = 5) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    return pd.DataFrame(
        {
            "class": ["dust"] * n + ["camp"] * rare,
            "anomaly_score": rng.normal(-0.45, 0.03, n + rare),
            "map_x": rng.normal(0, 1, n + rare),
            "map_y": rng.normal(0, 1, n + rare),
            "particles": 1,
        }
    )


def test_five_shards_show_among_a_hundred_thousand_dust_grains(picture):
    began = time.monotonic()
    image = picture(map_by_class(_points(100_000)))
    assert time.monotonic() - began < 10
    tephra = (image == [0xD9, 0x48, 0x0F]).all(axis=2)
    legend_from = int(image.shape[1] * 0.72)
    assert tephra[:, :legend_from].sum() > 5 * 10


@pytest.mark.parametrize("draw", [map_by_class, map_by_anomaly, map_density, map_of_each_class, map_of_anomaly])
def test_a_single_particle_and_none_at_all_can_be_mapped(picture, draw):
    picture(draw(_points(1, rare=0)))
    picture(draw(_points(0, rare=0)))


def test_particles_without_a_place_are_left_out(picture):
    points = _points(50)
    points.loc[points["class"] == "camp", "map_x"] = np.nan
    assert not shows_colour(picture(map_by_class(points)), BY_KEY["camp"].colour)


def test_labelled_particles_lie_behind_as_a_blue_field(picture):
    points = _points(20)
    image = picture(map_by_class(points, reference=points.assign(map_x=points["map_x"] + 30))).astype(int)
    right_of_the_points = image[:, image.shape[1] // 3 : int(0.68 * image.shape[1])]
    assert (right_of_the_points[..., 2] - right_of_the_points[..., 0] > 40).sum() > 200


@pytest.mark.parametrize("reference", [None, _points(50)])
def test_dust_that_is_nearly_everything_is_still_drawn(picture, reference):
    dust = _points(9_000, rare=0)
    image = picture(map_by_class(dust, reference)).astype(int)
    middle = image[200:-200, 300 : int(0.6 * image.shape[1])]
    assert (middle.max(axis=2) < 235).mean() > 0.1


def test_anomaly_map_shows_anomalous_particles_darkest(picture):
    points = _points(200, rare=0)
    points.loc[0, "anomaly_score"] = -0.9
    image = picture(map_by_anomaly(points))
    assert image.min() < 20


def test_hundreds_of_thousands_are_drawn_as_density_in_a_panel_each(picture):
    points, labelled = _points(300_000), _points(50)
    began = time.monotonic()
    one_panel = picture(map_of_each_class(points[points["class"] == "dust"], labelled))
    two_panels = picture(map_of_each_class(points, labelled))
    picture(map_of_anomaly(points, labelled))
    assert time.monotonic() - began < 15
    assert two_panels.shape[1] > one_panel.shape[1]


def test_the_hexagon_of_anomalous_particles_is_the_darkest(picture):
    points = _points(3_000, rare=0)
    odd = pd.DataFrame({"class": "dust", "anomaly_score": -0.9, "map_x": 8 + np.zeros(60), "map_y": 0.0})
    image = picture(map_of_anomaly(pd.concat([points, odd]))).astype(int)
    right_end = image[200:-200, int(0.6 * image.shape[1]) : int(0.8 * image.shape[1])]
    assert right_end.sum(axis=2).min() < 120
    ordinary = picture(map_of_anomaly(pd.concat([points, odd.assign(anomaly_score=-0.4)]))).astype(int)
    assert ordinary[200:-200, int(0.6 * image.shape[1]) : int(0.8 * image.shape[1])].sum(axis=2).min() > 200
