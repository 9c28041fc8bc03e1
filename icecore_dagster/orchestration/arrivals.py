"""What to do about the landing folder: a pure decision from what lies there and what was there before.

The sensor (`sensors.py`) is a thin shell around `decide`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from icecore_dagster.flowcam.landing import (
    RunName,
    RunNameError,
    RunSource,
    completeness,
    find_runs,
    fingerprint,
    parse_run_name,
    signature,
)
from icecore_dagster.particles.intake.cells import combined_fingerprint


class Patience(BaseModel):
    """How long a run must lie still before it is taken."""

    model_config = ConfigDict(frozen=True)

    quiet_seconds: float = Field(default=10, description="Seconds without any change before a run is read")
    incomplete_minutes: float = Field(
        default=30,
        description="Minutes after which a run that stays incomplete is taken all the same: particles deleted in "
        "VisualSpreadsheet leave fewer rows than the summary claims",
    )
    hashing_seconds: float = Field(default=20, description="Longest time one look spends reading files")


class RunMemory(BaseModel):
    """What is remembered of a run folder."""

    signature: str
    still_since: float
    fingerprint: str | None = None


class CellMemory(BaseModel):
    """What was last requested for a cell: the bytes of each run, and how often it was requested."""

    fingerprints: dict[str, str] = {}
    times: int = 0


class Memory(BaseModel):
    """The sensor's cursor."""

    runs: dict[str, RunMemory] = {}
    cells: dict[str, CellMemory] = {}


@dataclass(frozen=True)
class Request:
    """A cell to process, and why."""

    core: str
    segment: str
    runs: tuple[str, ...]
    fingerprint: str
    times: int

    @property
    def key(self) -> str:
        """Unique for this content and delivery, so that one delivery is requested once."""
        return f"{self.core}|{self.segment}:{self.fingerprint[:16]}:{self.times}"


@dataclass(frozen=True)
class Decision:
    """What the sensor is to do: cells to process, what to remember, and what people should know."""

    requests: list[Request]
    memory: Memory
    notes: list[str] = field(default_factory=list)


def decide(landing: Path, memory: Memory, patience: Patience, clock: Callable[[], float]) -> Decision:
    """Look at the landing folder and decide which cells to process.

    A run is taken once it has not changed for `quiet_seconds` and is complete. A cell is requested when each of its
    runs can be taken and the bytes of one differ from what was requested before; a run that was moved away changes
    nothing.

    Args:
        landing: folder of runs.
        memory: what the last look left behind.
        patience: how long to wait for a run.
        clock: seconds since the epoch.

    Returns:
        The decision; `memory` itself is not changed.
    """
    runs: dict[str, RunMemory] = {}
    notes: list[str] = []
    cells: dict[tuple[str, str], list[tuple[RunName, str | None]]] = {}
    deadline = clock() + patience.hashing_seconds
    for source in find_runs(landing):
        try:
            name = parse_run_name(source.name)
        except RunNameError as error:
            notes.append(str(error))
            continue
        seen, waiting = _look(source, memory.runs.get(source.name), patience, clock, deadline)
        runs[source.name] = seen
        if waiting:
            notes.append(f"{source.name}: {waiting}")
        cells.setdefault((name.core, name.segment), []).append((name, seen.fingerprint if not waiting else None))
    requests, remembered = [], dict(memory.cells)
    for (core, segment), members in sorted(cells.items()):
        request = _request(core, segment, members, remembered.get(f"{core}|{segment}", CellMemory()))
        if request:
            requests.append(request)
            prints = {name.name: print_ for name, print_ in members if print_}
            remembered[f"{core}|{segment}"] = CellMemory(fingerprints=prints, times=request.times)
    return Decision(requests, Memory(runs=runs, cells=remembered), notes)


def _look(
    source: RunSource, before: RunMemory | None, patience: Patience, clock: Callable[[], float], deadline: float
) -> tuple[RunMemory, str]:
    """What to remember of a run, and what it is waiting for (empty: it can be taken)."""
    now, sign = clock(), signature(source.path)
    if before is None or before.signature != sign:
        return RunMemory(signature=sign, still_since=now), "has just changed, waiting for it to lie still"
    if now - before.still_since < patience.quiet_seconds:
        return before, "has just changed, waiting for it to lie still"
    if before.fingerprint:
        return before, ""
    if clock() > deadline:
        return before, "will be looked into at the next look"
    lacking = completeness(source.path)
    if lacking and now - before.still_since < 60 * patience.incomplete_minutes:
        return before, f"looks unfinished ({'; '.join(lacking)}), waiting for the rest to be copied"
    return before.model_copy(update={"fingerprint": fingerprint(source.path)}), ""


def _request(core: str, segment: str, members: list[tuple[RunName, str | None]], before: CellMemory) -> Request | None:
    if any(print_ is None for _, print_ in members):
        return None
    if all(before.fingerprints.get(name.name) == print_ for name, print_ in members):
        return None
    content = combined_fingerprint({name.name: print_ for name, print_ in members if print_})
    return Request(core, segment, tuple(name.name for name, _ in members), content, before.times + 1)
