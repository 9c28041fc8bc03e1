"""From the scored segments of a core to what people read: its class distribution and its ranking."""

from collections.abc import Iterator
from functools import partial

import pandas as pd

from icecore_dagster.particles.intake.cells import UNREADABLE
from icecore_dagster.particles.labels import TASKS
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.tables.schemas import (
    ANOMALY_RANKING,
    CLASS_DISTRIBUTION,
    SEGMENT_ANOMALY_SCORES,
    SEGMENT_PARTICLES,
    SEGMENT_PREDICTIONS,
    SEGMENT_RUNS,
)
from icecore_dagster.particles.tables.store import (
    TableWriter,
    atomic_file,
    read_note,
    read_table,
    stream_table,
    write_table,
)
from icecore_dagster.scoring.core.abundance import class_distribution
from icecore_dagster.scoring.core.own_dust import ODDNESS, core_anomaly
from icecore_dagster.scoring.core.ranking import rank_core

FIRST_ANOMALIES = "first_anomalies"


class CoreNotScoredError(ValueError):
    """No segment of the core has been scored."""


def scored_segments(lab: Laboratory, core: str) -> list[str]:
    """Segments of a core whose predictions and anomaly scores are of the particles as they were last read, by depth.

    A segment that was read anew and did not pass its checks keeps its old scores; it is left out until it is scored
    again.
    """
    stored = {path.stem: read_note(path).get("fingerprint") for path in lab.store.tables(SEGMENT_PARTICLES.name, core)}
    for table in (SEGMENT_PREDICTIONS, SEGMENT_ANOMALY_SCORES):
        scored = {path.stem: read_note(path).get("fingerprint") for path in lab.store.tables(table.name, core)}
        stored = {segment: print_ for segment, print_ in stored.items() if scored.get(segment) == print_}
    return sorted(stored, key=depth_of)


def depth_of(segment: str) -> tuple[float, str]:
    """Sorts segments (`40_55`) by their upper end in cm."""
    head = segment.split("_", 1)[0]
    return (float(head) if head.replace(".", "", 1).isdigit() else float("inf"), segment)


def core_table(lab: Laboratory, table: str, core: str, columns: list[str] | None = None) -> pd.DataFrame:
    """A segment table of every scored segment of a core, one under the other.

    Raises:
        CoreNotScoredError: no segment of the core has been scored.
    """
    frames = [read_table(lab.store.table(table, core, segment), columns) for segment in _segments(lab, core)]
    return pd.concat(frames, ignore_index=True)


def _segments(lab: Laboratory, core: str) -> list[str]:
    """The scored segments of a core that has some."""
    segments = scored_segments(lab, core)
    if not segments:
        raise CoreNotScoredError(
            f"no scored segment of {core} in {lab.store.root}; score one first (put its runs into {lab.landing})"
        )
    return segments


def keep_class_distribution(lab: Laboratory, core: str, task: str) -> pd.DataFrame:
    """Count the predicted classes of a core by segment and replicate, and keep the table."""
    predictions = core_table(lab, SEGMENT_PREDICTIONS.name, core, ["run", "predicted_class"])
    runs = core_table(lab, SEGMENT_RUNS.name, core)
    runs = runs[runs["format"] != UNREADABLE]
    distribution = class_distribution(predictions, runs, TASKS[task].classes)
    write_table(lab.store.table(CLASS_DISTRIBUTION.name, core), distribution, CLASS_DISTRIBUTION)
    return distribution


def keep_ranking(lab: Laboratory, core: str) -> int:
    """Rank the particles of a core by the rule of `rank_core`, and keep the table.

    Returns:
        The number of particles ranked.

    Raises:
        CoreNotScoredError: no segment of the core has been scored.
    """
    own = {column.name for column in ANOMALY_RANKING.columns}
    measured = [c.name for c in SEGMENT_PARTICLES.columns if c.name in own]
    scores = [column.name for column in SEGMENT_ANOMALY_SCORES.columns]
    # Asked once: a segment that is scored meanwhile must not come in between two readings of the tables.
    segments = _segments(lab, core)
    oddness = core_anomaly(lab, core, segments)[ODDNESS].to_numpy()

    def blocks(table: str, columns: list[str] | None) -> Iterator[pd.DataFrame]:
        for segment in segments:
            yield from stream_table(lab.store.table(table, core, segment), columns)

    def anomaly(columns: list[str] | None) -> Iterator[pd.DataFrame]:
        # Segments scored by an earlier version lack the columns of the autoencoder.
        return (block.reindex(columns=columns or scores) for block in blocks(SEGMENT_ANOMALY_SCORES.name, columns))

    def particles(columns: list[str] | None) -> Iterator[pd.DataFrame]:
        wanted, row = columns or [*measured, ODDNESS], 0
        stored = [name for name in measured if name in {"particle_id", *wanted}]
        for block in blocks(SEGMENT_PARTICLES.name, stored):
            yield block.assign(**{ODDNESS: oddness[row : row + len(block)]})[wanted]
            row += len(block)

    target = lab.store.table(ANOMALY_RANKING.name, core)
    with atomic_file(target) as path, TableWriter(path, ANOMALY_RANKING) as writer:
        for block in rank_core(partial(blocks, SEGMENT_PREDICTIONS.name), anomaly, particles):
            writer.write(block)
    return writer.rows


def keep_first_of_all_cores(lab: Laboratory, count: int) -> pd.DataFrame:
    """The first particles of all ranked cores together, by rank score, and keep the table `first_anomalies`.

    Args:
        lab: the laboratory.
        count: how many.

    Returns:
        `schemas.ANOMALY_RANKING` with ranks over all cores.

    Raises:
        CoreNotScoredError: no core has been ranked.
    """
    stored = lab.store.tables(ANOMALY_RANKING.name)
    if not stored:
        raise CoreNotScoredError(f"no ranked core in {lab.store.root}; materialise anomaly_ranking of one first")
    first = [next(stream_table(path, rows=count), ANOMALY_RANKING.empty()) for path in stored]
    every = pd.concat(first, ignore_index=True)
    ranked = every.sort_values(["rank_score", "particle_id"], ascending=[False, True]).head(count)
    ranked = ranked.assign(rank=range(1, len(ranked) + 1)).reset_index(drop=True)
    write_table(lab.store.table(FIRST_ANOMALIES), ranked, ANOMALY_RANKING)
    return ranked
