"""Figures of counts and sizes: readable, whole, and true to what they are given."""

import numpy as np
import pandas as pd

from icecore_dagster.particles.labels import BY_KEY
from icecore_dagster.reports.figures.particles import class_distribution_figure, size_distributions
from icecore_dagster_tests.reports.conftest import shows_colour


def test_every_class_of_a_core_is_drawn_in_its_own_colour(scored_core, picture):
    image = picture(class_distribution_figure(scored_core.distribution))
    for key in ("dust", "camp", "grim", "corylus", "cont"):
        assert shows_colour(image, BY_KEY[key].colour), key


def test_a_class_that_was_not_found_still_shows_its_upper_limit(scored_core, picture):
    assert (scored_core.distribution.query("`class` == 'qsub'")["count"] == 0).all()
    assert shows_colour(picture(class_distribution_figure(scored_core.distribution)), BY_KEY["qsub"].colour)


def test_counts_are_drawn_where_a_volume_is_unknown(scored_core, picture):
    known = class_distribution_figure(scored_core.distribution)
    unknown = scored_core.distribution.assign(
        volume_imaged_ml=np.nan, per_ml=np.nan, per_ml_low=np.nan, per_ml_high=np.nan
    )
    assert not np.array_equal(picture(class_distribution_figure(unknown)), picture(known))


def test_classes_of_any_task_and_many_segments_fit(picture):
    rows = [
        {"core": "X", "segment": f"{20 * s}_{20 * s + 20}", "replicate": replicate, "class": key, "count": 10 * s}
        for s in range(8)
        for replicate in (1, 2, 3, None)
        for key in ("dust", "ash", "pollen")
    ]
    frame = pd.DataFrame(rows).assign(volume_imaged_ml=np.nan, per_ml=np.nan, per_ml_low=np.nan, per_ml_high=np.nan)
    image = picture(class_distribution_figure(frame))
    assert shows_colour(image, "#d9480f")
    assert shows_colour(image, "#2f9e44")


def test_same_tables_give_the_same_bytes(scored_core):
    first, second = (class_distribution_figure(scored_core.distribution) for _ in range(2))
    assert first == second


def test_sizes_of_each_class_are_drawn_in_its_colour(scored_core, picture):
    image = picture(size_distributions(scored_core.particles, by="predicted_class"))
    for key in ("dust", "camp", "cont"):
        assert shows_colour(image, BY_KEY[key].colour), key


def test_sizes_by_run_give_every_run_a_colour_of_its_own(scored_core, picture):
    picture(size_distributions(scored_core.particles, by="run"))


def test_sizes_that_are_all_unknown_are_said_to_be(scored_core, picture):
    unknown = scored_core.particles.assign(diameter_esd_um=np.nan, length_um=np.nan)
    assert picture(size_distributions(unknown, by="run")).shape[0] < 250
