"""Image files: which of them a name may reach, how large they say they are, and their pixels as grey.

Sizes are judged from the header, before anything is decoded.
"""

import os
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path, PureWindowsPath
from typing import NamedTuple, cast

import cv2
import imagecodecs
import numpy as np
import tifffile

MAX_PIXELS = 64_000_000
"""Largest image that is decoded: 8000 x 8000, eight times the largest collage seen."""

IMAGE_SUFFIXES = (".png", ".tif", ".tiff")

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_HEAD = 33
_SAMPLES = (1, 3, 4)
_LONGEST_NAME = 255
_COPY_AGAIN = "copy it again from the instrument"


class ImageError(ValueError):
    """An image cannot be used.

    Attributes:
        reason: which file, and what is wrong with it.
        remedy: what the user can do.
    """

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason, remedy)
        self.reason, self.remedy = reason, remedy

    def __str__(self) -> str:
        return f"{self.reason}; {self.remedy}"


class UnsafeNameError(ValueError):
    """A file name leads out of the folder it was given for."""


class GreyWeights(NamedTuple):
    """Share of each colour in the grey value, in 1/16384: VisualSpreadsheet computes with whole numbers of 14 bits.

    grey = (red R + green G + blue B + 8192) >> 14. With these every Sum Intensity and Sigma Intensity of particles in
    one piece of two real colour runs comes out exactly; with fractions one in twenty is off.
    """

    red: int
    green: int
    blue: int


LUMINANCE = GreyWeights(4899, 9617, 1868)
"""ITU-R BT.601 (0.299, 0.587, 0.114), as VisualSpreadsheet up to version 3 computes Intensity."""

SWAPPED_LUMINANCE = GreyWeights(1868, 9617, 4899)
"""The same with red and blue exchanged, as VisualSpreadsheet 4 computes it."""


class SafeFolder:
    """A folder whose files are found by the names that a table gives them, and nothing outside of it.

    Args:
        folder: what names are relative to.
        within: folder that must not be left; `folder` itself if not given.
    """

    def __init__(self, folder: Path, within: Path | None = None) -> None:
        self.folder = folder.resolve()
        self._boundary = (within or folder).resolve()
        self._inside: dict[Path, bool] = {}
        self._by_lower_name: dict[str, Path] | None = None

    def find(self, name: str) -> Path | None:
        """The file of that name, or None if there is none.

        Args:
            name: a relative path, with slashes of either kind between its parts; upper and lower case need not match
                for a file that lies directly in the folder, because the lists come from Windows.

        Raises:
            UnsafeNameError: the name is absolute, has a drive or `..`, or passes a link that leads out.
        """
        given = PureWindowsPath(name)
        if given.drive or given.root or ".." in given.parts:
            raise UnsafeNameError(f"{name!r} leads out of the folder")
        if any(len(part.encode(errors="replace")) > _LONGEST_NAME for part in given.parts):
            return None
        path = self.folder.joinpath(*given.parts)
        if len(given.parts) == 1 and not path.is_file():
            path = self._listing().get(name.lower(), path)
        if not os.path.lexists(path):
            return None
        if not self._is_inside(path):
            raise UnsafeNameError(f"{name!r} lies outside of the folder")
        return path if path.is_file() else None

    def _listing(self) -> dict[str, Path]:
        if self._by_lower_name is None:
            self._by_lower_name = {entry.name.lower(): entry for entry in sorted(self.folder.iterdir())}
        return self._by_lower_name

    def _is_inside(self, path: Path) -> bool:
        if path.is_symlink():
            return path.resolve().is_relative_to(self._boundary)
        if path.parent not in self._inside:
            self._inside[path.parent] = path.parent.resolve().is_relative_to(self._boundary)
        return self._inside[path.parent]


def image_size(path: Path) -> tuple[int, int]:
    """Height and width (px) that an image's header states; nothing is decoded.

    Raises:
        ImageError: it is no 8-bit grey or colour PNG or TIFF, it is cut off, or it claims more than `MAX_PIXELS`.
    """
    if path.suffix.lower() == ".png":
        with path.open("rb") as stream:
            return _png_size(path, stream.read(_PNG_HEAD))
    return _tiff_size(path)


def verify_image(path: Path) -> tuple[int, int]:
    """Height and width (px) of an image, after decoding it once to see that this can be done.

    Raises:
        ImageError: as `image_size`, or its pixels cannot be decoded.
    """
    height, width = _pixels(path).shape[:2]
    return height, width


def read_grey(path: Path, weights: GreyWeights = LUMINANCE) -> np.ndarray:
    """An image as grey.

    Args:
        path: PNG or TIFF.
        weights: shares of red, green and blue; grey stored as colour (R = G = B) comes out the same with any.

    Returns:
        uint8 (h, w), 0-255.

    Raises:
        ImageError: as `image_size`, or its pixels cannot be decoded.
    """
    pixels = _pixels(path)
    if pixels.ndim == 2:
        return pixels
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return np.ascontiguousarray(red)
    grey = np.full(red.shape, 1 << 13, dtype=np.int32)
    for colour, weight in zip((red, green, blue), weights, strict=True):
        grey += np.int32(weight) * colour
    return (grey >> 14).astype(np.uint8)


def read_mask(path: Path) -> np.ndarray:
    """A mask image: True where it is not black, bool (h, w).

    Raises:
        ImageError: as `read_grey`.
    """
    return read_grey(path) > 0


