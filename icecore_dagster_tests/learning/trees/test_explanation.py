import numpy as np
import pandas as pd
import pytest

from icecore_dagster.learning.trees.boosting import TrainedTrees, TreesConfig, feature_matrix, train_trees
from icecore_dagster.learning.trees.explanation import explain_trees
from icecore_dagster.particles.labels import TASKS
from icecore_dagster.particles.properties import FEATURES
from icecore_dagster_tests.learning.drawn_shapes import LABELS, measured

INFORMATIVE = {name for i, name in enumerate(FEATURES) if i % 3 == 0}


@pytest.fixture(scope="module")
def known() -> tuple[pd.DataFrame, TrainedTrees]:
    labels = [LABELS[i % 3] for i in range(300)]
    table = measured(labels, np.random.default_rng(0))
    table.iloc[::7, 3] = np.nan
    splits = ["train", "train", "train", "validation", "test"] * 60
    config = TreesConfig(rounds=15, patience=10, smallest_leaf=5, threads=1)
    return table, train_trees(table, labels, splits, TASKS["three_class"], config)


def test_shap_values_add_up_to_the_raw_scores(known) -> None:
    table, trained = known
    some = table.head(40)
    explained = explain_trees(trained.booster(), some, trained.features, trained.classes)
    assert explained.values.shape == (40, len(FEATURES), 3)
    raw = np.asarray(trained.booster().predict(feature_matrix(some, FEATURES), raw_score=True))
    base = raw - explained.values.sum(axis=1)
    np.testing.assert_allclose(base, np.repeat(base[:1], 40, axis=0), atol=1e-6)


def test_the_values_are_those_that_lightgbm_gives_itself(known) -> None:
    table, trained = known
    some = table.head(10)
    explained = explain_trees(trained.booster(), some, trained.features, trained.classes)
    given = np.asarray(trained.booster().predict(feature_matrix(some, FEATURES), pred_contrib=True))
    of_classes = given.reshape(10, 3, len(FEATURES) + 1)[:, :, :-1].transpose(0, 2, 1)
    np.testing.assert_allclose(explained.values, of_classes, atol=1e-9)


def test_informative_properties_come_first_in_all_and_for_one_particle(known) -> None:
    table, trained = known
    explained = explain_trees(trained.booster(), table.head(40), trained.features, trained.classes)
    assert explained.mean_influence().index[0] in INFORMATIVE
    of_one = explained.for_class(7, "ash")
    assert of_one.abs().is_monotonic_decreasing
    assert of_one[FEATURES[3]] == explained.values[7, 3, 1]


def test_nothing_to_explain_gives_an_empty_explanation(known) -> None:
    table, trained = known
    explained = explain_trees(trained.booster(), table.head(0), trained.features, trained.classes)
    assert explained.values.shape == (0, len(FEATURES), 3)
