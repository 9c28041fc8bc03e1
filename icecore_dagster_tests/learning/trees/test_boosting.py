import numpy as np
import pandas as pd
import pytest

from icecore_dagster.learning.trees.boosting import TrainedTrees, TreesConfig, feature_matrix, train_trees
from icecore_dagster.particles.labels import TASKS
from icecore_dagster.particles.properties import FEATURES
from icecore_dagster_tests.learning.drawn_shapes import LABELS, measured

TASK = TASKS["three_class"]
CONFIG = TreesConfig(rounds=40, patience=10, smallest_leaf=5, threads=1)


@pytest.fixture(scope="module")
def labelled() -> tuple[pd.DataFrame, list[str], list[str]]:
    labels = [LABELS[i % 3] for i in range(600)]
    table = measured(labels, np.random.default_rng(0))
    table.iloc[::7, 3] = np.nan
    table.iloc[::11, 5] = np.inf
    return table, labels, ["train", "train", "train", "validation", "test"] * 120


@pytest.fixture(scope="module")
def trained(labelled: tuple[pd.DataFrame, list[str], list[str]]) -> TrainedTrees:
    return train_trees(*labelled, TASK, CONFIG)


def test_properties_tell_the_classes_apart(trained: TrainedTrees) -> None:
    assert trained.test.accuracy > 0.8
    assert trained.features == FEATURES


def test_the_trees_are_cut_to_the_best_round(trained: TrainedTrees) -> None:
    assert trained.booster().num_trees() == 3 * trained.best_round
    assert 1 <= trained.best_round <= 40


def test_the_same_seed_gives_the_same_text(labelled, trained: TrainedTrees) -> None:
    assert train_trees(*labelled, TASK, CONFIG).booster_text == trained.booster_text


def test_importance_puts_an_informative_property_first(trained: TrainedTrees) -> None:
    informative = {name for i, name in enumerate(FEATURES) if i % 3 == 0}
    assert trained.importance["feature"][0] in informative
    assert trained.importance["gain"].is_monotonic_decreasing
    assert set(trained.importance["feature"]) == set(FEATURES)


def test_balancing_raises_the_recall_of_a_rare_class(labelled) -> None:
    table, labels, splits = labelled
    table = table + np.random.default_rng(5).normal(0, 2, table.shape)
    few = [
        s if label != "camp" or s != "train" or i % 10 == 1 else "unused"
        for i, (label, s) in enumerate(zip(labels, splits, strict=True))
    ]
    plain = train_trees(table, labels, few, TASK, CONFIG)
    balanced = train_trees(table, labels, few, TASK, TreesConfig(**{**CONFIG.__dict__, "balanced": True}))
    assert balanced.test.by_class["ash"].recall > plain.test.by_class["ash"].recall


def test_fewer_columns_can_be_learnt_from(labelled) -> None:
    trained = train_trees(*labelled, TASK, CONFIG, columns=FEATURES[:4])
    assert trained.booster().feature_name() == list(FEATURES[:4])


def test_a_missing_property_is_named() -> None:
    with pytest.raises(ValueError, match="circle_fit"):
        feature_matrix(pd.DataFrame({"length_um": [1.0]}), ["length_um", "circle_fit"])


def test_only_some_of_many_columns_are_looked_at_for_a_tree(labelled) -> None:
    few = TreesConfig(rounds=1, patience=1, smallest_leaf=5, threads=1, columns_a_tree=2)
    used = train_trees(*labelled, TASK, few).importance.query("split > 0")
    assert 1 <= len(used) <= 2 * len(TASK.classes)
