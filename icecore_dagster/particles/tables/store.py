"""Where results live: one root URL, an address for every result, and writes that are whole or not there at all.

The root is a local folder or any fsspec URL (`s3://bucket/prefix`). Whatever is written appears under its own name only
when it is complete; until then it stands under a hidden name beside it (local) or in a temporary folder (remote).
"""

import contextlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from icecore_dagster.particles.tables.schemas import Table

Blocks = Callable[[list[str] | None], Iterable[pd.DataFrame]]
"""Reads a table from its start, some rows at a time: the columns asked for, or all of them."""
ROW_GROUP = 8_192
"""Rows held in memory at once when a table is written or streamed."""


@dataclass(frozen=True)
class Store:
    """Addresses of every result below one root.

    Args:
        root: local folder or fsspec URL.
    """

    root: UPath

    @classmethod
    def at(cls, url: str | Path) -> "Store":
        """The store at a folder or URL; a local folder is made absolute."""
        root = UPath(url)
        return cls(UPath(root.absolute()) if is_local(root) else root)

    def table(self, name: str, *partition: str) -> UPath:
        """Address of a table: `tables/<name>/<core>/<segment>.parquet`, `.../<core>.parquet` or `<name>.parquet`."""
        return self.root.joinpath("tables", name, *partition[:-1], f"{partition[-1] if partition else name}.parquet")

    def tables(self, name: str, *partition: str) -> list[UPath]:
        """Addresses of every stored table of that name, below the given part of the partition, sorted."""
        folder = self.root.joinpath("tables", name, *partition)
        if not folder.exists():
            return []
        return sorted((p for p in folder.rglob("*.parquet") if not p.name.startswith(".")), key=str)

    @property
    def models(self) -> UPath:
        """Folder of all models."""
        return self.root / "models"

    def report(self, name: str) -> UPath:
        """Address of a page for people: `reports/<name>`."""
        return self.root / "reports" / name

    def folder(self, name: str) -> UPath:
        """Address of a result that is a folder of files (tensors)."""
        return self.root / name


def is_local(path: UPath | Path) -> bool:
    """Whether a path is in the local file system."""
    return not isinstance(path, UPath) or path.protocol in ("", "file", "local")


def local_path(path: UPath | Path) -> Path:
    """A local path as pathlib.Path."""
    return Path(str(path.path)) if isinstance(path, UPath) else path


@contextlib.contextmanager
def atomic_file(target: UPath | Path) -> Iterator[Path]:
    """Write a file so that nobody ever sees half of it.

    Yields a local path to write to; on leaving without an error that file becomes `target` (renamed, or uploaded where
    the target is remote). After an error, or a kill, `target` is what it was before.

    Args:
        target: where the file is to appear; parent folders are made.
    """
    with atomic_files([target]) as paths:
        yield paths[0]


@contextlib.contextmanager
def atomic_files(targets: list[UPath] | list[Path] | list[UPath | Path]) -> Iterator[list[Path]]:
    """Write files that belong together: all are complete before the first of them appears."""
    with contextlib.ExitStack() as stack:
        parts = [_part_path(target, stack) for target in targets]
        yield parts
        for part in parts:
            _flush(part)
        for part, target in zip(parts, targets, strict=True):
            if is_local(target):
                part.replace(local_path(target))
            else:
                assert isinstance(target, UPath)
                target.fs.put_file(str(part), target.path)


def _part_path(target: UPath | Path, stack: contextlib.ExitStack) -> Path:
    if not is_local(target):
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="icecore-")))
        return folder / target.name
    final = local_path(target)
    final.parent.mkdir(parents=True, exist_ok=True)
    _sweep(final)
    part = final.parent / f".{final.name}.{os.getpid()}-{secrets.token_hex(4)}.part"
    stack.callback(part.unlink, missing_ok=True)
    return part


