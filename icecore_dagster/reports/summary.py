"""The cores of a laboratory in one small table: for the end of the demonstration."""

from collections.abc import Iterable

from icecore_dagster.particles.labels import BACKGROUND_LABELS
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.tables.schemas import ANOMALY_RANKING, CLASS_DISTRIBUTION
from icecore_dagster.particles.tables.store import read_table, stream_table


def core_summary(lab: Laboratory, cores: Iterable[str]) -> list[dict[str, str]]:
    """One row a core: particles scored, predicted tephra and pollen, and the first candidate of its ranking."""
    return [_row(lab, core) for core in cores]


def _row(lab: Laboratory, core: str) -> dict[str, str]:
    distribution = read_table(lab.store.table(CLASS_DISTRIBUTION.name, core))
    pooled = distribution[distribution["replicate"].isna()].groupby("class", sort=False)["count"].sum()
    first = next(stream_table(lab.store.table(ANOMALY_RANKING.name, core), rows=1), None)
    shown = {name: str(int(n)) for name, n in pooled.items() if name not in BACKGROUND_LABELS}
    return {
        "core": core,
        "particles": str(int(pooled.sum())),
        **{f"as {name}": count for name, count in shown.items()},
        "first candidate": "none" if first is None else str(first["particle_id"].iloc[0]),
    }
