"""The cores of a laboratory in one small table: for the end of the demonstration."""

from collections.abc import Iterable

import pandas as pd

from icecore_dagster.particles.labels import BACKGROUND_LABELS
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.tables.schemas import ANOMALY_RANKING, CLASS_DISTRIBUTION
from icecore_dagster.particles.tables.store import read_table, stream_table

FIRST = 20
"""Candidates of each core that are held against the truth, where it is known."""


def core_summary(lab: Laboratory, cores: Iterable[str]) -> list[dict[str, str]]:
    """One row a core: particles scored, those predicted to be tephra or pollen, and what its first candidates are.

    Args:
        lab: the laboratory.
        cores: cores that have a class distribution and a ranking.

    Returns:
        Text by column. "found in first 20" counts, for simulated cores, the candidates among the first that truly are
        neither dust nor contamination, out of all such particles of the core.
    """
    return [_row(lab, core) for core in cores]


def _row(lab: Laboratory, core: str) -> dict[str, str]:
    distribution = read_table(lab.store.table(CLASS_DISTRIBUTION.name, core))
    pooled = distribution[distribution["replicate"].isna()].groupby("class", sort=False)["count"].sum()
    first = next(stream_table(lab.store.table(ANOMALY_RANKING.name, core), rows=FIRST), ANOMALY_RANKING.empty())
    shown = {name: str(int(n)) for name, n in pooled.items() if name not in BACKGROUND_LABELS}
    return {
        "core": core,
        "particles": str(int(pooled.sum())),
        **{str(name): count for name, count in shown.items()},
        "first candidate": "none" if first.empty else str(first["particle_id"].iloc[0]),
        f"found in first {FIRST}": _true_finds(lab, core, first),
    }


def _true_finds(lab: Laboratory, core: str, first: pd.DataFrame) -> str:
    """How many of a core's particles worth finding are among the first candidates; only the simulator knows."""
    files = sorted(lab.truth.glob(f"{core}_*.parquet"))
    if first.empty or not set(first["run"]) <= {file.stem for file in files}:
        return "unknown"
    truth = pd.concat([pd.read_parquet(file, columns=["run", "particle_number", "label"]) for file in files])
    wanted = truth[~truth["label"].isin(BACKGROUND_LABELS)]
    ids = set(wanted["run"].astype(str) + "_" + wanted["particle_number"].astype(str))
    return f"{first['particle_id'].isin(ids).sum()} of {len(ids)}"
