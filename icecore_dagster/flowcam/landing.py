"""The landing folder: which runs lie there, what their names say, and whether they have changed or are unfinished."""

import hashlib
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from icecore_dagster.flowcam.facts import read_metadata, stated_count
from icecore_dagster.flowcam.images import ImageError, SafeFolder, UnsafeNameError, image_size
from icecore_dagster.flowcam.linking import Finder, dataset_finder
from icecore_dagster.flowcam.problems import RunError
from icecore_dagster.flowcam.source import RunFiles, find_run_files
from icecore_dagster.flowcam.tables.export import read_export
from icecore_dagster.flowcam.tables.lists import ParticleTable, read_list

log = logging.getLogger(__name__)

_WHOLE = "(0|[1-9][0-9]*)"
_NAME = re.compile(rf"([A-Za-z][A-Za-z0-9-]*)_([0-9]+)_{_WHOLE}_{_WHOLE}_([1-9][0-9]*)")
_RULE = "name a run folder <core>_<bag>_<from cm>_<to cm>_<replicate>, such as GRIP_3046_40_55_1"
_LEFT_BY_COMPUTERS = ("thumbs.db", "desktop.ini")
_CHUNK = 1 << 20


class RunNameError(ValueError):
    """The name of a run folder does not say which piece of which core it holds."""


@dataclass(frozen=True)
class RunName:
    """What the name of a run folder says.

    Attributes:
        core: drilling and bag, such as "GRIP_3046".
        segment: such as "40_55".
        replicate: number of the repeated measurement, from 1.
        from_cm: upper edge of the segment in the bag (cm).
        to_cm: lower edge (cm).
        name: the whole name.
    """

    core: str
    segment: str
    replicate: int
    from_cm: int
    to_cm: int
    name: str


@dataclass(frozen=True)
class RunSource:
    """A run folder in the landing folder."""

    name: str
    path: Path


