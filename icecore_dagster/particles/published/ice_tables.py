"""A table of particles of many ice runs (`GRIP_3046_raw.csv`), taken apart into run folders for the landing folder."""

import contextlib
import csv
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from icecore_dagster.flowcam.images import UnsafeNameError
from icecore_dagster.flowcam.landing import RunNameError, parse_run_name
from icecore_dagster.flowcam.linking import Finder, dataset_finder
from icecore_dagster.flowcam.naming import runs_and_numbers
from icecore_dagster.flowcam.tables.delimited import text_blocks
from icecore_dagster.flowcam.tables.export import Heading, read_heading

_PATHS = "imgpaths"


class IceTableError(ValueError):
    """A table cannot be taken apart into runs; the message says why and what to do."""


@dataclass(frozen=True)
class TakenApart:
    """What became of a table.

    Attributes:
        runs: name of each new run folder -> rows in it.
        without_image: rows whose image is not there; they are kept in their run.
        refused: why rows are in no run -> how many.
    """

    runs: dict[str, int]
    without_image: int
    refused: dict[str, int]


def import_ice_table(table: Path, landing: Path, *, progress: bool = True) -> TakenApart:
    """Take a table apart into one folder a run, each with its rows and its images, for the landing sensor to find.

    The run of a row is what the name of its image says (`GRIP_3046_40_55_1_2787.png`). Images are hard links where the
    file system allows it, else copies. No folder appears before all of them are complete.

    Args:
        table: with a column `imgpaths`; paths are relative to the table's folder or one of its parents.
        landing: folder of runs, made if absent.
        progress: show a progress bar.

    Raises:
        IceTableError: no such table, no row names a run of an ice core, or a run's folder is there already; nothing is
            written.
    """
    heading = read_heading(table)
    if heading is None or _PATHS not in heading.columns:
        raise IceTableError(f"{table}: no column {_PATHS}; give a table that names one image file a particle")
    landing.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".importing-", dir=landing) as workshop:
        with _Writer(table, heading, landing, Path(workshop)) as writer:
            for rows in tqdm(_rows(table, heading), desc=f"taking {table.name} apart", disable=not progress):
                writer.add(rows)
        if not writer.counts:
            reasons = ", ".join(f"{reason} ({n})" for reason, n in writer.refused.most_common(3))
            raise IceTableError(f"{table}: no row belongs to a run of an ice core: {reasons or 'it has no rows'}")
        _put_in_place(landing, Path(workshop), list(writer.counts))
    return TakenApart(dict(writer.counts), writer.without_image, dict(writer.refused))


def _rows(table: Path, heading: Heading) -> Iterator[list[list[str]]]:
    """The cells of the table's rows, in blocks."""
    for _, lines in text_blocks(table, heading.line):
        yield [row for row in csv.reader(lines, delimiter=heading.separator) if row]


class _Writer:
    """Sorts rows and images into one hidden folder a run."""

    def __init__(self, table: Path, heading: Heading, landing: Path, workshop: Path) -> None:
        self._heading, self._landing, self._workshop = heading, landing, workshop
        self._place = heading.columns.index(_PATHS)
        self._find: Finder = dataset_finder(table, None)
        self._files = contextlib.ExitStack()
        self._tables: dict[str, Any] = {}
        self._verdicts: dict[str, str] = {}
        self.counts: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.without_image = 0

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *error: object) -> None:
        self._files.close()

    def add(self, rows: list[list[str]]) -> None:
        """Sort one block of rows in."""
        whole = [row for row in rows if len(row) == len(self._heading.columns)]
        self._refuse("the row has too few or too many values", len(rows) - len(whole))
        paths = pd.Series([row[self._place] for row in whole], dtype="str")
        runs, numbers = runs_and_numbers(paths, "")
        for row, path, run, nameless in zip(whole, paths, runs, numbers.isna(), strict=True):
            if nameless or (reason := self._verdict(run)):
                self._refuse("the image's name has no run and number" if nameless else reason, 1)
                continue
            try:
                image = self._find(path)
            except UnsafeNameError:
                self._refuse("the image's path leads out of the folder", 1)
                continue
            name = path.replace("\\", "/").rsplit("/", 1)[-1]
            if image is None:
                self.without_image += 1
            else:
                _link(image, self._workshop / run / name)
            self._writer_of(run).writerow([*row[: self._place], name, *row[self._place + 1 :]])
            self.counts[run] += 1

    def _refuse(self, reason: str, rows: int) -> None:
        if rows:
            self.refused[reason] += rows

    def _verdict(self, run: str) -> str:
        """Why rows of a run are refused; empty if they are not."""
        if run not in self._verdicts:
            try:
                parse_run_name(run)
                self._verdicts[run] = ""
            except RunNameError as error:
                self._verdicts[run] = str(error)
            if not self._verdicts[run] and (self._landing / run).exists():
                raise IceTableError(
                    f"{self._landing / run} is there already; move it away to import the table (nothing was written)"
                )
        return self._verdicts[run]

    def _writer_of(self, run: str) -> Any:
        """The csv writer of a run's table, opened with its heading when the run first appears."""
        if run not in self._tables:
            (self._workshop / run).mkdir(exist_ok=True)
            stream = self._files.enter_context(
                (self._workshop / run / f"{run}.csv").open("w", encoding="utf-8", newline="")
            )
            writer = csv.writer(stream, delimiter=self._heading.separator, lineterminator="\n")
            writer.writerow(self._heading.columns)
            self._tables[run] = writer
        return self._tables[run]


def _link(image: Path, target: Path) -> None:
    """The same file under another name, or a copy where that cannot be; an image that is named twice stands once."""
    target.parent.mkdir(exist_ok=True)
    if target.exists():
        return
    try:
        os.link(image.resolve(), target)
    except OSError:
        shutil.copyfile(image, target)


def _put_in_place(landing: Path, workshop: Path, runs: list[str]) -> None:
    for run in runs:
        (workshop / run).rename(landing / run)
