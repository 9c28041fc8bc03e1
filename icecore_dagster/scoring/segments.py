"""Scoring one segment: its particles and crops streamed through the models into three tables."""

import contextlib
import itertools
import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
from upath import UPath

from icecore_dagster.learning.energy import EnergyUse, measure_energy
from icecore_dagster.learning.features.sets import MEASURED
from icecore_dagster.particles.intake.crops import BLOCK, blocks_with_crops
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.tables.schemas import (
    SCORING_ENERGY,
    SEGMENT_ANOMALY_SCORES,
    SEGMENT_CROPS,
    SEGMENT_EMBEDDING,
    SEGMENT_PARTICLES,
    SEGMENT_PREDICTIONS,
    Table,
)
from icecore_dagster.particles.tables.store import TableWriter, atomic_files, read_note, read_table
from icecore_dagster.scoring.engine import ScoredBlock, load_scoring_models, score_blocks
from icecore_dagster.scoring.pieces import Pieces

log = logging.getLogger(__name__)

SCORES: tuple[Table, ...] = (SEGMENT_PREDICTIONS, SEGMENT_ANOMALY_SCORES, SEGMENT_EMBEDDING)

ALL_SCORES: tuple[str, ...] = tuple(table.name for table in SCORES)

BLOCKS_A_PIECE = 8
"""Blocks that are scored between two moments at which a killed scoring can go on: 8,192 particles."""


class SegmentNotReadyError(ValueError):
    """A segment's crops and particles are not of the same runs."""


@dataclass(frozen=True)
class SegmentScored:
    """What scoring a segment did.

    Attributes:
        rows: particles of the segment.
        kept: how many of them an earlier scoring, which broke off, had scored already.
        models: content hash of each model, by kind.
        energy: what it cost.
    """

    rows: int
    kept: int
    models: dict[str, str]
    energy: EnergyUse


def score_segment(
    lab: Laboratory,
    core: str,
    segment: str,
    *,
    task: str,
    architecture: str,
    features: str = MEASURED,
    wanted: Iterable[str] = ALL_SCORES,
    country: str = "DNK",
) -> SegmentScored:
    """Score every particle of a segment and keep the wanted tables and what they cost, all or none.

    A scoring that was killed goes on behind the last but one piece of `BLOCKS_A_PIECE` blocks, unless models or runs
    have changed since; its cost is then that of the rest.

    Args:
        lab: the laboratory.
        core: such as GRIP_3046.
        segment: such as 40_55.
        task: task whose models score.
        architecture: of the image network.
        features: key of the feature set of the trees.
        wanted: names of the tables to make.
        country: ISO code of the country whose electricity is used.

    Raises:
        ModelMismatchError, ModelNotFoundError: the models do not fit, or are not there.
        SegmentNotReadyError: the crops are of other runs than the particles.
    """
    names = set(wanted)
    parts = {
        "predictions": SEGMENT_PREDICTIONS.name in names,
        "anomaly": SEGMENT_ANOMALY_SCORES.name in names,
        "embedding": SEGMENT_EMBEDDING.name in names,
    }
    models = load_scoring_models(lab.store.models, task, architecture, features=features, **parts)
    tables = [table for table in SCORES if table.name in names]
    source = lab.store.table(SEGMENT_PARTICLES.name, core, segment)
    crops = lab.store.table(SEGMENT_CROPS.name, core, segment)
    fingerprint = read_note(source).get("fingerprint")
    if read_note(crops).get("fingerprint") != fingerprint:
        raise SegmentNotReadyError(
            f"{core} {segment}: its crops were packed from other runs than its particles were read from; "
            "materialise segment_crops of this segment first"
        )
    note = {"models": models.versions, "fingerprint": fingerprint}
    targets = [lab.store.table(table.name, core, segment) for table in tables]
    costs = lab.store.table(SCORING_ENERGY.name, core, segment)
    pieces = Pieces(lab.scratch / "scoring" / core / segment, tables, note)
    kept = pieces.rows
    if kept:
        log.info("%s %s: %d particles were scored before the last scoring broke off, going on", core, segment, kept)
    work = {"core": core, "segment": segment, "task": task, "architecture": architecture}
    with atomic_files([*targets, costs]) as (*paths, cost_path):
        with measure_energy(country) as meter, contextlib.ExitStack() as stack:
            writers = {
                table.name: stack.enter_context(TableWriter(path, table, note))
                for table, path in zip(tables, paths, strict=True)
            }
            for table in tables:
                for some in pieces.read(table):
                    writers[table.name].append(some)
            blocks = score_blocks(blocks_with_crops(source, crops, BLOCK, skip=kept), models, **parts)
            last: dict[str, pa.Table] = {}
            while scored := list(itertools.islice(blocks, BLOCKS_A_PIECE)):
                # The last piece is never kept, nor is a small segment: there is nothing behind it to go on with.
                if last:
                    pieces.add(last)
                last = _joined(scored)
                for name, some in last.items():
                    writers[name].append(some)
        rows = writers[tables[0].name].rows
        cost = {**work, "particles": rows - kept, "tables": ", ".join(table.name for table in tables)}
        _add_cost(cost_path, costs, cost, meter.use)
    pieces.discard()
    return SegmentScored(rows, kept, models.versions, meter.use)


def _add_cost(path: Path, kept: UPath, work: dict[str, object], use: EnergyUse) -> None:
    """Write what earlier scorings of the segment cost, and this one after them: scoring again costs again."""
    row = pd.DataFrame([{**work, **asdict(use), "scored_at": datetime.now(UTC).replace(tzinfo=None)}])
    with TableWriter(path, SCORING_ENERGY) as writer:
        if kept.exists():
            writer.write(read_table(kept))
        writer.write(row)


def _joined(blocks: Iterable[ScoredBlock]) -> dict[str, pa.Table]:
    """The wanted tables of consecutive blocks, by name."""
    by_table = zip(*((block.predictions, block.anomaly, block.embedding) for block in blocks), strict=True)
    frames = zip(SCORES, by_table, strict=True)
    return {
        table.name: table.conform(pd.concat(some, ignore_index=True)) for table, some in frames if some[0] is not None
    }
