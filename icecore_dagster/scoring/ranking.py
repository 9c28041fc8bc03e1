"""The order in which to look at a core's particles: the most anomalous and most interesting first."""

import numpy as np
import pandas as pd


def rank_core(predictions: pd.DataFrame, anomaly: pd.DataFrame, particles: pd.DataFrame) -> pd.DataFrame:
    """Rank the particles of one core.

    The rule: within the core, a particle's percentile rank of anomaly is the share of particles that are at most as
    anomalous (ties share their mean rank), likewise for interest; `rank_score` is the mean of both, so that neither
    score's scale matters. The highest comes first; equals are ordered by particle_id as text. Every score keeps its own
    column.

    Args:
        predictions: particle_id, interest and further columns of a core's scored particles, one row each.
        anomaly: particle_id, anomaly_score (more negative is more anomalous) and further columns, the same particles.
        particles: particle_id and whatever else is wanted in the result, the same particles at least.

    Returns:
        One row a scored particle, ordered by rank: rank (int64, 1..n), rank_score (float64, 0 to 1) and the columns of
        the three tables, each once.

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

    interest = predictions["interest"].to_numpy(dtype=np.float64)
    anomalousness = -anomaly["anomaly_score"].to_numpy(dtype=np.float64)[rows["anomaly"]]
    if np.isnan(interest).any() or np.isnan(anomalousness).any():
        raise ValueError("scores are missing for some particles; score the core again")
    rank_score = (_percentile_rank(anomalousness) + _percentile_rank(interest)) / 2
    id_order = pd.factorize(ids, sort=True)[0]
    order = np.lexsort((id_order, -rank_score))

    columns: dict[str, object] = {"rank": np.arange(1, len(ids) + 1), "particle_id": ids.take(order)}
    columns["rank_score"] = rank_score[order]
    for name in ("particles", "predictions", "anomaly"):
        for column in tables[name].columns:
            # Column by column, so that no wide copy of a large core is made.
            columns.setdefault(str(column), tables[name][column].array.take(rows[name][order]))
    return pd.DataFrame(columns)


def _percentile_rank(values: np.ndarray) -> np.ndarray:
    """Share of values at most as high, ties at their mean rank: float64 (n,), above 0 to 1."""
    from scipy.stats import rankdata

    return rankdata(values) / max(len(values), 1)
