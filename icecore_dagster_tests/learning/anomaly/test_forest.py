import numpy as np
import pandas as pd
import pytest

from icecore_dagster.learning.anomaly.forest import ForestConfig, TrainedForest, grow_in_crowd, train_forest
from icecore_dagster.learning.networks.training import LabelledDataError
from icecore_dagster.particles.properties import FEATURES

CONFIG = ForestConfig(trees=50, seed=3)


def _labelled() -> tuple[pd.DataFrame, list[str], list[str]]:
    rng = np.random.default_rng(0)
    labels = ["dust"] * 500 + ["camp"] * 50 + ["qrob"] * 50
    shift = np.array([0.0] * 500 + [4.0] * 50 + [1.0] * 50)[:, None]
    table = pd.DataFrame(rng.normal(0, 1, (600, len(FEATURES))) + shift, columns=list(FEATURES))
    return table, labels, (["train", "train", "train", "validation", "test"] * 120)


@pytest.fixture(scope="module")
def trained() -> TrainedForest:
    return train_forest(*_labelled(), CONFIG)


def test_what_is_unlike_dust_scores_more_negative(trained: TrainedForest) -> None:
    far = pd.DataFrame(np.full((1, len(FEATURES)), 6.0), columns=list(FEATURES))
    near = pd.DataFrame(np.zeros((1, len(FEATURES))), columns=list(FEATURES))
    assert trained.model.score(far)[0] < trained.model.score(near)[0]


def test_only_training_dust_is_learnt_from(trained: TrainedForest) -> None:
    assert trained.trained_on == 300
    table, labels, splits = _labelled()
    table.loc[np.array(labels) != "dust"] += 100
    again = train_forest(table, labels, splits, CONFIG)
    np.testing.assert_array_equal(again.model.held_out_dust_scores, trained.model.held_out_dust_scores)


def test_separation_counts_and_ranks_the_held_out_labels(trained: TrainedForest) -> None:
    found = trained.separation
    assert found is not None
    assert (found.dust, found.other) == (200, 40)
    assert found.roc_auc_by_label["camp"] > 0.99
    assert found.roc_auc_by_label["qrob"] < found.roc_auc < found.roc_auc_by_label["camp"]


def test_the_share_is_that_of_held_out_dust_at_least_as_anomalous(trained: TrainedForest) -> None:
    dust = trained.model.held_out_dust_scores
    share = trained.model.dust_share_more_anomalous(np.array([dust[0] - 1, dust[0], dust[19], dust[-1], dust[-1] + 1]))
    np.testing.assert_allclose(share, [0, 1 / 200, 20 / 200, 1, 1])


def test_a_missing_property_counts_as_the_dusts_median(trained: TrainedForest) -> None:
    table = _labelled()[0].head(5)
    gap, filled = table.copy(), table.copy()
    gap["length_um"] = np.nan
    filled["length_um"] = trained.model.medians["length_um"]
    np.testing.assert_array_equal(trained.model.score(gap), trained.model.score(filled))


def test_no_dust_is_refused() -> None:
    table, labels, splits = _labelled()
    with pytest.raises(LabelledDataError, match="needs labelled dust"):
        train_forest(table, ["camp"] * len(labels), splits, CONFIG)


def test_a_property_that_no_dust_has_is_named() -> None:
    table, labels, splits = _labelled()
    with pytest.raises(LabelledDataError, match="symmetry"):
        train_forest(table.assign(symmetry=np.nan), labels, splits, CONFIG)


def test_the_odd_one_of_a_crowd_stands_out_though_it_is_in_the_crowd() -> None:
    table = _labelled()[0].head(500).copy()
    table.iloc[7] = 6.0
    scores = grow_in_crowd(table, CONFIG).score(table)
    assert int(np.argmin(scores)) == 7


def test_a_crowd_of_one_or_without_a_property_is_scored() -> None:
    table = _labelled()[0].head(50).assign(length_um=np.nan)
    assert np.isfinite(grow_in_crowd(table, CONFIG).score(table)).all()
    assert grow_in_crowd(table.head(1), CONFIG).score(table.head(1)).tolist() == [0.0]
    assert len(grow_in_crowd(table.head(0), CONFIG).score(table.head(0))) == 0
