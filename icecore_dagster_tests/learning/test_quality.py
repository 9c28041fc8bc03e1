"""The gate before scoring: guessing is held back, a useful model is let through."""

import numpy as np
import pytest

from icecore_dagster.learning.metrics import evaluate
from icecore_dagster.learning.models.card import ModelCard
from icecore_dagster.learning.quality import good_enough, least_balanced_accuracy


def card(accuracy: float, classes: tuple[str, ...] = ("dust", "ash", "pollen")) -> ModelCard:
    """A classifier that is right in a share of 300 cases, evenly over its classes."""
    targets = np.repeat(np.arange(len(classes)), 100)
    said = targets.copy()
    wrong = np.tile(np.arange(100) >= round(100 * accuracy), len(classes))
    said[wrong] = (targets[wrong] + 1) % len(classes)
    metrics = evaluate(targets, np.eye(len(classes))[said], classes).model_dump(mode="json")
    return ModelCard(
        kind="network",
        task="three_class",
        classes=classes,
        training_data={},
        split_kind="by run",
        metrics={"validation": metrics},
        config={},
        library_versions={},
        created_at="2021-01-01T00:00:00Z",
    )


@pytest.mark.parametrize(("accuracy", "passed"), [(0.34, False), (0.5, False), (0.6, True), (0.95, True)])
def test_a_classifier_must_do_clearly_better_than_guessing(accuracy, passed):
    outcome = good_enough(card(accuracy))
    assert outcome.passed is passed
    assert f"{accuracy:.3f}" in outcome.summary


def test_the_bar_lies_between_guessing_and_perfect_for_any_number_of_classes():
    for n in (2, 3, 7, 40):
        assert 1 / n < least_balanced_accuracy(n) < 1


def test_a_forest_that_cannot_tell_dust_from_the_rest_is_held_back():
    forest = card(0.9).model_copy(update={"kind": "forest", "metrics": {"separation": {"roc_auc": 0.52}}})
    assert not good_enough(forest).passed
    better = forest.model_copy(update={"metrics": {"separation": {"roc_auc": 0.93}}})
    assert good_enough(better).passed
