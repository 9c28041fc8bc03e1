"""How many particles of each class a core holds: counts, concentrations and what chance alone would make of them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

CONFIDENCE = 0.95


def poisson_interval(counts: np.ndarray, confidence: float = CONFIDENCE) -> tuple[np.ndarray, np.ndarray]:
    """Exact interval for the mean of a Poisson count.

    Lower end chi2(a/2; 2n)/2, upper end chi2(1 - a/2; 2n + 2)/2, with a = 1 - confidence (Garwood 1936, Biometrika 28,
    437-442). Three particles seen may stand for an expected 0.62 to 8.77.

    Args:
        counts: int (n,), not negative.
        confidence: between 0 and 1.

    Returns:
        Lower and upper ends, float64 (n,) each.
    """
    from scipy.stats import chi2

    n, tail = np.asarray(counts, dtype=np.float64), (1 - confidence) / 2
    low = np.where(n > 0, chi2.ppf(tail, 2 * np.maximum(n, 1)) / 2, 0.0)
    return low, chi2.ppf(1 - tail, 2 * n + 2) / 2


def overdispersion_p(counts: np.ndarray, volumes_ml: np.ndarray) -> float:
    """Chance that replicates with one common rate differ at least as much as these do.

    Chi-square of the counts about their total shared out by volume, k - 1 degrees of freedom. Where any volume is
    unknown, replicates are taken to be of equal volume. Approximate for fewer than about five particles expected a
    replicate.

    Args:
        counts: int (k,), particles of a class in each replicate.
        volumes_ml: float (k,), volume imaged of each, NaN where unknown.

    Returns:
        The p-value; NaN for fewer than two replicates or no particle at all.
    """
    from scipy.stats import chi2

    total = counts.sum()
    if len(counts) < 2 or total == 0:
        return float("nan")
    share = np.full(len(counts), 1 / len(counts))
    if np.isfinite(volumes_ml).all() and (volumes_ml > 0).all():
        share = volumes_ml / volumes_ml.sum()
    expected = total * share
    return float(chi2.sf(((counts - expected) ** 2 / expected).sum(), len(counts) - 1))


def class_distribution(predictions: pd.DataFrame, runs: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Count the predicted classes by core, segment and replicate, and over all replicates of a segment together.

    Rows over all replicates have a missing `replicate`; their volume is the sum, missing if that of any run is. They
    are in the same table, so summing the whole table counts each particle twice.

    Args:
        predictions: run and predicted_class, one row a scored particle; the same run for all particles of one pass.
        runs: run, core, segment, replicate and volume_imaged_ml (NaN where unknown), one row a run, with every run that
            was scored: one without particles counts as zeros.
        classes: of the task, in order; those that do not occur are counted as zero.

    Returns:
        core, segment, replicate (Int64), class, count, share (of the particles scored; 0 if there are none),
        volume_imaged_ml, per_ml with its 95 % Garwood interval per_ml_low and per_ml_high (missing where the volume
        is), and overdispersion_p (only over all replicates).

    Raises:
        ValueError: a run that `runs` lacks or holds twice, or a class that is not among `classes`.
    """
    _check(predictions, runs, classes)
    tally = predictions.groupby(["run", "predicted_class"], observed=True).size().unstack(fill_value=0)
    counted = tally.reindex(index=runs["run"], columns=list(classes), fill_value=0).to_numpy(dtype=np.int64)
    volumes = runs["volume_imaged_ml"].to_numpy(dtype=np.float64, na_value=np.nan)
    parts = []
    for (core, segment), cell in runs.reset_index(drop=True).groupby(["core", "segment"], sort=True):
        for replicate, of_replicate in cell.groupby("replicate", sort=True):
            rows = of_replicate.index.to_numpy()
            parts.append(_counts(core, segment, replicate, counted[rows], volumes[rows], classes))
        replicates = cell.groupby("replicate", sort=True).indices.values()
        rows = cell.index.to_numpy()
        pooled = _counts(core, segment, None, counted[rows], volumes[rows], classes)
        by_replicate = np.stack([counted[rows[members]].sum(axis=0) for members in replicates])
        volume_of = np.array([volumes[rows[members]].sum() for members in replicates])
        parts.append(pooled.assign(overdispersion_p=[overdispersion_p(column, volume_of) for column in by_replicate.T]))
    return pd.concat(parts, ignore_index=True).astype({"replicate": "Int64", "overdispersion_p": "float64"})


def _counts(
    core: object,
    segment: object,
    replicate: object,
    counts: np.ndarray,
    volumes_ml: np.ndarray,
    classes: Sequence[str],
) -> pd.DataFrame:
    """One row a class for runs that are counted together: counts (runs, classes), volumes (runs,)."""
    count, volume = counts.sum(axis=0), float(volumes_ml.sum())
    volume = volume if volume > 0 else float("nan")
    low, high = poisson_interval(count)
    return pd.DataFrame(
        {
            "core": core,
            "segment": segment,
            "replicate": replicate,
            "class": list(classes),
            "count": count,
            "share": count / max(int(count.sum()), 1),
            "volume_imaged_ml": volume,
            "per_ml": count / volume,
            "per_ml_low": low / volume,
            "per_ml_high": high / volume,
            "overdispersion_p": np.nan,
        }
    )


def _check(predictions: pd.DataFrame, runs: pd.DataFrame, classes: Sequence[str]) -> None:
    if len(runs) == 0:
        raise ValueError("no runs to count: the core has no scored segment yet")
    if runs["run"].duplicated().any():
        raise ValueError(f"run {runs.loc[runs['run'].duplicated(), 'run'].iloc[0]} is listed twice")
    if unknown := sorted(set(predictions["run"]) - set(runs["run"])):
        raise ValueError(f"predictions of runs {unknown[:3]} that the table of runs lacks; read the segment again")
    if strange := sorted(set(predictions["predicted_class"]) - set(classes)):
        raise ValueError(
            f"predicted classes {strange} are not those of the task {list(classes)}; score the segment again"
        )
