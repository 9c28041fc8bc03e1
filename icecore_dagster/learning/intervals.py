"""How far a result may be off: the bootstrap by run.

Particles of one run share background, focus and date, so that a thousand of them are not a thousand independent
witnesses. Runs are drawn again within each class, and then the particles within each drawn run (Davison & Hinkley 1997,
Bootstrap Methods and their Application, section 3.8).
"""

from collections.abc import Collection

import numpy as np
from pydantic import BaseModel, ConfigDict

DRAWS = 1_000
COVERAGE = 0.95


class Interval(BaseModel):
    """Bounds that hold a quantity in 95 of 100 repetitions.

    Attributes:
        low: lower bound.
        high: upper bound.
    """

    model_config = ConfigDict(frozen=True)

    low: float
    high: float


def interval_of(values: np.ndarray, coverage: float = COVERAGE) -> Interval:
    """The percentile interval of bootstrapped values, float (draws,); NaN are left out."""
    tail = (1 - coverage) / 2
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return Interval(low=float(low), high=float(high))


def confusions_by_run(
    targets: np.ndarray,
    predicted: np.ndarray,
    runs: Collection[str],
    n_classes: int,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> np.ndarray:
    """Confusion matrices as they might have been, had other runs and other particles been imaged.

    Args:
        targets: int (n,), index of the true class.
        predicted: int (n,), index of the predicted class.
        runs: run of each particle.
        n_classes: number of classes.
        draws: how many matrices.
        seed: the same seed gives the same matrices.

    Returns:
        int64 (draws, classes, classes), rows true, columns predicted.
    """
    rng = np.random.default_rng(seed)
    names, run_of = np.unique(np.asarray(list(runs), dtype=np.str_), return_inverse=True)
    counts = np.zeros((len(names), n_classes, n_classes), dtype=np.int64)
    np.add.at(counts, (run_of, targets, predicted), 1)
    drawn = np.zeros((draws, n_classes, n_classes), dtype=np.int64)
    for true in range(n_classes):
        of_class = counts[:, true][counts[:, true].sum(axis=1) > 0]
        if not len(of_class):
            continue
        chosen = of_class[rng.integers(len(of_class), size=(draws, len(of_class)))]
        sizes = chosen.sum(axis=2)
        drawn[:, true] = rng.multinomial(sizes, chosen / sizes[..., None]).sum(axis=1)
    return drawn


def classification_intervals(
    targets: np.ndarray,
    predicted: np.ndarray,
    runs: Collection[str],
    n_classes: int,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Interval]:
    """Intervals of accuracy, balanced_accuracy and macro_f1; arguments as `confusions_by_run`."""
    drawn = confusions_by_run(targets, predicted, runs, n_classes, draws=draws, seed=seed).astype(np.float64)
    hits = np.einsum("dcc->dc", drawn)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = hits / drawn.sum(axis=2)
        f1 = 2 * hits / (drawn.sum(axis=2) + drawn.sum(axis=1))
    occurs = drawn.sum(axis=2) > 0
    values = {
        "accuracy": hits.sum(axis=1) / drawn.sum(axis=(1, 2)),
        "balanced_accuracy": np.where(occurs, recall, 0).sum(axis=1) / occurs.sum(axis=1),
        "macro_f1": np.where(occurs, f1, 0).sum(axis=1) / occurs.sum(axis=1),
    }
    return {name: interval_of(of_draws) for name, of_draws in values.items()}
