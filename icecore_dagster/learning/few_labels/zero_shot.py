"""Zero-shot learning measured: what distance alone says of materials never met, without one example of them.

No text describes these images, so that there are no descriptions to match; two questions remain that need none:

* **Same material?** Two particles of held-out labels, from different runs: are they of one label? The score is minus
  their distance (verification, as Koch et al. 2015 ask it).
* **New material?** A particle: is it of a held-out label, or of one that was learnt? The score is its distance to the
  nearest prototype, the mean of a learnt label's training particles.

Both are given as ROC AUC, 0.5 being chance, with an interval by the bootstrap by run (`learning.intervals`).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from icecore_dagster.learning.few_labels.representations import HeldOutSet, Representation
from icecore_dagster.learning.intervals import interval_of
from icecore_dagster.particles.split import TEST, TRAIN, VALIDATION

SAME, NEW = "same material?", "new material?"
DRAWS = 200
_VERIFIED_A_LABEL = 100
"""Particles of each held-out label that pairs are made of; all pairs of so many are compared."""


def zero_shot_table(
    chosen: HeldOutSet, representations: Sequence[Representation], *, draws: int = DRAWS, seed: int = 0
) -> pd.DataFrame:
    """Both questions, asked of every representation.

    Args:
        chosen: particles to ask about.
        representations: of these particles.
        draws: of the bootstrap.
        seed: of the choice of particles and of the bootstrap.

    Returns:
        One row a question and representation: method, question, roc_auc, low, high, positives, negatives (pairs or
        particles), runs (of the label with the fewest, which tells how much of the spread between runs the interval
        can hold), saw_held_out.
    """
    rows = [
        {
            "method": one.name,
            "question": question,
            **ask(one, chosen, draws=draws, seed=seed),
            "saw_held_out": one.saw_held_out,
        }
        for question, ask in ((SAME, verification), (NEW, novelty))
        for one in representations
    ]
    return pd.DataFrame(rows)


def verification(
    representation: Representation, chosen: HeldOutSet, *, draws: int = DRAWS, seed: int = 0
) -> dict[str, float | int]:
    """How well distance tells whether two particles of held-out labels, from different runs, are of one label.

    Particles are of validation and test runs, equally many of each label where there are enough.

    Returns:
        roc_auc, low, high, positives and negatives (pairs), runs.

    Raises:
        ValueError: no pair of one label from two runs.
    """
    rng = np.random.default_rng(seed)
    usable = np.isin(chosen.sides, [VALIDATION, TEST])
    places = np.concatenate(
        [
            rng.permutation(np.flatnonzero(usable & (chosen.labels == label)))[:_VERIFIED_A_LABEL]
            for label in chosen.held_out
        ]
    )
    labels, runs, vectors = chosen.labels[places], chosen.runs[places], representation.vectors[places]
    first, second = np.triu_indices(len(places), 1)
    apart = runs[first] != runs[second]
    first, second = first[apart], second[apart]
    same = labels[first] == labels[second]
    if not same.any() or same.all():
        raise ValueError(f"no pairs of {list(chosen.held_out)} from different runs; image the materials in more runs")
    nearness = -np.linalg.norm(vectors[first] - vectors[second], axis=1)
    auc = RankedScores(nearness, same)
    resampled = [auc.value(w[first] * w[second]) for w in _run_weights(labels, runs, draws, rng)]
    return _facts(auc.value(np.ones(len(same))), resampled, same, labels, runs)


def novelty(
    representation: Representation, chosen: HeldOutSet, *, draws: int = DRAWS, seed: int = 0
) -> dict[str, float | int]:
    """How well the distance to the nearest learnt prototype tells held-out labels from learnt ones, on test particles.

    Every label counts the same on its side, however many particles it has.

    Returns:
        roc_auc, low, high, positives and negatives (particles), runs.
    """
    rng = np.random.default_rng(seed)
    learnt = chosen.sides == TRAIN
    prototypes = np.stack(
        [representation.vectors[learnt & (chosen.labels == label)].mean(axis=0) for label in chosen.known]
    )
    test = np.flatnonzero(chosen.sides == TEST)
    labels, runs, vectors = chosen.labels[test], chosen.runs[test], representation.vectors[test]
    away = np.linalg.norm(vectors[:, None, :] - prototypes[None, :, :], axis=2).min(axis=1)
    new = np.isin(labels, chosen.held_out)
    _, label_of, counts = np.unique(labels.astype(str), return_inverse=True, return_counts=True)
    each = 1 / counts[label_of]
    auc = RankedScores(away, new)
    resampled = [auc.value(w * each) for w in _run_weights(labels, runs, draws, rng)]
    return _facts(auc.value(each), resampled, new, labels, runs)


class RankedScores:
    """Scores sorted once, so that ROC AUC under many sets of weights is cheap.

    Args:
        scores: float (n,), higher for positives.
        truth: bool (n,).
    """

    def __init__(self, scores: np.ndarray, truth: np.ndarray) -> None:
        levels, self._level = np.unique(scores, return_inverse=True)
        self._levels, self._truth = len(levels), truth

    def value(self, weights: np.ndarray) -> float:
        """Weighted share of pairs (positive, negative) in which the positive scores higher; ties count half.

        Args:
            weights: float (n,), not negative.

        Returns:
            ROC AUC; NaN if either side has no weight.
        """
        positive = np.bincount(self._level, weights * self._truth, self._levels)
        negative = np.bincount(self._level, weights * ~self._truth, self._levels)
        total = positive.sum() * negative.sum()
        if total == 0:
            return float("nan")
        below = np.cumsum(negative) - negative
        return float((positive * (below + negative / 2)).sum() / total)


def _run_weights(labels: np.ndarray, runs: np.ndarray, draws: int, rng: np.random.Generator) -> list[np.ndarray]:
    """How often each particle is drawn when runs are drawn again within each label, and then particles within runs."""
    by_label = [
        [np.flatnonzero((labels == label) & (runs == run)) for run in sorted(set(runs[labels == label]))]
        for label in sorted(set(labels))
    ]
    drawn = []
    for _ in range(draws):
        weights = np.zeros(len(labels))
        for of_label in by_label:
            for i in rng.integers(len(of_label), size=len(of_label)):
                members = of_label[i]
                weights[members] += rng.multinomial(len(members), np.full(len(members), 1 / len(members)))
        drawn.append(weights)
    return drawn


def _facts(
    value: float, resampled: list[float], truth: np.ndarray, labels: np.ndarray, runs: np.ndarray
) -> dict[str, float | int]:
    bounds = interval_of(np.array(resampled))
    return {
        "roc_auc": value,
        "low": bounds.low,
        "high": bounds.high,
        "positives": int(truth.sum()),
        "negatives": int((~truth).sum()),
        "runs": min(len(set(runs[labels == label])) for label in set(labels)),
    }
