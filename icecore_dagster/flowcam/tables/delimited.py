"""Rows of delimited text to typed columns: everything at once, and a closer look only at the rows that do not fit."""

import codecs
import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from icecore_dagster.flowcam.problems import Reject
from icecore_dagster.flowcam.tables.columns import Kind

BLOCK_LINES = 50_000
"""Lines of text held at once, so that a table of a million rows does not stand in memory twice."""

_MISSING = ("", "na", "nan", "n/a", "null")
_LARGEST_WHOLE = 2.0**53
_TAIL_BYTES = 1 << 16
_TIME_LENGTH = len("2024-04-08T11:11:01.303")


@dataclass(frozen=True)
class Layout:
    """How the rows of a table are written.

    Attributes:
        file: name for messages.
        kinds: column -> kind, in the order of the file.
        separator: one character between cells.
        decimal: decimal sign.
        quoted: whether cells may stand in double quotes.
        may_be_empty: whether a cell without a value is allowed where the row makes sense without it.
        remedy: what to do about a row that cannot be read.
    """

    file: str
    kinds: Mapping[str, Kind]
    separator: str
    decimal: str = "."
    quoted: bool = False
    may_be_empty: bool = False
    remedy: str = "export the table again from VisualSpreadsheet, or correct or delete this line"


@dataclass(frozen=True)
class Block:
    """Parsed rows: those that could be read (with their 1-based line in `Row`), and those refused."""

    rows: pd.DataFrame
    rejects: list[Reject]


def text_encoding(path: Path) -> str:
    """`utf-8-sig` if the whole file is UTF-8, else `cp1252`, else `latin-1`, which reads anything."""
    for encoding in ("utf-8-sig", "cp1252"):
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            with path.open("rb") as stream:
                while chunk := stream.read(1 << 20):
                    decoder.decode(chunk)
                decoder.decode(b"", final=True)
            return encoding
        except UnicodeDecodeError:
            continue
    return "latin-1"


def text_blocks(path: Path, skip: int) -> Iterator[tuple[int, list[str]]]:
    """The lines of a file after the first `skip`, in blocks, each with the 1-based number of its first line."""
    with path.open(encoding=text_encoding(path)) as stream:
        first = 1 + sum(1 for _ in islice(stream, skip))
        while lines := list(islice(stream, BLOCK_LINES)):
            yield first, lines
            first += len(lines)


def parse_rows(lines: list[str], first_line: int, layout: Layout) -> Block:
    """Parse consecutive lines; blank ones are no rows.

    Args:
        lines: text of the lines.
        first_line: 1-based number of the first of them in the file.
        layout: how they are written.

    Returns:
        The rows read and the rows refused; together as many as there are lines that are not blank.
    """
    numbered = [(n, line.rstrip("\n")) for n, line in enumerate(lines, first_line) if not line.isspace() and line]
    good, rejects = _right_length(numbered, layout)
    if not good:
        return Block(_no_rows(layout), rejects)
    texts = _cells([line for _, line in good], layout)
    columns, wrong = {}, {}
    for name, kind in layout.kinds.items():
        columns[name], wrong[name] = _typed(texts[name], kind, layout)
    frame = pd.DataFrame({**columns, "Row": np.array([n for n, _ in good], dtype=np.int64)})
    refused = np.logical_or.reduce(list(wrong.values()))
    for i in np.flatnonzero(refused):
        name = next(column for column, mask in wrong.items() if mask[i])
        rejects.append(_not_a_number(name, texts[name].iloc[i], good[i], layout))
    return Block(frame[~refused].reset_index(drop=True), rejects)


def join_blocks(blocks: list[Block], layout: Layout) -> Block:
    """One table of all blocks; whole numbers become int64 where none is missing."""
    rows = pd.concat([b.rows for b in blocks], ignore_index=True) if blocks else _no_rows(layout)
    for name, kind in layout.kinds.items():
        if kind is Kind.INTEGER and not rows[name].isna().any():
            rows[name] = rows[name].astype("int64")
        elif kind is Kind.UNKNOWN and rows[name].dtype == object:  # numbers in one block, text in another
            rows[name] = rows[name].astype("str")
    return Block(rows, [reject for block in blocks for reject in block.rejects])


def _right_length(numbered: list[tuple[int, str]], layout: Layout) -> tuple[list[tuple[int, str]], list[Reject]]:
    expected, good, rejects = len(layout.kinds), [], []
    for number, line in numbered:
        cells = count_cells(line, layout.separator, layout.quoted)
        if cells == expected and "\0" not in line:
            good.append((number, line))
            continue
        reason = "unreadable bytes (NUL)" if cells == expected else f"{cells} values where {expected} are expected"
        rejects.append(Reject(_particle_id(line, layout), layout.file, number, reason, layout.remedy))
    return good, rejects


