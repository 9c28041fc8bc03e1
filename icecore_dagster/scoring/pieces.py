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

import pyarrow as pa

from icecore_dagster.particles.tables.schemas import Table

_FORMAT = "arrow"
"""Of the files, so that pieces of another are left alone: written and read several times as fast as Parquet."""
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
        key = json.dumps([_FORMAT, [table.name for table in tables], note], sort_keys=True, default=str)
        self._folder = folder / hashlib.sha256(key.encode()).hexdigest()[:16]
        _forget_old(folder)
        self._count = 0
        self.rows = 0
        while (piece := self._piece(self._count)).is_dir():
            self.rows += _read(self._file(piece, self._tables[0])).num_rows
            self._count += 1

    def add(self, rows: Mapping[str, pa.Table]) -> None:
        """Keep the next rows of every table, all or none.

        Args:
            rows: by name of the table, the same number in each.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".making.", dir=self._folder))
        try:
            for table in self._tables:
                some = rows[table.name]
                with (
                    pa.OSFile(str(self._file(made, table)), "wb") as file,
                    pa.ipc.new_file(file, some.schema) as writer,
                ):
                    writer.write_table(some)
            made.rename(self._piece(self._count))
        finally:
            shutil.rmtree(made, ignore_errors=True)
        self._count += 1
        self.rows += rows[self._tables[0].name].num_rows

    def read(self, table: Table) -> Iterator[pa.Table]:
        """The rows of a table, piece by piece, in the order in which they were added."""
        for number in range(self._count):
            yield _read(self._file(self._piece(number), table))

    def discard(self) -> None:
        """Throw the pieces away: the scores stand where they belong."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _piece(self, number: int) -> Path:
        return self._folder / f"{number:06d}"

    @staticmethod
    def _file(piece: Path, table: Table) -> Path:
        return piece / f"{table.name}.{_FORMAT}"


def _read(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as file:
        return pa.ipc.open_file(file).read_all()


def _forget_old(folder: Path) -> None:
    for pieces in folder.glob("*"):
        # Another scoring of the segment may throw its own away at this moment.
        with contextlib.suppress(FileNotFoundError):
            if time.time() - pieces.stat().st_mtime > _FORGOTTEN_AFTER_S:
                shutil.rmtree(pieces, ignore_errors=True)
