"""How well a score of anomaly tells dust from what is not dust, whichever model gave it: areas, curves, intervals.

Everything here takes anomalousness, larger being more anomalous, whatever the sign of the model's own score.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict

from icecore_dagster.learning.intervals import Interval, interval_of

DUST = "dust"
DRAWS = 300
"""Bootstrap draws for the intervals of the areas; each sorts every particle anew."""


class Separation(BaseModel):
    """How well anomaly tells held-out dust from other particles.

    Attributes:
        dust: number of held-out dust particles.
        other: number of particles of other labels.
        roc_auc: area under the receiver operating characteristic; 0.5 is chance.
        average_precision: area under precision against recall; chance is the share of other particles.
        roc_auc_by_label: the same area as roc_auc for dust against one label alone.
        intervals: 95 % intervals of roc_auc and average_precision by the bootstrap by run; empty where the runs were
            not told.
        intervals_by_label: of roc_auc_by_label, likewise.
    """

    model_config = ConfigDict(frozen=True)

    dust: int
    other: int
    roc_auc: float
    average_precision: float
    roc_auc_by_label: dict[str, float]
    intervals: dict[str, Interval] = {}
    intervals_by_label: dict[str, Interval] = {}


@dataclass(frozen=True)
class Curves:
    """What a threshold on anomaly trades for what; one point a threshold, from strict to lenient.

    Attributes:
        dust_share: float64 (k,), share of the dust at or above the threshold (false positive rate).
        found_share: float64 (k,), share of the other particles at or above it (true positive rate, recall).
        precision: float64 (k,), share of others among all at or above it.
        other_share: share of others among all particles: the precision of chance.
    """

    dust_share: np.ndarray
    found_share: np.ndarray
    precision: np.ndarray
    other_share: float


def separation_of(
    anomalousness: np.ndarray, labels: Collection[str], runs: Collection[str] | None = None
) -> Separation | None:
    """Measure how well anomaly tells dust from everything else.

    Args:
        anomalousness: float (n,), larger is more anomalous; finite.
        labels: label of each particle, "dust" among them.
        runs: run of each particle, for the intervals; None for none.

    Returns:
        The areas; None if all particles are dust or none is.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    label = np.asarray(list(labels), dtype=object)
    other = label != DUST
    if other.all() or not other.any():
        return None
    by_label = {
        str(name): float(roc_auc_score(label[among] == name, anomalousness[among]))
        for name in sorted(set(label[other]))
        for among in [(label == name) | ~other]
    }
    whole, of_labels = ({}, {}) if runs is None else _intervals(anomalousness, label, np.asarray(list(runs), np.str_))
    return Separation(
        dust=int((~other).sum()),
        other=int(other.sum()),
        roc_auc=float(roc_auc_score(other, anomalousness)),
        average_precision=float(average_precision_score(other, anomalousness)),
        roc_auc_by_label=by_label,
        intervals=whole,
        intervals_by_label=of_labels,
    )


def separation_from(
    dust: np.ndarray, unknown: np.ndarray, dust_runs: Collection[str] | None = None
) -> Separation | None:
    """Measure how well anomaly tells dust from particles of no known class.

    Args:
        dust: float (n,), anomalousness of dust.
        unknown: float (m,), of the others, which are of no run: the bootstrap draws them again one by one.
        dust_runs: run of each dust particle, for the intervals; None for none.
    """
    labels = [DUST] * len(dust) + ["unknown"] * len(unknown)
    runs = None if dust_runs is None else [*dust_runs, *["unknown"] * len(unknown)]
    return separation_of(np.concatenate([dust, unknown]), labels, runs)


def curves_of(anomalousness: np.ndarray, other: np.ndarray) -> Curves:
    """The receiver operating characteristic, and precision against recall.

    Args:
        anomalousness: float (n,), larger is more anomalous.
        other: bool (n,), which particles are not dust; both kinds occur.

    Raises:
        ValueError: all particles are dust, or none is.
    """
    n_other, n_dust = int(other.sum()), int((~other).sum())
    if not n_other or not n_dust:
        raise ValueError("a curve needs dust and other particles; hold out labelled runs of both")
    order = np.argsort(-anomalousness, kind="stable")
    # Particles of equal anomaly pass a threshold together.
    last_of_equals = np.append(np.diff(anomalousness[order]) != 0, True)
    found = np.cumsum(other[order])[last_of_equals]
    passed = np.flatnonzero(last_of_equals) + 1
    return Curves((passed - found) / n_dust, found / n_other, found / passed, n_other / (n_other + n_dust))


def _intervals(
    anomalousness: np.ndarray, labels: np.ndarray, runs: np.ndarray, seed: int = 0
) -> tuple[dict[str, Interval], dict[str, Interval]]:
    """Of the areas of all and of each label; runs are drawn again within each label, then particles within each run."""
    from sklearn.metrics import average_precision_score

    rng = np.random.default_rng(seed)
    members = {
        str(name): [np.flatnonzero((labels == name) & (runs == run)) for run in np.unique(runs[labels == name])]
        for name in sorted(set(labels))
    }
    whole, by_label = [], []
    for _ in range(DRAWS):
        drawn = {name: anomalousness[_drawn_again(of_label, rng)] for name, of_label in members.items()}
        dust = np.sort(drawn.pop(DUST))
        areas = {name: _area(dust, others) for name, others in drawn.items()}
        sizes = [len(others) for others in drawn.values()]
        is_other = np.repeat([False, True], [len(dust), sum(sizes)])
        precision = average_precision_score(is_other, np.concatenate([dust, *drawn.values()]))
        by_label.append(areas)
        whole.append(
            {"roc_auc": np.average(list(areas.values()), weights=sizes), "average_precision": float(precision)}
        )
    return _spread(whole), _spread(by_label)


def _drawn_again(of_label: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    chosen = rng.integers(len(of_label), size=len(of_label))
    return np.concatenate([rng.choice(of_label[i], len(of_label[i])) for i in chosen])


def _area(dust: np.ndarray, others: np.ndarray) -> float:
    """Chance that another particle is more anomalous than dust, ascending; equals count half (the ROC's area)."""
    below = np.searchsorted(dust, others, "left") + np.searchsorted(dust, others, "right")
    return float(below.mean() / (2 * len(dust)))


def _spread(draws: list[dict[str, float]]) -> dict[str, Interval]:
    return {name: interval_of(np.array([draw[name] for draw in draws])) for name in draws[0]}
