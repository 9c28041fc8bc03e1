"""Pictures of a segment's scores: the same whatever the blocks in which the scores are read."""

import numpy as np
import pandas as pd
import pytest

from icecore_dagster.particles.labels import BY_KEY, LABEL_KEYS
from icecore_dagster.reports.figures.scores import SCORES_SHOWN, score_figure
from icecore_dagster_tests.reports.conftest import shows_colour

TABLES = tuple(SCORES_SHOWN)


def _in_blocks(frame: pd.DataFrame, rows: int) -> list[pd.DataFrame]:
    return [frame.iloc[start : start + rows] for start in range(0, len(frame), rows)]


@pytest.mark.parametrize("table", TABLES)
def test_the_picture_does_not_depend_on_the_size_of_the_blocks(scored_core, picture, table):
    scores = scored_core.particles[SCORES_SHOWN[table]]
    whole, pieces = score_figure(table, [scores], LABEL_KEYS), score_figure(table, _in_blocks(scores, 7), LABEL_KEYS)
    picture(whole)
    assert whole == pieces


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("blocks", [0, 1])
def test_a_segment_without_particles_has_a_picture_that_says_so(scored_core, picture, table, blocks):
    empty = scored_core.particles[SCORES_SHOWN[table]].head(0)
    assert picture(score_figure(table, [empty] * blocks, LABEL_KEYS)).shape[0] < 250


def test_predicted_classes_are_counted_in_their_colours(scored_core, picture):
    predictions = scored_core.particles[SCORES_SHOWN["segment_predictions"]]
    image = picture(score_figure("segment_predictions", [predictions], LABEL_KEYS))
    assert shows_colour(image, BY_KEY["dust"].colour)


def test_a_particle_without_a_place_is_not_on_the_map(scored_core):
    points = scored_core.particles[SCORES_SHOWN["segment_embedding"]].reset_index(drop=True)
    unplaced = pd.concat([points, pd.DataFrame({"map_x": [np.nan], "map_y": [np.nan]})])
    assert score_figure("segment_embedding", [points], LABEL_KEYS) == score_figure(
        "segment_embedding", [unplaced], LABEL_KEYS
    )


def test_anomaly_scores_on_both_sides_of_the_threshold_are_drawn(scored_core):
    scores = scored_core.particles[SCORES_SHOWN["segment_anomaly_scores"]]
    both_sides = scores.assign(anomaly_score=np.linspace(-0.3, 0.3, len(scores)))
    below = both_sides.assign(anomaly_score=both_sides["anomaly_score"].clip(upper=-0.001))
    assert score_figure("segment_anomaly_scores", [both_sides], LABEL_KEYS) != score_figure(
        "segment_anomaly_scores", [below], LABEL_KEYS
    )


def test_a_table_without_a_figure_is_refused():
    with pytest.raises(ValueError, match="no figure"):
        score_figure("segment_crops", [], LABEL_KEYS)
