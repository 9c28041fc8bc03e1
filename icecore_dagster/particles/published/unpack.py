"""Unpacking archives that strangers have packed: nothing lands outside of the folder, and nothing is overwritten."""

import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from icecore_dagster.particles.published.record import FetchError

LARGEST_RATIO = 100
"""An archive that claims to unpack to more than so many times its size is refused; tables of numbers reach about 10."""

SMALLEST_LIMIT = 50_000_000
"""Bytes that any archive may unpack to, whatever its ratio."""

MOST_MEMBERS = 20_000_000
_TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_LONGEST_NAME = 255
_CHUNK = 1 << 20
_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,  # zipfile's word for a password, and for a packing that it does not know
    OSError,
)


@dataclass(frozen=True)
class Member:
    """One file in an archive.

    Attributes:
        name: as the archive has it.
        size: bytes that it says it unpacks to.
        open: gives its content.
    """

    name: str
    size: int
    open: Callable[[], IO[bytes]]


def is_archive(path: Path) -> bool:
    """Whether a file is one that `unpack` takes, by its name."""
    return path.name.lower().endswith((".zip", *_TAR_SUFFIXES))


def unpack(
    archive: Path,
    folder: Path,
    place: Callable[[PurePosixPath], PurePosixPath] = lambda name: name,
    told: Callable[[int], None] = lambda _: None,
) -> int:
    """Unpack an archive into a folder.

    Every name and size is looked at before the first byte is written. A file appears under its name only when it is
    whole, and tables (`.csv`) only after everything else, so that a table is never there before its images. A file that
    is there already in the same size is left as it is, which makes going on after an interruption quick.

    Args:
        archive: a zip or tar file.
        folder: where to; made if absent.
        place: gives the path within the folder of each member's path.
        told: called with the bytes of each file that is done.

    Returns:
        Number of files.

    Raises:
        FetchError: the archive is damaged, a member leads out of the folder or is no plain file, it claims to unpack to
            more than is believable or than the disk holds, or another file stands in the way. Nothing is written then.
    """
    try:
        with _members_of(archive) as members:
            targets = [
                (member, folder.joinpath(*_inside(place(_safe(member, archive)), archive).parts)) for member in members
            ]
            _check_sizes(archive, [member for member, _ in targets], folder)
            _refuse_others(archive, targets)
            # The tables last; in the archive's order otherwise, which a packed tar needs to be read in one pass.
            for member, target in sorted(targets, key=lambda pair: pair[1].suffix.lower() == ".csv"):
                _write(member, target, archive)
                told(member.size)
            return len(targets)
    except _DAMAGED as error:
        if isinstance(error, FetchError) or (isinstance(error, OSError) and error.errno is not None):
            raise
        raise FetchError(f"{archive.name}: cannot be unpacked ({error}); delete it and fetch it again") from error


@contextmanager
def _members_of(archive: Path) -> Iterator[list[Member]]:
    """The files in an archive; a link, a device or anything else but files and folders is refused."""
    if archive.name.lower().endswith(".zip"):
        with zipfile.ZipFile(archive) as packed:
            yield [_zip_member(packed, info, archive) for info in packed.infolist() if not info.is_dir()]
        return
    with tarfile.open(archive) as tar:
        found: list[Member] = []
        total = 0
        for info in tar:
            if not info.isdir():
                found.append(_tar_member(tar, info, archive))
                total += info.size
                # While it is read: a packed tar has no list of its members, and going through it unpacks it.
                _check_total(archive, total, len(found))
        yield found


def _zip_member(packed: zipfile.ZipFile, info: zipfile.ZipInfo, archive: Path) -> Member:
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        raise _refused(archive, info.filename, "is no plain file")
    return Member(info.filename, info.file_size, lambda: packed.open(info))


def _tar_member(tar: tarfile.TarFile, info: tarfile.TarInfo, archive: Path) -> Member:
    if not info.isreg():
        raise _refused(archive, info.name, "is no plain file")
    return Member(info.name, info.size, lambda: _extracted(tar, info))


def _extracted(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    stream = tar.extractfile(info)
    assert stream is not None
    return stream


def _safe(member: Member, archive: Path) -> PurePosixPath:
    """A member's name as a path that stays where it is put."""
    name = member.name
    if "\\" in name or ":" in name or "\0" in name:
        raise _refused(archive, name, "has a name that is no relative path")
    return _inside(PurePosixPath(name), archive)


def _inside(path: PurePosixPath, archive: Path) -> PurePosixPath:
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise _refused(archive, str(path), "leads out of the folder")
    if any(len(part.encode()) > _LONGEST_NAME for part in path.parts):
        raise _refused(archive, str(path)[:80], "has too long a name")
    return path


def _refused(archive: Path, name: str, why: str) -> FetchError:
    return FetchError(f"{archive.name}: {name!r} {why}; nothing was unpacked, unpack it by hand if you trust it")


def _check_total(archive: Path, total: int, members: int) -> None:
    limit = max(SMALLEST_LIMIT, LARGEST_RATIO * archive.stat().st_size)
    if total > limit or members > MOST_MEMBERS:
        raise FetchError(
            f"{archive.name}: claims to unpack to {total:,} bytes in {members:,} files, more than {limit:,} bytes are "
            "not believed of an archive of this size; nothing was unpacked, unpack it by hand if you trust it"
        )


def _check_sizes(archive: Path, members: list[Member], folder: Path) -> None:
    total = sum(member.size for member in members)
    _check_total(archive, total, len(members))
    require_space(folder, total, f"unpacking {archive.name}")


def require_space(folder: Path, needed: int, purpose: str) -> None:
    """Refuse what the disk cannot hold, before anything is written.

    Raises:
        FetchError: fewer bytes are free than needed.
    """
    standing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(standing).free
    if needed > free:
        raise FetchError(
            f"{purpose} needs {needed / 1e9:.2f} GB and {folder} has {free / 1e9:.2f} GB free; make room, or choose "
            "another disk with --data"
        )


def _refuse_others(archive: Path, targets: list[tuple[Member, Path]]) -> None:
    if len({target for _, target in targets}) < len(targets):
        raise FetchError(f"{archive.name}: two of its files have the same name; unpack it by hand")
    for member, target in targets:
        if os.path.lexists(target) and (
            target.is_symlink() or not target.is_file() or target.stat().st_size != member.size
        ):
            raise FetchError(
                f"{target} stands there already and is another file; move it away and run the command again"
            )


def _write(member: Member, target: Path, archive: Path) -> None:
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name[:200]}.part")
    left = member.size
    try:
        with member.open() as source, part.open("wb") as sink:
            while chunk := source.read(_CHUNK):
                left -= len(chunk)
                if left < 0:
                    raise _refused(archive, member.name, "is larger than it says")
                sink.write(chunk)
        if left:
            raise FetchError(f"{archive.name}: {member.name!r} is cut off; delete the archive and fetch it again")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