def parse_run_name(name: str) -> RunName:
    """Read the name of a run folder (`GRIP_3046_40_55_1`).

    Raises:
        RunNameError: the name does not fit, or the segment ends where it begins or above; states the rule.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise RunNameError(f"{name!r}: {_what_does_not_fit(name)}; {_RULE}")
    core, bag, top, bottom, replicate = match.groups()
    if int(top) >= int(bottom):
        raise RunNameError(f"{name!r}: the segment ends ({bottom} cm) not below where it begins ({top} cm); {_RULE}")
    return RunName(f"{core}_{bag}", f"{top}_{bottom}", int(replicate), int(top), int(bottom), name)


def _what_does_not_fit(name: str) -> str:
    parts = name.split("_")
    if len(parts) != 5:
        return f"{len(parts)} parts between underscores, 5 are expected"
    rules = (
        ("core", "[A-Za-z][A-Za-z0-9-]*", "letters, digits and hyphens, a letter first"),
        ("bag", "[0-9]+", "a number"),
        ("from", _WHOLE, "a whole number of cm without leading zeros"),
        ("to", _WHOLE, "a whole number of cm without leading zeros"),
        ("replicate", "[1-9][0-9]*", "a whole number from 1"),
    )
    for part, (what, pattern, rule) in zip(parts, rules, strict=True):
        if not re.fullmatch(pattern, part):
            return f"the {what} {part!r} is not {rule}"
    return "it does not fit"


def find_runs(landing: str | Path) -> list[RunSource]:
    """The run folders in a landing folder, by name; their names are not judged.

    Hidden folders are being written and are left out, as are links that lead out of the landing folder. A landing
    folder that does not exist holds no runs.
    """
    root = Path(landing)
    if not root.is_dir():
        return []
    inside = root.resolve()
    runs = []
    for path in sorted(root.iterdir()):
        if path.name.startswith(".") or not path.is_dir():
            continue
        if path.resolve().is_relative_to(inside):
            runs.append(RunSource(path.name, path))
        else:
            log.warning("%s: a link that leads out of the landing folder is not followed; copy the run instead", path)
    return runs


def signature(path: str | Path) -> str:
    """A cheap mark of a run's state: names, sizes and modification times of every file; nothing is read.

    Args:
        path: run folder or single file.

    Returns:
        SHA-256, hexadecimal. It changes whenever a file is added, removed or written.
    """
    digest = hashlib.sha256()
    for name, file in _files_of(Path(path)):
        try:
            state = file.lstat()
        except FileNotFoundError:  # moved away while we looked: the next look will see that
            continue
        digest.update(f"{len(name)}:{name}:{state.st_size}:{state.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def fingerprint(path: str | Path) -> str:
    """A mark of a run's contents: SHA-256 over the relative names and bytes of every file.

    Moving, copying or touching a run does not change it. Hidden files and what computers leave behind (Thumbs.db,
    desktop.ini) do not count. A link that leads out of the folder counts by its name alone and is not followed.

    Args:
        path: run folder or single file; a file's own name does not count.

    Returns:
        Hexadecimal digest.

    Raises:
        FileNotFoundError: nothing is there.
    """
    root = Path(path)
    inside = root.resolve()
    digest = hashlib.sha256()
    for name, file in _files_of(root):
        encoded = name.encode(errors="surrogateescape")
        digest.update(f"{len(encoded)}:".encode() + encoded)
        if root.is_dir() and file.is_symlink() and not (file.resolve().is_relative_to(inside) and file.is_file()):
            digest.update(b"link")
            continue
        content = hashlib.sha256()
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                content.update(chunk)
        digest.update(content.digest())
    return digest.hexdigest()


def _files_of(root: Path) -> Iterator[tuple[str, Path]]:
    """(relative name with `/`, file) of every file that counts, by name; links to folders are not entered."""
    if not root.is_dir():
        if not root.exists():
            raise FileNotFoundError(f"{root}: no such run")
        yield "", root
        return
    found = []
    for folder, folders, names in os.walk(root, followlinks=False):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            file = Path(folder, name)
            ordinary = file.is_symlink() or file.is_file()  # no sockets, no pipes
            if ordinary and not name.startswith(".") and name.lower() not in _LEFT_BY_COMPUTERS:
                found.append((file.relative_to(root).as_posix(), file))
    yield from sorted(found)


def completeness(path: str | Path) -> tuple[str, ...]:
    """Reasons why a run looks as if it were still being copied.

    Args:
        path: what `read_run` would be given.

    Returns:
        One sentence a reason: no table yet, a table cut off in a row, images named but absent or cut off, fewer rows
        than particles are stated. Empty if it looks complete.
    """
    try:
        files = find_run_files(Path(path))
        table = _table_of(files)
    except (RunError, FileNotFoundError) as error:
        return (str(error),)
    if table is None:
        return ()
    cut = [f"{table.file} is cut off in its last row"] if table.is_cut_off else []
    return (*cut, *_absent_images(files, table), *_fewer_than_stated(files, table))


def _table_of(files: RunFiles) -> ParticleTable | None:
    if files.particle_list:
        return read_list(files.particle_list)
    return read_export(files.table) if files.table else None


def _absent_images(files: RunFiles, table: ParticleTable) -> list[str]:
    column = "imgpaths" if table.format == "image table" else "Image File"
    if column not in table.rows:
        return []
    names = [name for name in table.rows[column].dropna().unique() if name]
    if table.format == "image table" and files.table:
        absent = _unusable(names, dataset_finder(files.table, files.folder if files.is_folder else None))
        return [f"{len(absent)} of {len(names)} images are missing or cut off, first {absent[0]!r}"] if absent else []
    absent = _unusable(names, SafeFolder(files.folder).find)
    if len(absent) == len(names) and table.format == "export":
        return []  # an export's images may have been saved one by one instead
    return [f"the collage {name!r} is missing or cut off" for name in absent]


def _unusable(names: list[str], find: Finder) -> list[str]:
    return [name for name in names if not _looks_whole(name, find)]


def _looks_whole(name: str, find: Finder) -> bool:
    try:
        path = find(name)
        return path is not None and min(image_size(path)) > 0
    except (ImageError, UnsafeNameError):
        return False


def _fewer_than_stated(files: RunFiles, table: ParticleTable) -> list[str]:
    stated, file = stated_count(table, read_metadata(files))
    if stated is None or stated <= table.rows_in:
        return []
    return [f"{table.file} has {table.rows_in} rows, {file} states {stated} particles"]
