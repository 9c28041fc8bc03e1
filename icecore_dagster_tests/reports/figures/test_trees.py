"""Figures of what trees lean on."""

import numpy as np
import pandas as pd

from icecore_dagster.learning.trees.explanation import Explanation
from icecore_dagster.particles.labels import BY_KEY, LABEL_KEYS
from icecore_dagster.particles.properties import FEATURES
from icecore_dagster.reports.figures.models.trees import (
    importance_figure,
    influence_figure,
    reasons_figure,
    swarm_figure,
)
from icecore_dagster_tests.reports.conftest import shows_colour


def _importance(features: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"feature": features, "gain": np.arange(len(features), 0, -1.0), "split": 3})


def _explanation(classes: tuple[str, ...], n: int = 200) -> Explanation:
    rng = np.random.default_rng(0)
    features = pd.DataFrame(rng.lognormal(3, 2, (n, len(FEATURES))), columns=list(FEATURES))
    strength = np.linspace(1, 0.01, len(FEATURES))[:, None]
    centred = features.rank(pct=True).to_numpy()[:, :, None] - 0.5
    return Explanation(classes, features, centred * strength * rng.normal(size=len(classes)))


def test_importance_is_whole_with_the_longest_names(picture):
    picture(importance_figure(_importance(list(FEATURES))))
    picture(importance_figure(_importance(list(FEATURES)).assign(gain=0.0)))


def test_importance_of_very_many_unnamed_features_is_as_high_as_of_few(picture):
    many = picture(importance_figure(_importance([f"t_{i:04d}" for i in range(1280)])))
    few = picture(importance_figure(_importance([f"t_{i:04d}" for i in range(20)])))
    assert many.shape == few.shape


def test_influence_shows_every_class_in_its_colour(picture):
    image = picture(influence_figure(_explanation(LABEL_KEYS)))
    assert all(shows_colour(image, BY_KEY[key].colour) for key in LABEL_KEYS)


def test_swarms_grow_by_the_line_with_the_number_of_classes(picture):
    three = picture(swarm_figure(_explanation(("dust", "ash", "pollen"))))
    seven = picture(swarm_figure(_explanation(LABEL_KEYS)))
    assert three.shape[1] == seven.shape[1]
    assert seven.shape[0] > 2 * three.shape[0]
    picture(swarm_figure(_explanation(("camp", "grim"), n=1)))


def test_trees_that_never_split_say_so(picture):
    explanation = _explanation(("dust", "ash"))
    nothing = Explanation(explanation.classes, explanation.features, 0 * explanation.values)
    for draw in (influence_figure, swarm_figure):
        assert picture(draw(nothing)).shape[0] < 300


def test_reasons_show_what_speaks_for_and_against_each_particle(picture):
    particles = pd.DataFrame(
        {
            "rank": range(1, 7),
            "particle_id": [f"GRIP_3046_40_55_1_{n}" for n in range(12270, 12276)],
            "predicted_class": ["camp", "grim", "corylus", "cont", "dust", "qsub"],
        }
    )
    explanation = _explanation(LABEL_KEYS, n=6)
    explanation.features.iloc[2, 0] = np.nan
    image = picture(reasons_figure(particles, explanation))
    assert shows_colour(image, "#c92a2a")
    assert shows_colour(image, "#1971c2")
    picture(reasons_figure(particles.head(1), _explanation(LABEL_KEYS, n=1)))
    picture(reasons_figure(particles.head(0), _explanation(LABEL_KEYS, n=0)))
