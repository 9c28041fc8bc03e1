"""Downloading one file so that an interruption loses nothing and half a file is never taken for a whole one."""

import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icecore_dagster.particles.published.record import TIMEOUT_S, FetchError, PublishedFile

if TYPE_CHECKING:
    import requests

log = logging.getLogger(__name__)

ATTEMPTS = 5
"""Times that a broken connection is taken up again without any progress in between."""

_CHUNK = 1 << 18
_WAIT_S = 1.0
_TRY_AGAIN_LATER = (429, 500, 502, 503, 504)


def download(file: PublishedFile, folder: Path, told: Callable[[int], None] = lambda _: None) -> Path:
    """Download a file into a folder, going on where an earlier attempt stopped, and hold it against its checksum.

    Until it is complete it stands there as `.<name>.<start of the checksum>.part`.

    Args:
        file: what to download.
        folder: where to; made if absent. A file that is there already with the right checksum is left.
        told: called with the number of bytes of each piece, and first with those that were there already.

    Returns:
        The complete, verified file.

    Raises:
        FetchError: the connection breaks again and again, the server refuses, or the checksum is another one.
    """
    import pooch

    pooch.get_logger().setLevel(logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / file.name
    algorithm, digest = file.checksum.split(":")
    if target.exists() and pooch.file_hash(str(target), algorithm) == digest:
        told(file.size)
        return target
    target.unlink(missing_ok=True)
    fetch = _Resuming(file, partial_path(file, folder), told)
    try:
        pooch.retrieve(file.url, known_hash=file.checksum, fname=file.name, path=str(folder), downloader=fetch)
    except ValueError as error:  # pooch's word for another checksum; it has thrown the file away
        raise FetchError(
            f"{file.name}: what {file.url} sent does not have the checksum {file.checksum} of the record and was "
            "thrown away; run the command again, and if this happens again, tell those who run that server"
        ) from error
    return target


def partial_path(file: PublishedFile, folder: Path) -> Path:
    """Where a file stands until it is complete; the part of another version of it has another name."""
    return folder / f".{file.name}.{file.checksum.split(':')[1][:12]}.part"


class _Resuming:
    """A downloader as pooch takes one: fills the partial file up, then hands it over whole."""

    def __init__(self, file: PublishedFile, part: Path, told: Callable[[int], None]) -> None:
        self._file, self._part, self._told = file, part, told

    def __call__(self, url: str, output_file: Any, pooch: Any) -> None:
        if size_of(self._part) > self._file.size:
            self._part.unlink()
        self._told(size_of(self._part))
        without_progress = 0
        while (had := size_of(self._part)) < self._file.size or not self._part.exists():
            trouble = self._go_on(url)
            without_progress = 0 if size_of(self._part) > had else without_progress + 1
            if trouble and without_progress >= ATTEMPTS:
                raise FetchError(
                    f"{self._file.name}: the connection broke after {had:,} of {self._file.size:,} bytes ({trouble}); "
                    "run the command again, it goes on where it stopped"
                )
            if trouble:
                log.info("%s: %s; going on from byte %d", self._file.name, trouble, size_of(self._part))
                time.sleep(_WAIT_S * without_progress)
        shutil.move(self._part, output_file)

    def _go_on(self, url: str) -> str:
        """Ask for the rest and write what comes; returns what went wrong, empty if nothing did."""
        import requests
        from urllib3.exceptions import HTTPError

        have = size_of(self._part)
        # Packed on the way, the bytes could not be counted.
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
        try:
            with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
                if response.status_code in _TRY_AGAIN_LATER:
                    return f"the server answers {response.status_code} {response.reason}"
                if response.status_code == 416:
                    self._part.unlink(missing_ok=True)
                    self._told(-have)
                    return "the server does not have the rest of what is here"
                if not response.ok:
                    raise FetchError(f"{url} answers {response.status_code} {response.reason}; try again later")
                self._write(response, have)
        except (requests.ConnectionError, requests.Timeout, HTTPError) as error:
            return str(error) or type(error).__name__
        return "" if size_of(self._part) >= self._file.size else "the server closed the connection early"

    def _write(self, response: "requests.Response", have: int) -> None:
        goes_on = response.status_code == 206 and _first_byte(response) == have
        if have and not goes_on:
            self._told(-have)  # a server that cannot go on sends everything again
        with self._part.open("ab" if goes_on else "wb") as stream:
            written = have if goes_on else 0
            # read1 gives what has come; a full read would lose the last piece when the connection breaks.
            while piece := response.raw.read1(_CHUNK, decode_content=False):
                stream.write(piece)
                self._told(len(piece))
                written += len(piece)
                if written > self._file.size:
                    stream.close()
                    self._part.unlink()
                    raise FetchError(
                        f"{self._file.name}: the server sends more than the {self._file.size:,} bytes that the record "
                        "states; name another server with --from"
                    )


def _first_byte(response: "requests.Response") -> int | None:
    """The place of the first byte that a partial answer holds (`Content-Range: bytes 100-199/200`)."""
    place = response.headers.get("Content-Range", "").removeprefix("bytes ").split("-")[0]
    return int(place) if place.isdigit() else None


def size_of(path: Path) -> int:
    """Bytes of a file; none if it is not there."""
    return path.stat().st_size if path.exists() else 0
