"""Comma-separated particle tables: exports of VisualSpreadsheet 1 to 5, and tables with one image file a particle."""

import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from icecore_dagster.flowcam.problems import Problem, RunError
from icecore_dagster.flowcam.tables.columns import KINDS, Kind, export_column
from icecore_dagster.flowcam.tables.delimited import (
    Block,
    Layout,
    count_cells,
    join_blocks,
    last_row_is_short,
    parse_rows,
    split_cells,
    text_blocks,
)
from icecore_dagster.flowcam.tables.lists import ParticleTable

_SEPARATORS = ",;\t"
_SAMPLE_LINES = 200
_HEAD_BYTES = 1 << 16
_DECIMAL_COMMA = re.compile(r"(?:^|[;\t])\s*\"?-?\d+,\d+(?:[eE][+-]?\d+)?\"?\s*(?:[;\t]|$)")
_EXPORT_AGAIN = "export the table again from VisualSpreadsheet"
_KEY_COLUMNS = ("Particle ID", "imgpaths")


@dataclass(frozen=True)
class Heading:
    """The first line of a table.

    Attributes:
        columns: canonical names, in the order of the file.
        separator: what stands between cells.
        line: 1-based number of the line.
    """

    columns: tuple[str, ...]
    separator: str
    line: int


def read_heading(path: Path) -> Heading | None:
    """The heading of a particle table, or None if the file is something else (a summary, statistics, labels)."""
    for number, line in enumerate(_head_of(path).splitlines(), 1):
        if line.strip():
            separator = max(_SEPARATORS, key=line.count)
            columns = tuple(export_column(cell) for cell in split_cells(line, separator))
            return Heading(columns, separator, number) if set(columns) & set(_KEY_COLUMNS) else None
    return None


def _head_of(path: Path) -> str:
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return head.rpartition(b"\n")[0].decode(encoding) if b"\n" in head else head.decode(encoding)
        except UnicodeDecodeError:
            continue
    return head.decode("latin-1")


def read_export(path: Path) -> ParticleTable:
    """Read an export or an image table.

    Args:
        path: the `.csv` file, in UTF-8, cp1252 or latin-1, with `,`, `;` or a tab between cells, and with decimal
            commas where these do not also separate.

    Returns:
        Its rows under VisualSpreadsheet 4's names. The format is "image table" if it has a column `imgpaths`.

    Raises:
        RunError: the file is empty, is no particle table, repeats a column, or uses the comma for two purposes.
    """
    heading = read_heading(path)
    if heading is None:
        what = "it has neither a column 'Particle ID' nor 'imgpaths'" if path.stat().st_size else "the table is empty"
        raise RunError.at(path.name, 1 if path.stat().st_size else None, what, _EXPORT_AGAIN)
    layout = _layout(path, heading)
    blocks: list[Block] = []
    rows_in = 0
    for first, lines in text_blocks(path, heading.line):
        rows_in += sum(1 for line in lines if line.strip())
        blocks.append(parse_rows(lines, first, layout))
    block = join_blocks(blocks, layout)
    if rows_in == 0:
        raise RunError.at(path.name, heading.line, "the table is empty: it has a heading but no rows", _EXPORT_AGAIN)
    rows = block.rows.drop(columns=[name for name in layout.kinds if name.startswith(_UNNAMED)])
    kind = "image table" if "imgpaths" in rows else "export"
    return ParticleTable(
        path.name,
        kind,
        rows,
        tuple(block.rejects),
        rows_in,
        problems=tuple(_gaps(rows, path.name)),
        is_cut_off=last_row_is_short(path, layout),
    )


_UNNAMED = "\0unnamed"


def _layout(path: Path, heading: Heading) -> Layout:
    names = [_UNNAMED + str(n) if not c or c.startswith("Unnamed:") else c for n, c in enumerate(heading.columns)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise RunError.at(
            path.name, heading.line, f"the column {twice[0]!r} stands twice in the heading", _EXPORT_AGAIN
        )
    sample = [line.rstrip("\n") for _, lines in islice(text_blocks(path, heading.line), 1) for line in lines]
    quoted = any('"' in line for line in sample)
    sample = [line for line in sample[:_SAMPLE_LINES] if line.strip()]
    _refuse_two_meanings_of_comma(path, heading, sample, quoted)
    decimal = "," if heading.separator != "," and any(_DECIMAL_COMMA.search(line) for line in sample) else "."
    kinds = {name: KINDS.get(name, Kind.UNKNOWN) for name in names}
    return Layout(path.name, kinds, heading.separator, decimal, quoted, may_be_empty=True)


def _refuse_two_meanings_of_comma(path: Path, heading: Heading, sample: list[str], quoted: bool) -> None:
    if heading.separator != "," or not sample:
        return
    wide = sum(count_cells(line, ",", quoted) > len(heading.columns) for line in sample)
    if 2 * wide > len(sample):
        raise RunError.at(
            path.name,
            heading.line + 1,
            "more values than headings: the comma seems to separate both values and decimals",
            f"{_EXPORT_AGAIN} with decimal points, or with ';' between values",
        )


def _gaps(rows: pd.DataFrame, file: str) -> list[Problem]:
    """Cells without a value, where the row is kept all the same."""
    problems = []
    for name in rows.columns.intersection(list(KINDS)):
        if KINDS[name] in (Kind.TEXT, Kind.RATIO) or name == "Particle ID":
            continue
        empty = rows[name].isna().to_numpy()
        if empty.any():
            line = int(rows["Row"].to_numpy()[np.flatnonzero(empty)[0]])
            message = f"no value for {name} in {int(empty.sum())} of {len(rows)} rows"
            problems.append(Problem(file, line, message, f"{_EXPORT_AGAIN}, or leave it: the value stays empty"))
    return problems
