"""The published dataset from its DOI into the laboratory's data folder. Nothing here runs unless somebody asks."""

import filecmp
import json
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from icecore_dagster.particles.labels import LABEL_KEYS
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.published.download import download, partial_path, size_of
from icecore_dagster.particles.published.record import PUBLISHED_DOI, ZENODO, FetchError, PublishedFile, list_files
from icecore_dagster.particles.published.unpack import is_archive, require_space, unpack
from icecore_dagster.particles.tables.store import atomic_file

_DONE = ".fetched.json"
"""In the folder of the dataset: checksum of every file of the record that has been unpacked there."""


@dataclass(frozen=True)
class Fetched:
    """What fetching did.

    Attributes:
        files: files of the record that are in place now.
        unpacked: files that came out of them in this run.
        tables: labelled tables (`<label>.csv`) that are there now.
    """

    files: tuple[str, ...]
    unpacked: int
    tables: tuple[Path, ...]


def fetch_published(
    lab: Laboratory,
    *,
    doi: str = PUBLISHED_DOI,
    source: str = ZENODO,
    only: Sequence[str] = (),
    keep_archives: bool = False,
    progress: bool = True,
) -> Fetched:
    """Download a record, verify it, and unpack it into `data/datasets`; run again, it goes on where it stopped.

    Args:
        lab: the laboratory.
        doi: of the record.
        source: Zenodo, or a mirror with the same paths.
        only: patterns (`*.zip`) of the files to fetch; all if empty.
        keep_archives: keep the archives in `data/scratch/published` after they were unpacked.
        progress: show progress bars.

    Raises:
        FetchError: the server, a checksum, an archive or the disk does not allow it; says what to do.
    """
    listed = list_files(doi, source)
    files = [file for file in listed if not only or any(fnmatch(file.name, pattern) for pattern in only)]
    if not files:
        raise FetchError(f"no file of {doi} is called {', '.join(only)}; there are {', '.join(f.name for f in listed)}")
    done = _done(lab)
    wanted = [file for file in files if done.get(file.name) != file.checksum]
    archives = lab.scratch / "published"
    require_space(archives, _bytes_to_come(wanted, archives), f"downloading {doi}")
    unpacked = 0
    with tqdm(
        total=sum(file.size for file in wanted), desc="downloading", unit="B", unit_scale=True, disable=not progress
    ) as bar:
        # One after the other, so that the disk never holds more than one archive beside what is unpacked.
        for file in wanted:
            path = download(file, archives, bar.update)
            unpacked += _put_in_place(lab, path, progress)
            done[file.name] = file.checksum
            _remember(lab, done)
            if not keep_archives:
                path.unlink(missing_ok=True)
    return Fetched(tuple(file.name for file in files), unpacked, _labelled_tables(lab))


def _put_in_place(lab: Laboratory, path: Path, progress: bool) -> int:
    """Unpack an archive below the data folder; any other file goes where the tables are."""
    if is_archive(path):
        with tqdm(desc=f"unpacking {path.name}", unit="B", unit_scale=True, disable=not progress) as bar:
            return unpack(path, lab.data, below_datasets, bar.update)
    target = lab.published / path.name
    if target.exists() and not filecmp.cmp(target, path, shallow=False):
        raise FetchError(f"{target} stands there already and is another file; move it away and run the command again")
    target.parent.mkdir(parents=True, exist_ok=True)
    path.replace(target)
    return 1


def below_datasets(name: PurePosixPath) -> PurePosixPath:
    """Where a member of an archive belongs below the data folder: from its folder `datasets` on, or inside of it."""
    parts = name.parts
    return (
        PurePosixPath(*parts[parts.index("datasets") :])
        if "datasets" in parts[:-1]
        else PurePosixPath("datasets", *parts)
    )


def _bytes_to_come(files: Sequence[PublishedFile], folder: Path) -> int:
    there = sum(size_of(partial_path(file, folder)) + size_of(folder / file.name) for file in files)
    return max(0, sum(file.size for file in files) - there)


def _labelled_tables(lab: Laboratory) -> tuple[Path, ...]:
    return tuple(table for key in LABEL_KEYS if (table := lab.published / f"{key}.csv").exists())


def _done(lab: Laboratory) -> dict[str, str]:
    path = lab.published / _DONE
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _remember(lab: Laboratory, done: dict[str, str]) -> None:
    with atomic_file(lab.published / _DONE) as path:
        path.write_text(json.dumps(done, indent=1), encoding="utf-8")
