"""VisualSpreadsheet's list (`.lst`): versions 017 (header, `|`) and 013 (no header, `:`)."""

import re
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from icecore_dagster.flowcam.problems import Problem, Reject, RunError
from icecore_dagster.flowcam.tables.columns import (
    FILETIME_HIGH,
    FILETIME_LOW,
    KINDS,
    LIST_013_COLUMNS,
    LIST_FIELDS,
    Kind,
)
from icecore_dagster.flowcam.tables.delimited import (
    Block,
    Layout,
    join_blocks,
    last_row_is_short,
    parse_rows,
    text_blocks,
)

_LIST_TYPES = {
    "int32": Kind.INTEGER,
    "double": Kind.NUMBER,
    "string": Kind.TEXT,
    "guid": Kind.TEXT,
    "timestamp": Kind.TIME,
}
_SAVE_AGAIN = "save the list again from VisualSpreadsheet, or copy it again from the instrument"
_MS_FROM_1601_TO_1970 = 11_644_473_600_000
_PLAUSIBLE_YEARS = (1990, 2200)


@dataclass(frozen=True)
class ParticleTable:
    """The rows of a list, an export or an image table.

    Attributes:
        file: name of the file.
        format: "list 017", "list 013", "export", "image table" or "images".
        rows: rows that could be read, under VisualSpreadsheet 4's names, with their 1-based line in `Row`.
        rejects: rows that could not.
        rows_in: rows in the file, counted before any was judged.
        claimed: number of particles that the file itself states, if it does.
        problems: what was tolerated.
        is_cut_off: whether it ends in the middle of a row.
        times_are_utc: whether `Timestamp` is UTC (version 013) and not the clock on the laboratory's wall.
    """

    file: str
    format: str
    rows: pd.DataFrame
    rejects: tuple[Reject, ...]
    rows_in: int
    claimed: int | None = None
    problems: tuple[Problem, ...] = ()
    is_cut_off: bool = False
    times_are_utc: bool = False


def read_list(path: Path) -> ParticleTable:
    """Read a list of any known version.

    Args:
        path: the `.lst` file.

    Returns:
        Its rows; those that cannot be read are in `rejects`.

    Raises:
        RunError: the file is empty, of an unknown version, its header is broken, or it holds no particle.
    """
    head = _first_lines(path, 2)
    version = head[0].strip() if head else ""
    if not version and not any(head):
        raise RunError.at(path.name, None, "the list is empty", _SAVE_AGAIN)
    if version == "017":
        table = _read_017(path)
    elif version == "013":
        table = _read_013(path)
    else:
        raise RunError.at(
            path.name,
            1,
            f"unknown list version {version[:20]!r}",
            "versions 013 and 017 can be read; save the list with VisualSpreadsheet 3 or 4, or export the run as CSV",
        )
    if table.rows_in == 0:
        raise RunError.at(
            path.name, None, "the list is empty: it has no rows", "wait until the run is finished, or remove its folder"
        )
    return table


def _first_lines(path: Path, count: int) -> list[str]:
    with path.open(encoding="utf-8-sig", errors="replace") as stream:
        return [line.rstrip("\n") for line in islice(stream, count)]


def _read_017(path: Path) -> ParticleTable:
    fields = _fields_017(path)
    layout = Layout(path.name, {LIST_FIELDS.get(name, name): kind for name, kind in fields.items()}, "|")
    if "Particle ID" not in layout.kinds:
        raise RunError.at(path.name, 3, "the header has no field 'id'", _SAVE_AGAIN)
    block, rows_in = _read_rows(path, 2 + len(fields), layout)
    if "Camera" in block.rows:
        block.rows["Camera"] += 1  # the list counts cameras from 0, the export from 1
    cut_off = _is_cut_off(path, layout)
    return ParticleTable(
        path.name,
        "list 017",
        block.rows,
        tuple(block.rejects),
        rows_in,
        problems=_doubts(path, block.rows, cut_off),
        is_cut_off=cut_off,
    )


