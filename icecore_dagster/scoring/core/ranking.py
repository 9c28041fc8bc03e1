"""The order in which to look at a core's particles: the most anomalous and most interesting first."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from icecore_dagster.particles.tables.store import Blocks

RANKED_AT_ONCE = 131_072
"""Rows of the ranking that are put together at a time: each time all tables are read once."""
_LEAST_DOUBT = 1e-4
"""No classifier is surer than this: it was measured on some thousand particles, not on millions."""


def rank_core(
    predictions: Blocks, anomaly: Blocks, particles: Blocks, rows: int = RANKED_AT_ONCE
) -> Iterator[pd.DataFrame]:
    """Rank the particles of one core, in memory that hardly grows with their number.

    The rule, `rank_score`: the log-odds of interest plus log(1 / u), where u is the share of the core's particles that
    are at least as odd among them. The highest comes first; equals are ordered by particle_id as text. Every score
    keeps its own column.

    This is Bayes' rule with the classifiers' odds as the prior and oddness as further evidence. Oddness is by a forest
    grown on the core itself, because dust of the ice is another than the laboratory's, and nearly all of a core is
    dust: u is then spread evenly for dust. Of finds it is only supposed that they are as likely among the oddest 0.1 to
    1 % as among 1 to 10 %: density proportional to 1 / u, and so is the ratio of likelihoods.

    Ids and the two scores that decide are held of all particles (some 60 bytes each), the other columns only of the
    rows that are being put together.

    Args:
        predictions: particle_id, interest and further columns of a core's scored particles, one row each.
        anomaly: particle_id and further columns, the same particles.
        particles: particle_id, core_anomaly_score (see `own_dust.core_anomaly`; more negative is odder) and whatever
            else is wanted in the result, the same particles at least.
        rows: of the ranking to be put together at a time.

    Yields:
        One row a scored particle, ordered by rank: rank (int64, 1..n), rank_score (float64, natural logarithm) and the
        columns of the three tables, each once. Nothing if no particle is scored.

    Raises:
        ValueError: a particle twice in a table, in one table of scores but not in the other, without a row in
            `particles`, or with a missing score.
    """
    tables = {"particles": particles, "predictions": predictions, "anomaly": anomaly}
    ids = {name: _ids(name, table) for name, table in tables.items()}
    scored = ids["predictions"]
    if len(ids["anomaly"]) != len(scored):
        raise ValueError(f"{len(scored)} predictions but {len(ids['anomaly'])} anomaly scores; score the core again")
    places = {name: _places(scored, name, of_table) for name, of_table in ids.items()}
    oddness = -_column(particles, "core_anomaly_score")[places["particles"]]
    rank_score = _evidence(_column(predictions, "interest"), oddness)
    order = pc.sort_indices(
        pa.table({"rank_score": rank_score, "particle_id": scored}),
        sort_keys=[("rank_score", "descending"), ("particle_id", "ascending")],
    ).to_numpy()
    ranks = {}
    for name, of_table in ids.items():
        ranks[name] = np.full(len(of_table), len(order))
        ranks[name][places[name][order]] = np.arange(len(order))
    for start in range(0, len(order), rows):
        here = order[start : start + rows]
        columns: dict[str, object] = {"rank": np.arange(start + 1, start + len(here) + 1)}
        columns |= {"particle_id": scored.take(here).to_pandas(), "rank_score": rank_score[here]}
        for name, table in tables.items():
            ranked = _rows_of(table, ranks[name], start, start + len(here))
            for column in ranked:
                columns.setdefault(str(column), ranked[column].array)
        yield pd.DataFrame(columns)


def _ids(name: str, table: Blocks) -> pa.ChunkedArray:
    """The particles of a table, in its order."""
    blocks = [pa.array(block["particle_id"], pa.large_string()) for block in table(["particle_id"])]
    ids = pa.chunked_array(blocks, pa.large_string())
    if pc.count_distinct(ids).as_py() != len(ids):
        often = next(one["values"] for one in pc.value_counts(ids).to_pylist() if one["counts"] > 1)
        raise ValueError(f"table {name}: particle {often} occurs twice; score the core again")
    return ids


def _places(scored: pa.ChunkedArray, name: str, ids: pa.ChunkedArray) -> np.ndarray:
    """The row of a table that each scored particle stands in, int (n,)."""
    found = pc.index_in(scored, value_set=ids)
    if found.null_count:
        absent = scored.filter(pc.is_null(found))[0].as_py()
        raise ValueError(f"table {name} lacks particle {absent}; score the core again")
    return found.to_numpy()


def _column(table: Blocks, name: str) -> np.ndarray:
    """A column of numbers, float64 (n,)."""
    return np.concatenate([np.empty(0), *(block[name].to_numpy(dtype=np.float64) for block in table([name]))])


def _rows_of(table: Blocks, ranks: np.ndarray, start: int, stop: int) -> pd.DataFrame:
    """The rows of a table from one rank to before another, in the order of their ranks."""
    chosen, at, row = [], [], 0
    for block in table(None):
        of_block = ranks[row : row + len(block)]
        row += len(block)
        here = (of_block >= start) & (of_block < stop)
        chosen.append(block[here])
        at.append(of_block[here])
    return pd.concat(chosen, ignore_index=True).take(np.argsort(np.concatenate(at)))


def _evidence(interest: np.ndarray, oddness: np.ndarray) -> np.ndarray:
    """The rank score of particles in one order, float64 (n,)."""
    if np.isnan(interest).any() or np.isnan(oddness).any():
        raise ValueError("scores are missing for some particles; score the core again")
    sure = np.clip(interest, _LEAST_DOUBT, 1 - _LEAST_DOUBT)
    return np.log(sure / (1 - sure)) - np.log(_share_at_least(oddness))


def _share_at_least(values: np.ndarray) -> np.ndarray:
    """Share of the values that are at least as high, ties at their mean: float64 (n,), above 0 to 1."""
    from scipy.stats import rankdata

    return rankdata(-values) / max(len(values), 1)
