"""The trees of an isolation forest as plain arrays: kept without scikit-learn, and walked by numpy alone."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sklearn.ensemble import IsolationForest

_ROWS_AT_A_TIME = 2_048
"""So that the places of all rows in all trees stay in the processor's cache."""


@dataclass(frozen=True)
class IsolationTrees:
    """Every tree of a forest, its nodes side by side; a leaf leads to itself.

    Attributes:
        feature: int32 (trees, nodes), column that a node asks for; 0 in a leaf.
        threshold: float64 (trees, nodes), a row goes left if its value is at most this.
        left: int32 (trees, nodes), node that it then comes to.
        right: int32 (trees, nodes), node that it comes to otherwise.
        path: float64 (trees, nodes), in a leaf the number of cuts that isolate a row that ends there: those made, and
            those still needed on average for as many rows as were left.
        depth: int64 (), cuts on the longest way.
        usual_path: float64 (), mean number of cuts that isolate a row of a sample as large as a tree's.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    path: np.ndarray
    depth: np.ndarray
    usual_path: np.ndarray

    @classmethod
    def of(cls, forest: "IsolationForest") -> "IsolationTrees":
        """The trees of a forest that scikit-learn has grown on every column."""
        trees = [estimator.tree_ for estimator in forest.estimators_]
        most = max(tree.node_count for tree in trees)
        shape = (len(trees), most)
        feature, left, right = np.zeros(shape, np.int32), np.zeros(shape, np.int32), np.zeros(shape, np.int32)
        threshold, path, depth = np.zeros(shape), np.zeros(shape), 0
        for t, tree in enumerate(trees):
            nodes = np.arange(tree.node_count)
            inner = tree.children_left >= 0
            cuts = np.zeros(tree.node_count)
            for node in np.flatnonzero(inner):
                # A node stands before its children.
                cuts[[tree.children_left[node], tree.children_right[node]]] = cuts[node] + 1
            feature[t, nodes] = np.where(inner, tree.feature, 0)
            threshold[t, nodes] = np.where(inner, tree.threshold, np.inf)
            left[t, nodes] = np.where(inner, tree.children_left, nodes)
            right[t, nodes] = np.where(inner, tree.children_right, nodes)
            path[t, nodes] = cuts + mean_cuts(tree.n_node_samples)
            depth = max(depth, int(cuts.max()))
        usual = mean_cuts(np.array([forest.max_samples_]))[0]
        return cls(feature, threshold, left, right, path, np.asarray(depth), np.asarray(usual))

    def score(self, matrix: np.ndarray) -> np.ndarray:
        """How ordinary each row is: 0.5 - 2^(-mean path / usual path), scikit-learn's `decision_function`.

        Args:
            matrix: float (n, columns), no value missing; rounded to float32, as the trees were grown.

        Returns:
            float64 (n,), -0.5 to 0.5; the more negative, the more anomalous.
        """
        rows = np.asarray(matrix, dtype=np.float32).astype(np.float64)
        pieces = [self._paths(rows[i : i + _ROWS_AT_A_TIME]) for i in range(0, len(rows), _ROWS_AT_A_TIME)]
        mean_path = np.concatenate(pieces) if pieces else np.empty(0)
        return 0.5 - np.exp2(-mean_path / self.usual_path)

    def _paths(self, rows: np.ndarray) -> np.ndarray:
        """Mean path of each row over all trees."""
        trees, most = self.feature.shape
        values, start = rows.ravel(), np.arange(len(rows)) * rows.shape[1]
        feature = self.feature.astype(np.intp)
        # Both ways of a node after each other, so that one look-up finds where a row goes.
        ways = np.stack([self.right, self.left], axis=2).reshape(trees, 2 * most).astype(np.intp)
        total = np.zeros(len(rows))
        for tree in range(trees):
            node = np.zeros(len(rows), dtype=np.intp)
            for _ in range(int(self.depth)):
                goes_left = values.take(start + feature[tree].take(node)) <= self.threshold[tree].take(node)
                node = ways[tree].take(2 * node + goes_left)
            total += self.path[tree].take(node)
        return total / trees


def mean_cuts(rows: np.ndarray) -> np.ndarray:
    """Mean number of random cuts until one of some rows stands alone.

    2 H(n - 1) - 2 (n - 1) / n with the harmonic number H(i) = ln i + 0.5772 for n > 2, 1 for two rows, 0 for fewer (Liu
    et al. 2008, Proc. IEEE ICDM 8, 413-422, equation 1).

    Args:
        rows: int (k,), how many rows there are.

    Returns:
        float64 (k,).
    """
    n = np.asarray(rows, dtype=np.float64)
    more = np.maximum(n, 3)
    cuts = 2 * (np.log(more - 1) + np.euler_gamma) - 2 * (more - 1) / more
    return np.where(n > 2, cuts, np.where(n == 2, 1.0, 0.0))
