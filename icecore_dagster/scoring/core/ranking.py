"""The order in which to look at a core's particles: the most anomalous and most interesting first."""

import numpy as np
import pandas as pd

_LEAST_DOUBT = 1e-4
"""No classifier is surer than this: it was measured on some thousand particles, not on millions."""


def rank_core(predictions: pd.DataFrame, anomaly: pd.DataFrame, particles: pd.DataFrame) -> pd.DataFrame:
    """Rank the particles of one core.

    The rule, `rank_score`: the log-odds of interest plus log(1 / u), where u is the share of the core's particles that
    are at least as odd among them. The highest comes first; equals are ordered by particle_id as text. Every score
    keeps its own column.

    This is Bayes' rule with the classifiers' odds as the prior and oddness as further evidence. Oddness is by a forest
    grown on the core itself, because dust of the ice is another than the laboratory's, and nearly all of a core is
    dust: u is then spread evenly for dust. Of finds it is only supposed that they are as likely among the oddest 0.1 to
    1 % as among 1 to 10 %: density proportional to 1 / u, and so is the ratio of likelihoods.

    Args:
        predictions: particle_id, interest and further columns of a core's scored particles, one row each.
        anomaly: particle_id, core_anomaly_score (see `own_dust.core_anomaly`; more negative is odder) and further
            columns, the same particles.
        particles: particle_id and whatever else is wanted in the result, the same particles at least.

    Returns:
        One row a scored particle, ordered by rank: rank (int64, 1..n), rank_score (float64, natural logarithm) and the
        columns of the three tables, each once.

    Raises:
        ValueError: a particle twice in a table, in one table of scores but not in the other, without a row in
            `particles`, or with a missing score.
    """
    tables = {"predictions": predictions, "anomaly": anomaly, "particles": particles}
    indices = {name: pd.Index(table["particle_id"]) for name, table in tables.items()}
    for name, index in indices.items():
        if not index.is_unique:
            raise ValueError(
                f"table {name}: particle {index[index.duplicated()][0]} occurs twice; score the core again"
            )
    ids = indices["predictions"]
    if len(indices["anomaly"]) != len(ids):
        raise ValueError(f"{len(ids)} predictions but {len(indices['anomaly'])} anomaly scores; score the core again")
    rows = {name: index.get_indexer(ids) for name, index in indices.items()}
    for name, found in rows.items():
        if (found < 0).any():
            raise ValueError(f"table {name} lacks particle {ids[found < 0][0]}; score the core again")

    rank_score = _evidence(predictions, anomaly.take(rows["anomaly"]))
    id_order = pd.factorize(ids, sort=True)[0]
    order = np.lexsort((id_order, -rank_score))

    columns: dict[str, object] = {"rank": np.arange(1, len(ids) + 1), "particle_id": ids.take(order)}
    columns["rank_score"] = rank_score[order]
    for name in ("particles", "predictions", "anomaly"):
        for column in tables[name].columns:
            # Column by column, so that no wide copy of a large core is made.
            columns.setdefault(str(column), tables[name][column].array.take(rows[name][order]))
    return pd.DataFrame(columns)


def _evidence(predictions: pd.DataFrame, anomaly: pd.DataFrame) -> np.ndarray:
    """The rank score of particles in one order, float64 (n,)."""
    interest = predictions["interest"].to_numpy(dtype=np.float64)
    oddness = -anomaly["core_anomaly_score"].to_numpy(dtype=np.float64)
    if np.isnan(interest).any() or np.isnan(oddness).any():
        raise ValueError("scores are missing for some particles; score the core again")
    sure = np.clip(interest, _LEAST_DOUBT, 1 - _LEAST_DOUBT)
    return np.log(sure / (1 - sure)) - np.log(_share_at_least(oddness))


def _share_at_least(values: np.ndarray) -> np.ndarray:
    """Share of the values that are at least as high, ties at their mean: float64 (n,), above 0 to 1."""
    from scipy.stats import rankdata

    return rankdata(-values) / max(len(values), 1)
