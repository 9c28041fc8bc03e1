"""What a Zenodo record says of its files. Asking the server is here; downloading is in `download`."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

log = logging.getLogger(__name__)

PUBLISHED_DOI = "10.5281/zenodo.7591282"
"""The labelled particles of Maffezzoli et al. 2023 and four raw ice-core tables."""

ZENODO = "https://zenodo.org"
TIMEOUT_S = 30.0

_DOI = re.compile(r"10\.\d{4,9}/zenodo\.(\d+)", re.IGNORECASE)
_CHECKSUM = re.compile(r"(?:(md5|sha1|sha256|sha512):)?([0-9a-f]+)", re.IGNORECASE)
_HEX_DIGITS = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}


class FetchError(RuntimeError):
    """The published data cannot be fetched; the message says why and what to do."""


@dataclass(frozen=True)
class PublishedFile:
    """One file of a record.

    Attributes:
        name: plain file name.
        url: where it is.
        size: bytes.
        checksum: algorithm and hexadecimal digest, such as `md5:9e107d9d...`.
    """

    name: str
    url: str
    size: int
    checksum: str


def record_url(doi: str, source: str = ZENODO) -> str:
    """Address of a record's description.

    Args:
        doi: such as 10.5281/zenodo.7591282, with or without https://doi.org/ before it.
        source: Zenodo, or a mirror with the same paths.

    Raises:
        FetchError: no Zenodo DOI, or no http(s) address.
    """
    match = _DOI.search(doi)
    if match is None:
        raise FetchError(f"{doi!r} is no Zenodo DOI; give one such as {PUBLISHED_DOI}")
    if urlsplit(source).scheme not in ("http", "https"):
        raise FetchError(f"{source!r} is no web address; give one that starts with https://")
    return f"{source.rstrip('/')}/api/records/{match.group(1)}"


def list_files(doi: str = PUBLISHED_DOI, source: str = ZENODO) -> list[PublishedFile]:
    """Ask which files a record has.

    Args:
        doi: of the record.
        source: Zenodo, or a mirror with the same paths.

    Raises:
        FetchError: the server cannot be reached or does not answer with a record.
    """
    import requests

    url = record_url(doi, source)
    try:
        response = requests.get(url, headers={"Accept": "application/json"}, timeout=TIMEOUT_S)
    except requests.RequestException as error:
        raise FetchError(
            f"{url} cannot be reached ({error}); check the connection, or name a mirror with --from"
        ) from error
    if not response.ok:
        raise FetchError(f"{url} answers {response.status_code} {response.reason}; check the DOI, or try again later")
    try:
        record = response.json()
    except ValueError as error:
        raise FetchError(f"{url} does not answer with JSON; is it a Zenodo record?") from error
    return files_of(record, url)


def files_of(record: Mapping[str, Any], url: str) -> list[PublishedFile]:
    """The files that a record's description names, in any of the forms that Zenodo has used.

    Until 2023 `files` is a list of {key, size, checksum, links}; the deposit form has filename and filesize instead;
    InvenioRDM has files.entries, a list or a mapping by name, of {key, size, checksum, links}.

    Args:
        record: the description.
        url: where it was read from; relative links start there.

    Raises:
        FetchError: there are no files, or one has no size or checksum, or a name that is no plain file name.
    """
    listed = record.get("files", record.get("entries"))
    if isinstance(listed, Mapping):
        listed = listed.get("entries", listed)
    if isinstance(listed, Mapping):
        listed = [{"key": name, **entry} for name, entry in listed.items() if isinstance(entry, Mapping)]
    if not isinstance(listed, list) or not listed:
        raise FetchError(f"{url} names no files; are the record's files public?")
    return [_file_of(entry, url) for entry in listed]


def _file_of(entry: Mapping[str, Any], url: str) -> PublishedFile:
    name = str(entry.get("key") or entry.get("filename") or "")
    if not name or name != PurePosixPath(name).name or name != PureWindowsPath(name).name or name.startswith("."):
        raise FetchError(f"{url}: {name!r} is no plain file name; download this record by hand")
    size = entry.get("size", entry.get("filesize"))
    checksum = _CHECKSUM.fullmatch(str(entry.get("checksum") or ""))
    if not isinstance(size, int | float) or size < 0 or checksum is None:
        raise FetchError(f"{url}: no size or checksum of {name}; download this record by hand")
    kind = checksum.group(1) or _HEX_DIGITS.get(len(checksum.group(2)))
    if kind is None:
        raise FetchError(f"{url}: the checksum of {name} is of no known kind; download this record by hand")
    links = entry.get("links") or {}
    # `self` describes the file where there is a `content` beside it, and is the file itself where there is none.
    link = links.get("content") or links.get("self") or links.get("download") or f"{url}/files/{quote(name)}/content"
    address = urljoin(f"{url}/", str(link))
    if urlsplit(address).scheme not in ("http", "https"):
        raise FetchError(f"{url}: {name} is not on the web ({address}); download this record by hand")
    return PublishedFile(name, address, int(size), f"{kind.lower()}:{checksum.group(2).lower()}")
