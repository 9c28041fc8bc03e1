from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from icecore_dagster.learning.few_labels.representations import HeldOutSet, Representation
from icecore_dagster.learning.few_labels.zero_shot import (
    NEW,
    SAME,
    RankedScores,
    novelty,
    verification,
    zero_shot_table,
)


def _by_label(chosen: HeldOutSet) -> Representation:
    labels = sorted(set(chosen.labels))
    return Representation("perfect", np.eye(len(labels))[[labels.index(x) for x in chosen.labels]], False)


def _random(chosen: HeldOutSet, d: int = 4) -> Representation:
    return Representation("random", np.random.default_rng(5).normal(size=(len(chosen.table), d)), True)


def test_weighted_auc_is_scikit_learns_ties_included() -> None:
    rng = np.random.default_rng(0)
    scores, truth = rng.integers(0, 12, 200).astype(float), rng.random(200) < 0.3
    weights = rng.integers(0, 4, 200).astype(float)
    expected = roc_auc_score(truth, scores, sample_weight=weights)
    assert RankedScores(scores, truth).value(weights) == pytest.approx(expected)
    assert np.isnan(RankedScores(scores, truth).value(weights * truth))


def test_places_that_say_the_label_answer_both_questions(chosen: HeldOutSet) -> None:
    table = zero_shot_table(chosen, [_by_label(chosen), _random(chosen)], draws=50).set_index(["question", "method"])
    for question in (SAME, NEW):
        assert table.loc[(question, "perfect"), ["roc_auc", "low", "high"]].tolist() == [1, 1, 1]
        low, high = table.loc[(question, "random"), ["low", "high"]]
        assert low <= table.loc[(question, "random"), "roc_auc"] <= high
        assert abs(table.loc[(question, "random"), "roc_auc"] - 0.5) < 0.15
        assert table.loc[(question, "random"), "saw_held_out"]


def test_pairs_within_a_run_are_not_asked_about(chosen: HeldOutSet) -> None:
    # Places say the run alone: within a run all pairs are near and of one label, between runs nothing is known.
    runs = sorted(set(chosen.runs))
    of_run = Representation("run", np.eye(len(runs))[[runs.index(x) for x in chosen.runs]], False)
    assert verification(of_run, chosen, draws=10)["roc_auc"] == 0.5


def test_one_run_a_label_leaves_no_pair(chosen: HeldOutSet) -> None:
    one_run = replace(chosen, table=chosen.table.assign(run=chosen.table["label"] + "_only"))
    with pytest.raises(ValueError, match="more runs"):
        verification(_by_label(chosen), one_run, draws=5)


def test_a_common_label_does_not_outweigh_a_rare_one(chosen: HeldOutSet) -> None:
    # Dust lies at its prototype and camp far off it: with equal weight half of the learnt test particles are nearer.
    where = {"dust": 0.0, "camp": 0.0, "qrob": 0.0, "grim": 5.0, "corylus": 5.0}
    places = np.array([where[x] for x in chosen.labels])
    places[(chosen.labels == "camp") & (chosen.sides == "test")] = 10.0
    few = chosen.table[~((chosen.labels == "camp") & (chosen.sides == "test") & (np.arange(len(places)) % 4 > 0))]
    thinned = HeldOutSet(few.reset_index(drop=True), chosen.rows[few.index], chosen.held_out)
    placed = Representation("placed", places[few.index][:, None], False)
    assert novelty(placed, thinned, draws=5)["roc_auc"] == pytest.approx(2 / 3)
