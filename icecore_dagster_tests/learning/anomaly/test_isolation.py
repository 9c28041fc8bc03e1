import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from icecore_dagster.learning.anomaly.isolation import IsolationTrees, mean_cuts


@pytest.mark.parametrize(("rows", "sample"), [(2, 2), (3, 2), (40, 3), (700, 256)])
def test_scores_are_those_of_scikit_learn(rows: int, sample: int) -> None:
    rng = np.random.default_rng(rows)
    forest = IsolationForest(n_estimators=30, max_samples=sample, random_state=1).fit(rng.normal(size=(rows, 5)))
    # Values beyond all cuts, and as many rows as need more than one pass.
    asked = rng.normal(size=(5_000, 5)) * 3
    trees = IsolationTrees.of(forest)
    np.testing.assert_allclose(trees.score(asked), forest.decision_function(asked), atol=1e-12)
    np.testing.assert_allclose(trees.score(asked[:1]), trees.score(asked)[:1], atol=1e-12)
    assert trees.score(asked[:0]).shape == (0,)


def test_rows_that_are_all_alike_give_trees_without_cuts() -> None:
    forest = IsolationForest(n_estimators=5, max_samples=8, random_state=1).fit(np.ones((20, 3)))
    asked = np.array([[1.0, 1, 1], [9, 9, 9]])
    np.testing.assert_allclose(IsolationTrees.of(forest).score(asked), forest.decision_function(asked), atol=1e-12)


def test_cuts_that_isolate_one_row_of_so_many() -> None:
    np.testing.assert_allclose(mean_cuts(np.array([0, 1, 2, 256])), [0, 0, 1, 10.244770920116851])