def _pixels(path: Path) -> np.ndarray:
    """Grey uint8 (h, w), or uint8 (h, w, 3 or 4) with red first."""
    return _png_pixels(path) if path.suffix.lower() == ".png" else _tiff_pixels(path)


def _too_large(path: Path, height: int, width: int) -> ImageError:
    return ImageError(
        f"{path.name}: its header claims {width} x {height} pixels, more than {MAX_PIXELS:,} are not decoded",
        f"{_COPY_AGAIN}, or cut it into smaller images",
    )


def _png_size(path: Path, head: bytes) -> tuple[int, int]:
    if len(head) < _PNG_HEAD or not head.startswith(_PNG_SIGNATURE) or head[12:16] != b"IHDR":
        raise ImageError(f"{path.name}: empty, cut off or no PNG image", _COPY_AGAIN)
    width, height = struct.unpack(">II", head[16:24])
    if width * height > MAX_PIXELS:
        raise _too_large(path, height, width)
    if width * height == 0:
        raise ImageError(f"{path.name}: has no pixels", _COPY_AGAIN)
    if head[24] > 8:
        raise ImageError(f"{path.name}: {head[24]} bits a sample, 8 are expected", "save it as 8-bit grey")
    return height, width


def _png_pixels(path: Path) -> np.ndarray:
    """RGB or grey pixels; the checksums are verified first because decoders fill up what is missing."""
    if path.stat().st_size > 4 * MAX_PIXELS:
        raise ImageError(f"{path.name}: the file is larger than any image that is decoded", _COPY_AGAIN)
    data = path.read_bytes()
    _png_size(path, data[:_PNG_HEAD])
    _check_png_chunks(path, data)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None or pixels.dtype != np.uint8:
        raise ImageError(f"{path.name}: the pixels cannot be decoded", _COPY_AGAIN)
    return pixels if pixels.ndim == 2 else pixels[..., 2::-1]


def _check_png_chunks(path: Path, data: bytes) -> None:
    place = len(_PNG_SIGNATURE)
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        end = place + 8 + length
        if zlib.crc32(data[place + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            break
        if data[place + 4 : place + 8] == b"IEND":
            return
        place = end + 4
    raise ImageError(f"{path.name}: cut off or damaged after {place:,} of {len(data):,} bytes", _COPY_AGAIN)


def _tiff_size(path: Path) -> tuple[int, int]:
    try:
        with tifffile.TiffFile(path) as tiff:
            page = cast(tifffile.TiffPage, tiff.pages[0])
            height, width, samples = int(page.imagelength), int(page.imagewidth), int(page.samplesperpixel)
            plain = page.photometric in (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.RGB)
            plain &= page.bitspersample in (1, 8) and samples in _SAMPLES and int(page.imagedepth) == 1
            extents = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    except OSError:
        raise
    except Exception as error:  # a damaged header makes the parser fail in any way
        raise ImageError(f"{path.name}: empty, cut off or no TIFF image ({error})", _COPY_AGAIN) from error
    if height * width > MAX_PIXELS:
        raise _too_large(path, height, width)
    if height * width == 0:
        raise ImageError(f"{path.name}: has no pixels", _COPY_AGAIN)
    if not plain:
        raise ImageError(f"{path.name}: neither 8-bit grey nor RGB", "save it as 8-bit grey or RGB TIFF")
    size = path.stat().st_size
    if not extents or any(count <= 0 or offset + count > size for offset, count in extents):
        raise ImageError(f"{path.name}: cut off, its pixels end beyond its {size:,} bytes", _COPY_AGAIN)
    return height, width


def _tiff_pixels(path: Path) -> np.ndarray:
    """RGB or grey pixels, by libtiff, which is strict about damaged strips and twice as fast as `tifffile`."""
    size = image_size(path)
    data = path.read_bytes()
    try:
        pixels = np.asarray(imagecodecs.tiff_decode(data, index=0))
    except Exception as error:  # besides TiffError, a damaged directory makes the decoder fail in other ways
        raise ImageError(f"{path.name}: the pixels cannot be decoded ({error})", _COPY_AGAIN) from error
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * 255
    if pixels.dtype != np.uint8:
        raise ImageError(f"{path.name}: the pixels are {pixels.dtype}", "save it as 8-bit grey or RGB TIFF")
    if pixels.ndim == 3 and pixels.shape[1:] == size and pixels.shape[0] in _SAMPLES:
        pixels = np.moveaxis(pixels, 0, -1)  # one plane a colour
    if pixels.shape[:2] != size or pixels.ndim > 3:
        raise ImageError(f"{path.name}: the pixels do not have the size that its header states", _COPY_AGAIN)
    return pixels


def image_files(folder: Path) -> list[Path]:
    """The PNG and TIFF files directly in a folder, by name; hidden ones and links out of it are left out."""
    return sorted(path for path in visible_files(folder) if path.suffix.lower() in IMAGE_SUFFIXES)


def visible_files(folder: Path) -> Iterable[Path]:
    """The files directly in a folder, without hidden ones and links that lead out of it."""
    root = folder.resolve()
    with os.scandir(folder) as entries:
        for entry in entries:
            path = Path(entry.path)
            if entry.name.startswith(".") or not entry.is_file():
                continue
            if not entry.is_symlink() or path.resolve().is_relative_to(root):
                yield path
