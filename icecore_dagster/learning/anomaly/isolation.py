"""The trees of an isolation forest as plain arrays: kept without scikit-learn, and walked by LightGBM."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import lightgbm
    from sklearn.ensemble import IsolationForest


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
        usual_path: float64 (), mean number of cuts that isolate a row of a sample as large as a tree's.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    path: np.ndarray
    usual_path: np.ndarray

    @classmethod
    def of(cls, forest: "IsolationForest") -> "IsolationTrees":
        """The trees of a forest that scikit-learn has grown on every column."""
        trees = [estimator.tree_ for estimator in forest.estimators_]
        most = max(tree.node_count for tree in trees)
        shape = (len(trees), most)
        feature, left, right = np.zeros(shape, np.int32), np.zeros(shape, np.int32), np.zeros(shape, np.int32)
        threshold, path = np.zeros(shape), np.zeros(shape)
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
        usual = mean_cuts(np.array([forest.max_samples_]))[0]
        return cls(feature, threshold, left, right, path, np.asarray(usual))

    def score(self, matrix: np.ndarray) -> np.ndarray:
        """How ordinary each row is: 0.5 - 2^(-mean path / usual path), scikit-learn's `decision_function`.

        Args:
            matrix: float (n, columns), no value missing; rounded to float32, as the trees were grown.

        Returns:
            float64 (n,), -0.5 to 0.5; the more negative, the more anomalous.
        """
        rows = np.asarray(matrix, dtype=np.float32).astype(np.float64)
        if not len(rows):
            return np.empty(0)
        walker = self._walker
        paths = np.asarray(walker.predict(rows[:, : walker.num_feature()], raw_score=True))
        mean_path = paths / len(self.feature)
        return 0.5 - np.exp2(-mean_path / self.usual_path)

    @cached_property
    def _walker(self) -> "lightgbm.Booster":
        """The same trees as a model of LightGBM's, which walks them much faster than numpy can.

        It sums the values of the leaves, here the paths.
        """
        import lightgbm

        columns = int(self.feature.max()) + 1
        head = ["tree", "version=v4", "num_class=1", "num_tree_per_iteration=1", "label_index=0"]
        head += [f"max_feature_idx={columns - 1}", "objective=regression"]
        head += ["feature_names=" + _line(f"c{i}" for i in range(columns))]
        head += ["feature_infos=" + _line("[-inf:inf]" for _ in range(columns)), ""]
        trees = [line for number in range(len(self.feature)) for line in self._tree(number)]
        return lightgbm.Booster(model_str="\n".join([*head, *trees, "end of trees", ""]))

    def _tree(self, number: int) -> Iterator[str]:
        """One tree in LightGBM's text: inner nodes are counted from 0, leaves from -1 downwards."""
        nodes = np.arange(self.feature.shape[1])
        # Places behind the nodes of a smaller tree lead back to 0.
        inner, leaves = self.left[number] > nodes, np.flatnonzero(self.left[number] == nodes)
        name = np.zeros(len(nodes), dtype=np.int64)
        name[inner] = np.arange(inner.sum())
        name[leaves] = -1 - np.arange(len(leaves))
        yield f"Tree={number}"
        yield f"num_leaves={len(leaves)}"
        yield "num_cat=0"
        if inner.any():
            yield "split_feature=" + _line(self.feature[number][inner])
            yield "threshold=" + _line(f"{value:.17g}" for value in self.threshold[number][inner])
            yield "left_child=" + _line(name[self.left[number][inner]])
            yield "right_child=" + _line(name[self.right[number][inner]])
        yield "leaf_value=" + _line(f"{value:.17g}" for value in self.path[number][leaves])
        yield "shrinkage=1"
        yield ""


def _line(values: Iterable[object]) -> str:
    return " ".join(map(str, values))


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
