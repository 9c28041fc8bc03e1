"""Intervals by the bootstrap by run."""

import numpy as np
import pytest

from icecore_dagster.learning.intervals import classification_intervals, confusions_by_run
from icecore_dagster.learning.metrics import evaluate


def _two_classes(runs_a_class: int, per_run: int, wrong_in_run: list[int]):
    """`wrong_in_run[i]` particles of the i-th run of each class are called the other class."""
    targets, predicted, runs = [], [], []
    for true in (0, 1):
        for run in range(runs_a_class):
            wrong = wrong_in_run[run]
            targets += [true] * per_run
            predicted += [1 - true] * wrong + [true] * (per_run - wrong)
            runs += [f"class{true}_run{run}"] * per_run
    return np.array(targets), np.array(predicted), runs


def test_the_interval_holds_the_estimate():
    targets, predicted, runs = _two_classes(4, 50, [0, 5, 10, 5])
    found = classification_intervals(targets, predicted, runs, 2)
    for name in ("accuracy", "balanced_accuracy"):
        assert found[name].low < 0.9 < found[name].high


def test_runs_that_differ_widen_the_interval_more_than_particles_do():
    alike = classification_intervals(*_two_classes(4, 200, [20, 20, 20, 20]), 2)["accuracy"]
    unlike = classification_intervals(*_two_classes(4, 200, [0, 0, 0, 80]), 2)["accuracy"]
    assert unlike.high - unlike.low > 2 * (alike.high - alike.low)


def test_one_run_a_class_still_has_the_spread_of_its_particles():
    found = classification_intervals(*_two_classes(1, 100, [10]), 2)["accuracy"]
    assert 0.02 < found.high - found.low < 0.2


def test_every_drawn_matrix_keeps_each_class():
    targets, predicted, runs = _two_classes(3, 10, [1, 2, 3])
    drawn = confusions_by_run(targets, predicted, runs, 3, draws=50)
    assert drawn.shape == (50, 3, 3)
    assert (drawn.sum(axis=2) == [30, 30, 0]).all()


def test_the_same_seed_gives_the_same_interval():
    data = _two_classes(3, 20, [1, 5, 9])
    assert classification_intervals(*data, 2) == classification_intervals(*data, 2)


def test_metrics_carry_intervals_only_where_runs_are_told():
    targets, predicted, runs = _two_classes(2, 30, [3, 6])
    probabilities = np.eye(2)[predicted] * 0.8 + 0.1
    assert evaluate(targets, probabilities, ("a", "b")).intervals == {}
    known = evaluate(targets, probabilities, ("a", "b"), runs)
    assert known.intervals["accuracy"].low <= known.accuracy <= known.intervals["accuracy"].high
    assert known.accuracy == pytest.approx(0.85)
