import numpy as np
import pandas as pd
import pytest

from icecore_dagster.learning.realism.difficulty import PUBLISHED, measure_difficulty
from icecore_dagster.particles.labels import TASKS
from icecore_dagster.particles.properties import FEATURES


def _particles(overlap: float, of_each: int = 120) -> pd.DataFrame:
    """Six labels whose first property differs by label, with so much noise; the rest says nothing."""
    rng = np.random.default_rng(0)
    labels = np.repeat(TASKS["six_class"].classes, of_each)
    table = pd.DataFrame(rng.normal(size=(len(labels), len(FEATURES))), columns=list(FEATURES))
    table[FEATURES[0]] = np.repeat(np.arange(6.0), of_each) + overlap * table[FEATURES[0]]
    runs = [f"{label}_{place % 4}" for place, label in enumerate(labels)]
    return table.assign(label=labels, run=runs)


def test_what_differs_is_told_apart_and_what_does_not_is_not():
    apart = measure_difficulty(_particles(0.01), TASKS["six_class"])
    alike = measure_difficulty(_particles(100.0), TASKS["six_class"])
    assert apart.accuracy > 0.98
    assert alike.accuracy < 0.4


def test_thirty_per_cent_of_each_class_are_held_out_and_other_labels_take_no_part():
    particles = pd.concat([_particles(0.1), _particles(0.1).assign(label="cont")])
    metrics = measure_difficulty(particles, TASKS["three_class"])
    assert {name: score.support for name, score in metrics.by_class.items()} == {"dust": 36, "ash": 72, "pollen": 108}


@pytest.mark.parametrize(("accuracy", "macro", "holds"), [(0.90, 0.85, True), (0.93, 0.86, False), (0.91, 0.80, False)])
def test_a_set_is_as_hard_as_the_study_within_bounds(accuracy, macro, holds):
    metrics = measure_difficulty(_particles(1.0), TASKS["six_class"])
    metrics = metrics.model_copy(update={"accuracy": accuracy, "balanced_accuracy": macro})
    assert PUBLISHED["six_class"].holds(metrics) is holds
