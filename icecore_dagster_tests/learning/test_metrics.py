import numpy as np
import pytest

from icecore_dagster.learning.metrics import ClassificationMetrics, evaluate, expected_calibration_error

TARGETS = np.array([0, 0, 0, 1, 1])
PROBABILITIES = np.array([[0.9, 0.1, 0], [0.6, 0.4, 0], [0.2, 0.8, 0], [0.3, 0.7, 0], [0.1, 0.9, 0]])


def test_metrics_are_those_counted_by_hand() -> None:
    found = evaluate(TARGETS, PROBABILITIES, ("dust", "ash", "pollen"))
    assert found.confusion == ((2, 1, 0), (0, 2, 0), (0, 0, 0))
    assert found.accuracy == pytest.approx(4 / 5)
    assert found.balanced_accuracy == pytest.approx((2 / 3 + 1) / 2)
    assert found.by_class["dust"].precision == pytest.approx(1.0)
    assert found.by_class["ash"].precision == pytest.approx(2 / 3)
    assert found.by_class["ash"].f1 == pytest.approx(0.8)
    assert found.macro_f1 == pytest.approx(0.8)
    assert found.log_loss == pytest.approx(-np.log([0.9, 0.6, 0.2, 0.7, 0.9]).mean())


def test_a_class_that_does_not_occur_has_no_recall_and_no_weight() -> None:
    pollen = evaluate(TARGETS, PROBABILITIES, ("dust", "ash", "pollen")).by_class["pollen"]
    assert (pollen.support, pollen.recall, pollen.f1) == (0, None, None)


def test_metrics_survive_json() -> None:
    found = evaluate(TARGETS, PROBABILITIES, ("dust", "ash", "pollen"))
    assert ClassificationMetrics.model_validate_json(found.model_dump_json()) == found


def test_calibration_error_is_zero_when_confidence_is_kept_and_its_gap_when_not() -> None:
    sure = np.repeat([[0.75, 0.25]], 4, axis=0)
    assert expected_calibration_error(np.array([0, 0, 0, 1]), sure) == pytest.approx(0.0)
    assert expected_calibration_error(np.array([1, 1, 1, 1]), sure) == pytest.approx(0.75)


def test_nothing_to_evaluate_is_refused() -> None:
    with pytest.raises(ValueError, match="split leaves this side empty"):
        evaluate(np.array([], int), np.empty((0, 3)), ("a", "b", "c"))