def _sweep(final: Path) -> None:
    """Remove what killed writers of the same file left behind."""
    for leftover in final.parent.glob(f".{final.name}.*.part"):
        pid = leftover.name.removeprefix(f".{final.name}.").split("-", 1)[0]
        if not (pid.isdigit() and _is_running(int(pid))):
            leftover.unlink(missing_ok=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


class TableWriter:
    """Writes a declared table block by block, so that no more than one block is held in memory.

    Args:
        path: local file to write (from `atomic_file`).
        table: the declaration that every block is cast to.
        note: facts kept in the file's own metadata (JSON).
    """

    def __init__(self, path: Path, table: Table, note: Mapping[str, object] | None = None) -> None:
        self._path, self._table, self._note = path, table, note or {}
        self._writer: pq.ParquetWriter | None = None
        self.rows = 0

    def __enter__(self) -> "TableWriter":
        return self

    def write(self, frame: pd.DataFrame) -> None:
        """Append a block.

        Raises:
            SchemaError: the block does not fit the declaration.
        """
        self.append(self._table.conform(frame))

    def append(self, block: pa.Table) -> None:
        """Append a block that has been cast to the declaration already."""
        if self._writer is None:
            note = {b"icecore": json.dumps(self._note, default=str).encode()}
            schema = block.schema.with_metadata({**(block.schema.metadata or {}), **note})
            self._writer = pq.ParquetWriter(self._path, schema, compression="zstd", use_dictionary=_repeating(schema))
        if block.num_rows or not self.rows:
            self._writer.write_table(block.cast(self._writer.schema), row_group_size=ROW_GROUP)
            self.rows += block.num_rows

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._writer is None and kind is None:
            self.write(self._table.empty())
        if self._writer is not None:
            self._writer.close()


def _repeating(schema: pa.Schema) -> list[str]:
    """Columns worth a dictionary: measured numbers and pixels hardly ever repeat, and are smaller without."""
    return [field.name for field in schema if not (pa.types.is_floating(field.type) or pa.types.is_binary(field.type))]


def write_table(
    target: UPath | Path, frame: pd.DataFrame, table: Table, note: Mapping[str, object] | None = None
) -> None:
    """Write a whole table at once, cast to its declaration and atomically.

    Raises:
        SchemaError: the frame does not fit the declaration; nothing is written.
    """
    with atomic_file(target) as path, TableWriter(path, table, note) as writer:
        writer.write(frame)


def read_table(source: UPath | Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read a stored table, or some of its columns."""
    with source.open("rb") as file:
        return pq.read_table(file, columns=columns).to_pandas()


def read_note(source: UPath | Path) -> dict[str, object]:
    """The facts that were kept in a table's metadata when it was written."""
    with source.open("rb") as file:
        metadata = pq.read_schema(file).metadata or {}
    return json.loads(metadata.get(b"icecore", b"{}"))


def first_rows(source: UPath | Path, rows: int) -> pd.DataFrame:
    """The first rows of a stored table."""
    with source.open("rb") as file:
        table = pq.ParquetFile(file, pre_buffer=False)
        return next(
            (batch.to_pandas() for batch in table.iter_batches(rows)), table.schema_arrow.empty_table().to_pandas()
        )


def column_names(source: UPath | Path) -> list[str]:
    """Names of a stored table's columns."""
    with source.open("rb") as file:
        return list(pq.read_schema(file).names)


def count_rows(source: UPath | Path) -> int:
    """Rows of a stored table, from its footer."""
    with source.open("rb") as file:
        return pq.read_metadata(file).num_rows


def stream_table(
    source: UPath | Path, columns: list[str] | None = None, rows: int = ROW_GROUP
) -> Iterator[pd.DataFrame]:
    """Read a stored table in blocks of at most `rows` rows."""
    with source.open("rb") as file:
        # Buffered, whatever has been read would be held until the last block.
        for batch in pq.ParquetFile(file, pre_buffer=False).iter_batches(batch_size=rows, columns=columns):
            yield batch.to_pandas()


def find_rows(source: UPath | Path, column: str, values: set, columns: list[str]) -> pd.DataFrame:
    """The rows of a stored table whose `column` holds one of some values, in the table's order.

    Other columns are read only of the row groups that hold such a row.
    """
    found = []
    with source.open("rb") as file:
        table = pq.ParquetFile(file)
        for group in range(table.num_row_groups):
            here = table.read_row_group(group, [column])[column].to_pandas().isin(values)
            if here.any():
                found.append(table.read_row_group(group, columns).filter(pa.array(here)).to_pandas())
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=columns)


def put_folder(local: Path, target: UPath) -> None:
    """Move a finished local folder to its address, replacing what was there."""
    if not is_local(target):
        if target.exists():
            target.rmdir(recursive=True)
        target.fs.put(str(local), target.path, recursive=True)
        shutil.rmtree(local)
        return
    final = local_path(target)
    final.parent.mkdir(parents=True, exist_ok=True)
    old = final.parent / f".{final.name}.old-{secrets.token_hex(4)}"
    if final.exists():
        final.rename(old)
    local.rename(final)
    shutil.rmtree(old, ignore_errors=True)


def local_folder(source: UPath, cache: Path, version: str) -> Path:
    """A local copy of a stored folder: the folder itself where it is local, else one download a version.

    Args:
        source: address of the folder.
        cache: local folder for downloads.
        version: what tells one content of the folder from the next (a data version).
    """
    if is_local(source):
        return local_path(source)
    copy = cache / f"{source.name}-{version}"
    if not copy.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as temporary:
            fetched = Path(temporary) / source.name
            source.fs.get(source.path, str(fetched), recursive=True)
            fetched.rename(copy)
    return copy
