"""One segment of one core: finding its runs in the landing folder, and keeping its tables."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from icecore_dagster.flowcam.landing import RunName, RunNameError, RunSource, find_runs, fingerprint, parse_run_name
from icecore_dagster.flowcam.run import RunError, read_run
from icecore_dagster.particles.intake.crops import pack_run
from icecore_dagster.particles.intake.ingest import Ingested, ingest_run, with_cell
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.tables.schemas import SEGMENT_CROPS, SEGMENT_PARTICLES, SEGMENT_REJECTS, SEGMENT_RUNS
from icecore_dagster.particles.tables.store import TableWriter, atomic_file, atomic_files, find_rows, read_note

UNREADABLE = "unreadable"
"""Format of a run that could not be read at all; it has a row of facts and no particles."""


class SegmentError(ValueError):
    """A segment cannot be read: no run is there, or its runs changed while they were read."""


@dataclass(frozen=True)
class SegmentRead:
    """What reading a segment gave.

    Attributes:
        rows: particles of the table `schemas.SEGMENT_PARTICLES`, runs one after another.
        rejects: `schemas.SEGMENT_REJECTS`.
        runs: `schemas.SEGMENT_RUNS`, a row a run.
        fingerprint: one SHA-256 for the bytes of all runs.
        unreadable: why a run could not be read at all, a line each; the other runs are not affected.
    """

    rows: int
    rejects: pd.DataFrame
    runs: pd.DataFrame
    fingerprint: str
    unreadable: tuple[str, ...] = ()


def runs_of_cell(landing: Path, core: str, segment: str) -> list[tuple[RunName, RunSource]]:
    """The runs in the landing folder that belong to a segment of a core, by replicate."""
    found = []
    for source in find_runs(landing):
        try:
            name = parse_run_name(source.name)
        except RunNameError:
            continue
        if (name.core, name.segment) == (core, segment):
            found.append((name, source))
    return sorted(found, key=lambda pair: pair[0].replicate)


def combined_fingerprint(fingerprints: dict[str, str]) -> str:
    """One SHA-256 for several runs, from their names and contents."""
    lines = "".join(f"{name} {print_}\n" for name, print_ in sorted(fingerprints.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def read_segment(lab: Laboratory, core: str, segment: str) -> SegmentRead:
    """Read every run of a segment from the landing folder and keep its three tables, all or none.

    Args:
        lab: the laboratory.
        core: such as GRIP_3046.
        segment: such as 40_55.

    Raises:
        SegmentError: no run of that segment is in the landing folder, or none of them can be read; nothing is written.
    """
    members = _members(lab, core, segment)
    fingerprints = {name.name: fingerprint(source.path) for name, source in members}
    together = combined_fingerprint(fingerprints)
    note = {"fingerprint": together}
    rejects: list[pd.DataFrame] = []
    facts: list[dict[str, object]] = []
    unreadable: list[str] = []
    targets = [lab.store.table(t.name, core, segment) for t in (SEGMENT_REJECTS, SEGMENT_RUNS, SEGMENT_PARTICLES)]
    with atomic_files(targets) as (of_rejects, of_runs, of_particles):
        # A run is written before the next is read: memory is that of the largest run.
        with TableWriter(of_particles, SEGMENT_PARTICLES, note) as writer:
            for name, source in members:
                try:
                    piece = _own_particles(ingest_run(read_run(source.path)), name.name)
                except RunError as error:
                    unreadable.append(str(error))
                    piece = _nothing_of(name.name, str(error))
                cell = {"core": name.core, "segment": name.segment, "replicate": name.replicate}
                facts.append({**piece.facts, **cell, "run": name.name, "fingerprint": fingerprints[name.name]})
                rejects.append(piece.rejects)
                if len(piece.particles):
                    writer.write(with_cell(piece.particles, name))
                if fingerprint(source.path) != fingerprints[name.name]:
                    raise SegmentError(
                        f"{source.path}: changed while it was read; it will be read again when it lies still"
                    )
        if len(unreadable) == len(members):
            raise SegmentError("; ".join(unreadable))
        read = SegmentRead(
            writer.rows, pd.concat(rejects, ignore_index=True), pd.DataFrame(facts), together, tuple(unreadable)
        )
        with TableWriter(of_rejects, SEGMENT_REJECTS, note) as small:
            small.write(read.rejects)
        with TableWriter(of_runs, SEGMENT_RUNS, note) as small:
            small.write(read.runs)
    return read


def _own_particles(piece: Ingested, run: str) -> Ingested:
    """The particles of a run under its folder's name; a number that another particle has is refused."""
    repeated = piece.particles["particle_number"].duplicated()
    refused = pd.DataFrame(
        {
            "run": run,
            "particle_number": piece.particles.loc[repeated, "particle_number"].astype("Int64"),
            "file": piece.particles.loc[repeated, "image_file"],
            "row": pd.array([pd.NA] * int(repeated.sum()), dtype="Int64"),
            "reason": "another particle of this run has the same number",
            "remedy": "number the images of one run differently, or put each run into a folder of its own",
        }
    )
    kept = piece.particles[~repeated]
    kept = kept.assign(run=run, particle_id=run + "_" + kept["particle_number"].astype(str))
    rejects = (
        pd.concat([piece.rejects.assign(run=run), refused], ignore_index=True) if repeated.any() else piece.rejects
    )
    counts = {"rows_kept": len(kept), "rows_refused": len(rejects)}
    return Ingested(kept, rejects.assign(run=run), {**piece.facts, **counts})


