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


def called_intervals(
    targets: np.ndarray,
    predicted: np.ndarray,
    runs: Collection[str],
    n_classes: int,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> list[list[Interval]]:
    """Intervals of the share of each class that is called each class, its recall among them.

    Arguments as `confusions_by_run`.

    Returns:
        One list a class, with an interval for each class that its particles may be called; empty for a class that does
        not occur.
    """
    drawn = confusions_by_run(targets, predicted, runs, n_classes, draws=draws, seed=seed)
    of_class = drawn.sum(axis=2)
    return [
        [interval_of(drawn[:, true, called] / of_class[:, true]) for called in range(n_classes)]
        if of_class[0, true]
        else []
        for true in range(n_classes)
    ]


def calibration_interval(
    targets: np.ndarray,
    probabilities: np.ndarray,
    runs: Collection[str],
    bins: int,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Interval:
    """Interval of the expected calibration error, drawn again as in `confusions_by_run`.

    A drawn particle keeps its bin of confidence, and counts there with the mean gap of those of its run that are right,
    or wrong, as it is. Drawing again makes every bin's gap noisier and so raises a sum of absolute gaps; the draws are
    therefore moved until their mean is the estimate: the interval tells the spread, not this bias.

    Args:
        targets: int (n,), index of the true class.
        probabilities: float (n, classes).
        runs: run of each particle.
        bins: number of bins of equal width over 0-1.
        draws: how many times.
        seed: the same seed gives the same interval.
    """
    rng = np.random.default_rng(seed)
    run_of = np.unique(np.asarray(list(runs), dtype=np.str_), return_inverse=True)[1]
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == targets
    cell_of = 2 * np.minimum((confidence * bins).astype(int), bins - 1) + right
    gaps, drawn_particles = np.zeros((draws, bins)), np.zeros(draws)
    for true in np.unique(targets):
        members = targets == true
        names, run = np.unique(run_of[members], return_inverse=True)
        counts, gap = np.zeros((len(names), 2 * bins)), np.zeros((len(names), 2 * bins))
        np.add.at(counts, (run, cell_of[members]), 1)
        np.add.at(gap, (run, cell_of[members]), (right - confidence)[members])
        chosen = rng.integers(len(names), size=(draws, len(names)))
        sizes = counts.sum(axis=1)[chosen].astype(np.int64)
        drawn = rng.multinomial(sizes, counts[chosen] / sizes[..., None])
        of_cells = (drawn * (gap / np.maximum(counts, 1))[chosen]).sum(axis=1)
        gaps += of_cells.reshape(draws, bins, 2).sum(axis=2)
        drawn_particles += sizes.sum(axis=1)
    errors = np.abs(gaps).sum(axis=1) / drawn_particles
    estimate = np.abs(np.bincount(cell_of // 2, weights=right - confidence, minlength=bins)).sum() / len(targets)
    return interval_of(np.maximum(errors - errors.mean() + estimate, 0.0))
