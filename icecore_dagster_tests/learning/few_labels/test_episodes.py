import logging
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from icecore_dagster.learning.few_labels.episodes import (
    ALL,
    GENERALISED,
    HELD_OUT,
    Episode,
    EpisodeConfig,
    accuracy_of,
    few_shot_table,
)
from icecore_dagster.learning.few_labels.representations import HeldOutSet, Representation, by_properties

CONFIG = EpisodeConfig(shots=(1, 5), queries=8, episodes=60)


def _perfect(chosen: HeldOutSet) -> Representation:
    labels = sorted(set(chosen.labels))
    return Representation("perfect", np.eye(len(labels))[[labels.index(x) for x in chosen.labels]], False)


def _guessing(chosen: HeldOutSet, seed: int = 0) -> Representation:
    return Representation("guessing", np.random.default_rng(seed).normal(size=(len(chosen.table), 4)), False)


def test_places_that_say_the_label_are_always_right_and_random_ones_guess(chosen: HeldOutSet) -> None:
    table = few_shot_table(chosen, [_perfect(chosen), _guessing(chosen)], CONFIG).set_index("method")
    assert (table.loc["perfect", ["accuracy", "low", "high"]] == 1).all(axis=None)
    guessing = table.loc["guessing"]
    assert (guessing["accuracy"] - guessing["chance"]).abs().max() < 0.1
    assert (guessing["low"] < guessing["accuracy"]).all()
    assert (guessing["accuracy"] < guessing["high"]).all()


def test_every_setting_states_ways_chance_and_runs(chosen: HeldOutSet) -> None:
    table = few_shot_table(chosen, [_perfect(chosen)], CONFIG)
    assert table.groupby("setting")["ways"].unique().map(list).to_dict() == {HELD_OUT: [2], ALL: [5], GENERALISED: [5]}
    np.testing.assert_allclose(table["chance"] * table["ways"], 1)
    assert table["across_runs"].all()
    assert (table["query_runs"] == 2).all()


def test_methods_are_compared_on_the_same_episodes(chosen: HeldOutSet) -> None:
    twin = replace(_guessing(chosen), name="twin")
    table = few_shot_table(chosen, [_guessing(chosen), twin], CONFIG)
    first, second = (table[table["method"] == name].drop(columns="method") for name in ("guessing", "twin"))
    pd.testing.assert_frame_equal(first.reset_index(drop=True), second.reset_index(drop=True))


def test_runs_on_both_sides_are_said(chosen: HeldOutSet) -> None:
    one_run = chosen.table.assign(run=chosen.table["label"] + "_only")
    table = few_shot_table(replace(chosen, table=one_run), [_perfect(chosen)], CONFIG)
    assert not table["across_runs"].any()


def test_more_examples_than_there_are_are_left_out_aloud(chosen: HeldOutSet, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        table = few_shot_table(chosen, [_perfect(chosen)], replace(CONFIG, shots=(5, 50)))
    assert set(table["shots"]) == {5}
    assert "50 shots left out" in caplog.text
    with pytest.raises(ValueError, match="add labelled runs"):
        few_shot_table(chosen, [_perfect(chosen)], replace(CONFIG, shots=(50,)))


def test_only_counted_labels_count() -> None:
    vectors = np.array([[0.0], [1.0], [0.1], [0.2]])
    episode = Episode(np.array([[0], [1]]), np.array([[2], [3]]), np.array([True, True]))
    assert accuracy_of(episode, vectors) == 0.5
    assert accuracy_of(replace(episode, counted=np.array([False, True])), vectors) == 0
    assert accuracy_of(replace(episode, counted=np.array([True, False])), vectors) == 1


def test_properties_are_scaled_by_learnt_training_particles_alone(chosen: HeldOutSet) -> None:
    usual = by_properties(chosen, ["width_um", "symmetry"])
    learnt = (chosen.sides == "train") & ~np.isin(chosen.labels, chosen.held_out)
    np.testing.assert_allclose(usual.vectors[learnt].mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(usual.vectors[learnt].std(axis=0), 1)
    changed = chosen.table.copy()
    changed.loc[~learnt, "width_um"] = 1e6
    changed.loc[np.flatnonzero(~learnt)[0], "width_um"] = np.nan
    moved = by_properties(replace(chosen, table=changed), ["width_um", "symmetry"])
    np.testing.assert_array_equal(moved.vectors[learnt], usual.vectors[learnt])
    assert moved.vectors[np.flatnonzero(~learnt)[0], 0] == 0
