"""Intervals by the bootstrap by run."""

import numpy as np
import pytest

from icecore_dagster.learning.intervals import (
    calibration_interval,
    called_intervals,
    classification_intervals,
    confusions_by_run,
)
from icecore_dagster.learning.metrics import evaluate, expected_calibration_error


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


def test_each_share_of_a_class_that_is_called_another_has_its_own_interval():
    targets, predicted, runs = _two_classes(3, 40, [2, 4, 6])
    (right, wrong, never), (_, other, _), absent = called_intervals(targets, predicted, runs, 3)
    assert right.low < 0.9 < right.high and other.low < 0.9 < other.high
    assert wrong.low == pytest.approx(1 - right.high) and wrong.high == pytest.approx(1 - right.low)
    assert never.low == never.high == 0
    assert absent == []
    known = evaluate(targets, np.eye(3)[predicted], ("a", "b", "c"), runs).by_class
    assert known["a"].called == {"a": right, "b": wrong, "c": never} and known["c"].called == {}
    assert evaluate(targets, np.eye(3)[predicted], ("a", "b", "c")).by_class["a"].called == {}


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


def _confident(right_of_run: list[int], confidence: float, per_run: int = 100):
    """Two classes; of each run of the first so many are right, all at one confidence."""
    targets = np.zeros(per_run * len(right_of_run), int)
    probabilities = np.tile([confidence, 1 - confidence], (len(targets), 1))
    wrong = np.concatenate([np.arange(per_run) >= right for right in right_of_run])
    probabilities[wrong] = probabilities[wrong][:, ::-1]
    return targets, probabilities, [f"run{i // per_run}" for i in range(len(targets))]


def test_the_interval_of_the_calibration_error_holds_the_estimate():
    data = _confident([70, 80, 75, 65], 0.9)
    found = calibration_interval(*data, 15)
    estimate = expected_calibration_error(*data[:2])
    assert estimate == pytest.approx(0.9 - 0.725)
    assert found.low < estimate < found.high
    assert calibration_interval(*data, 15) == found


def test_runs_that_differ_widen_the_interval_of_the_calibration_error():
    alike = calibration_interval(*_confident([70, 70, 70, 70], 0.9), 15)
    unlike = calibration_interval(*_confident([40, 90, 60, 90], 0.9), 15)
    assert unlike.high - unlike.low > 2 * (alike.high - alike.low)
    # Four hundred coins of 0.7: 1.96 standard errors on either side.
    assert alike.high - alike.low == pytest.approx(2 * 1.96 * np.sqrt(0.7 * 0.3 / 400), rel=0.15)