def _fields_017(path: Path) -> dict[str, Kind]:
    """The header: field name -> kind, in the order of the columns."""
    promise = re.fullmatch(r"num-fields\|([0-9]{1,4})\s*", "".join(_first_lines(path, 2)[1:]))
    if promise is None:
        raise RunError.at(path.name, 2, "'num-fields|<number>' expected", _SAVE_AGAIN)
    count = int(promise[1])
    fields: dict[str, Kind] = {}
    lines = _first_lines(path, 2 + count)[2:]
    for place, line in enumerate(lines, 3):
        name, bar, type_name = line.strip().partition("|")
        if not bar or "|" in type_name or not name:
            raise RunError.at(
                path.name, place, f"the header promises {count} fields, but this is no 'name|type'", _SAVE_AGAIN
            )
        if name in fields:
            raise RunError.at(path.name, place, f"the field {name!r} stands twice in the header", _SAVE_AGAIN)
        fields[name] = _LIST_TYPES.get(type_name, Kind.UNKNOWN)
    if len(lines) < count:
        raise RunError.at(
            path.name, len(lines) + 2, f"the list ends within its header ({len(lines)} of {count} fields)", _SAVE_AGAIN
        )
    return fields


def _read_rows(path: Path, skip: int, layout: Layout) -> tuple[Block, int]:
    blocks, rows_in = [], 0
    for first, lines in text_blocks(path, skip):
        rows_in += sum(1 for line in lines if line.strip())
        blocks.append(parse_rows(lines, first, layout))
    return join_blocks(blocks, layout), rows_in


def _is_cut_off(path: Path, layout: Layout) -> bool:
    with path.open("rb") as stream:
        stream.seek(-1, 2)
        return stream.read(1) not in (b"\n", b"\r") or last_row_is_short(path, layout)


def _doubts(path: Path, rows: pd.DataFrame, cut_off: bool) -> tuple[Problem, ...]:
    cut = [Problem(path.name, None, "the list is cut off in its last row", _SAVE_AGAIN)] if cut_off else []
    return (*cut, *_undated(rows, path.name))


def _undated(rows: pd.DataFrame, file: str) -> list[Problem]:
    undated = rows["Timestamp"].isna() if "Timestamp" in rows else pd.Series(dtype=bool)
    if not undated.any():
        return []
    line = int(rows.loc[undated, "Row"].iloc[0])
    remedy = "times are expected as 2024-04-08T11:11:01.303; the particles are kept without a time"
    return [Problem(file, line, f"no time can be read in {int(undated.sum())} of {len(rows)} rows", remedy)]


def _read_013(path: Path) -> ParticleTable:
    counts = Counter(
        line.count(":") + 1 for _, lines in islice(text_blocks(path, 2), 1) for line in lines if line.strip()
    )
    usual = counts.most_common(1)[0][0] if counts else 44
    if usual not in LIST_013_COLUMNS:
        known = " and ".join(str(n) for n in LIST_013_COLUMNS)
        raise RunError.at(
            path.name, 3, f"rows of {usual} values", f"version 013 lists with {known} values can be read; {_SAVE_AGAIN}"
        )
    kinds = {name: KINDS.get(name, Kind.NUMBER) for name in LIST_013_COLUMNS[usual]}
    kinds |= {FILETIME_HIGH: Kind.TEXT, FILETIME_LOW: Kind.TEXT}
    layout = Layout(path.name, kinds, ":")
    block, rows_in = _read_rows(path, 2, layout)
    rows = block.rows.drop(columns=["total"], errors="ignore")
    rows.insert(0, "Timestamp", _from_filetime(rows.pop(FILETIME_HIGH), rows.pop(FILETIME_LOW)))
    claim = re.fullmatch(r"\s*([0-9]{1,9})\s*", "".join(_first_lines(path, 2)[1:]))
    cut_off = _is_cut_off(path, layout)
    return ParticleTable(
        path.name,
        "list 013",
        rows,
        tuple(block.rejects),
        rows_in,
        claimed=int(claim[1]) if claim else None,
        problems=_doubts(path, rows, cut_off),
        is_cut_off=cut_off,
        times_are_utc=True,
    )


def _from_filetime(high: pd.Series, low: pd.Series) -> pd.Series:
    """UTC from the two halves of a Windows FILETIME: (high << 32 | low) * 1e-7 s since 1601."""
    halves = [pd.to_numeric(part.str.rstrip("lL"), errors="coerce") for part in (high, low)]
    known = (halves[0].notna() & halves[1].notna()).to_numpy()
    top, bottom = (half.fillna(0).clip(0, 2**32 - 1).to_numpy(dtype=np.float64).astype(np.int64) for half in halves)
    milliseconds = ((top << 32) + bottom) // 10_000 - _MS_FROM_1601_TO_1970
    years = 1970 + milliseconds / (365.25 * 86_400_000)
    known = known & (years > _PLAUSIBLE_YEARS[0]) & (years < _PLAUSIBLE_YEARS[1])
    return pd.Series(
        np.where(known, milliseconds, np.datetime64("NaT", "ms").astype(np.int64)).astype("datetime64[ms]")
    )
