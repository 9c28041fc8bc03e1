"""Scores of a segment that is still being scored, kept in pieces: a scoring that was killed goes on where it stopped.

Nothing here is read by anybody but the scoring itself; a segment's scores appear whole or not at all.
"""

import contextlib
import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from icecore_dagster.particles.tables.schemas import Table
from icecore_dagster.particles.tables.store import TableWriter, count_rows, read_table

_FORGOTTEN_AFTER_S = 7 * 24 * 3600
"""Pieces that nobody has added to for so long belong to a scoring that nobody will go on with."""


class Pieces:
    """The pieces of one scoring: for each piece a folder, in it a file for each table.

    Args:
        folder: where pieces of this segment are kept, on this machine.
        tables: what is scored, the same rows in each.
        note: what the scores depend on (models and runs); pieces of another note are left alone.
    """

    def __init__(self, folder: Path, tables: Sequence[Table], note: Mapping[str, object]) -> None:
        self._tables = tuple(tables)
        key = json.dumps([[table.name for table in tables], note], sort_keys=True, default=str)
        self._folder = folder / hashlib.sha256(key.encode()).hexdigest()[:16]
        _forget_old(folder)
        self._count = 0
        self.rows = 0
        while (piece := self._piece(self._count)).is_dir():
            self.rows += count_rows(self._file(piece, self._tables[0]))
            self._count += 1

    def add(self, frames: Mapping[str, pd.DataFrame]) -> None:
        """Keep the next rows of every table, all or none.

        Args:
            frames: by name of the table, the same number of rows in each.

        Raises:
            SchemaError: a frame does not fit its table.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".making.", dir=self._folder))
        try:
            for table in self._tables:
                with TableWriter(self._file(made, table), table) as writer:
                    writer.write(frames[table.name])
            made.rename(self._piece(self._count))
        finally:
            shutil.rmtree(made, ignore_errors=True)
        self._count += 1
        self.rows += len(frames[self._tables[0].name])

    def read(self, table: Table) -> Iterator[pd.DataFrame]:
        """The rows of a table, piece by piece, in the order in which they were added."""
        for number in range(self._count):
            yield read_table(self._file(self._piece(number), table))

    def discard(self) -> None:
        """Throw the pieces away: the scores stand where they belong."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _piece(self, number: int) -> Path:
        return self._folder / f"{number:06d}"

    @staticmethod
    def _file(piece: Path, table: Table) -> Path:
        return piece / f"{table.name}.parquet"


def _forget_old(folder: Path) -> None:
    for pieces in folder.glob("*"):
        # Another scoring of the segment may throw its own away at this moment.
        with contextlib.suppress(FileNotFoundError):
            if time.time() - pieces.stat().st_mtime > _FORGOTTEN_AFTER_S:
                shutil.rmtree(pieces, ignore_errors=True)