def count_cells(line: str, separator: str, quoted: bool) -> int:
    """Number of cells in a line of text; an unclosed quotation counts as broken (0)."""
    if not quoted or '"' not in line:
        return line.count(separator) + 1
    return len(split_cells(line, separator)) if line.count('"') % 2 == 0 else 0


def last_row_is_short(path: Path, layout: Layout) -> bool:
    """Whether the last row has too few cells, as when a copy was interrupted."""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        lines = [line for line in stream.read().decode("latin-1").splitlines() if line.strip()]
    return bool(lines) and 0 < count_cells(lines[-1], layout.separator, layout.quoted) < len(layout.kinds)


def split_cells(line: str, separator: str) -> list[str]:
    """The cells of one line of text, quotation marks taken off."""
    return next(csv.reader([line], delimiter=separator), [])


def _particle_id(line: str, layout: Layout) -> int | None:
    names = list(layout.kinds)
    if "Particle ID" not in names:
        return None
    cells = line.split(layout.separator)
    place = names.index("Particle ID")
    text = cells[place].strip().strip('"') if place < len(cells) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _cells(lines: list[str], layout: Layout) -> pd.DataFrame:
    texts = {name: str for name, kind in layout.kinds.items() if kind in (Kind.TEXT, Kind.TIME)}
    return pd.read_csv(
        StringIO("\n".join(lines)),
        sep=layout.separator,
        decimal=layout.decimal,
        header=None,
        names=list(layout.kinds),
        index_col=False,
        dtype=texts,
        na_filter=False,
        quoting=csv.QUOTE_MINIMAL if layout.quoted else csv.QUOTE_NONE,
        skipinitialspace=True,
        low_memory=False,
        engine="c",
    )


def _typed(column: pd.Series, kind: Kind, layout: Layout) -> tuple[pd.Series, np.ndarray]:
    """The column's values, and which of them are not what they should be."""
    fine = np.zeros(len(column), dtype=bool)
    if kind is Kind.UNKNOWN:
        return column, fine
    if kind is Kind.TEXT:
        return column.str.strip(), fine
    if kind is Kind.TIME:
        local = column.str.strip().str.slice(0, _TIME_LENGTH)
        return pd.to_datetime(local, format="ISO8601", errors="coerce").astype("datetime64[ms]"), fine
    values, missing, wrong = _numbers(column, layout)
    if kind is Kind.RATIO:
        return pd.Series(values), wrong & ~missing & ~_written_undefined(column)
    wrong = (wrong | ~np.isfinite(values)) & ~(missing & layout.may_be_empty)
    if kind is Kind.INTEGER:
        wrong |= ~missing & ((values != np.floor(values)) | (np.abs(values) > _LARGEST_WHOLE))
    return pd.Series(values), wrong


def _numbers(column: pd.Series, layout: Layout) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values as float64 (NaN where there is none), which cells are empty, which are not numbers."""
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        none = np.zeros(len(column), dtype=bool)
        return column.to_numpy(dtype=np.float64), none, none
    text = column.astype(str).str.strip()
    missing = text.str.lower().isin(_MISSING).to_numpy()
    mixed = np.zeros(len(column), dtype=bool)
    if layout.decimal == ",":
        mixed = text.str.contains(".", regex=False).to_numpy(dtype=bool)
        text = text.str.replace(",", ".", regex=False)
    values = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64)
    return values, missing, mixed | (np.isnan(values) & ~missing)


def _written_undefined(column: pd.Series) -> np.ndarray:
    text = column.astype(str).str.strip().str.lower()
    return text.str.contains(r"^[+-]?(?:inf|infinity|1\.#\w+)$").to_numpy(dtype=bool)


def _not_a_number(column: str, value: object, row: tuple[int, str], layout: Layout) -> Reject:
    number, line = row
    wanted = "a whole number" if layout.kinds[column] is Kind.INTEGER else "a number"
    return Reject(
        _particle_id(line, layout), layout.file, number, f"{column} is {str(value)!r}, not {wanted}", layout.remedy
    )


def _no_rows(layout: Layout) -> pd.DataFrame:
    dtypes = {Kind.INTEGER: "int64", Kind.NUMBER: "float64", Kind.RATIO: "float64", Kind.TIME: "datetime64[ms]"}
    columns = {name: pd.Series(dtype=dtypes.get(kind, "str")) for name, kind in layout.kinds.items()}
    return pd.DataFrame({**columns, "Row": pd.Series(dtype="int64")})