def _nothing_of(run: str, why: str) -> Ingested:
    """What stands for a run that cannot be read: no particle, and the reason among its facts."""
    facts = dict.fromkeys(column.name for column in SEGMENT_RUNS.columns)
    facts |= {"format": UNREADABLE, "volume_source": "unknown", "missing_files": "", "problems": why}
    facts |= {"rows_found": 0, "rows_kept": 0, "rows_refused": 0}
    families = [c.name for c in SEGMENT_PARTICLES.columns if c.name not in ("core", "segment", "replicate")]
    return Ingested(SEGMENT_PARTICLES.empty()[families], SEGMENT_REJECTS.empty(), facts)


def _members(lab: Laboratory, core: str, segment: str) -> list[tuple[RunName, RunSource]]:
    members = runs_of_cell(lab.landing, core, segment)
    if not members:
        raise SegmentError(
            f"{lab.landing}: no run folder named {core}_{segment}_<replicate>; "
            "put the run there again, or materialise a segment that was imaged"
        )
    return members


def pack_segment(lab: Laboratory, core: str, segment: str) -> int:
    """Pack the crops of a segment's runs into one table, in the order of its particles.

    Returns:
        The number of crops packed.

    Raises:
        SegmentError: the runs are not those that `segment_particles` was read from.
    """
    members = _members(lab, core, segment)
    now = combined_fingerprint({name.name: fingerprint(source.path) for name, source in members})
    read = read_note(lab.store.table(SEGMENT_PARTICLES.name, core, segment)).get("fingerprint")
    if now != read:
        raise SegmentError(
            f"{lab.landing}: the runs of {core} {segment} have changed since they were read; "
            "materialise segment_particles of this segment first"
        )
    particles = lab.store.table(SEGMENT_PARTICLES.name, core, segment)
    target = lab.store.table(SEGMENT_CROPS.name, core, segment)
    with atomic_file(target) as path, TableWriter(path, SEGMENT_CROPS, {"fingerprint": now}) as writer:
        for name, source in members:
            kept = find_rows(particles, "run", {name.name}, ["particle_id", "has_image"])
            wanted = set(kept.loc[kept["has_image"].astype(bool), "particle_id"])
            if wanted:
                for block in _crops_of(name, source, wanted):
                    writer.write(block)
        return writer.rows


def _crops_of(name: RunName, source: RunSource, wanted: set[str]) -> Iterator[pd.DataFrame]:
    for block in pack_run(read_run(source.path), name.name):
        yield block[block["particle_id"].isin(wanted)]
