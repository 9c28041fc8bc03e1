"""The labelled images on disk: native pixels and the network's input, memory-mapped.

Writing, opening and the one resize that training and scoring share belong here, with the one background that all
images are brought to. What is done to the grey values afterwards is in `transforms`.
"""

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np

from icecore_dagster.particles.segment import border_grey

NETWORK_INPUT_PX = 128
BACKGROUND_GREY = 134
"""Grey of empty water in every network's input, in the middle of published backgrounds (122-146)."""
FORMAT_VERSION = 2


class TensorFormatError(ValueError):
    """A folder does not hold the tensors that this version reads."""


def to_network_input(
    crop: np.ndarray, size_px: int = NETWORK_INPUT_PX, background_grey: float | None = None
) -> np.ndarray:
    """Squash one crop to the network's square input, and bring its background to `BACKGROUND_GREY`.

    Bilinear without smoothing beforehand, on 8-bit grey: the only resize in the product, so that a network scores
    pixels made exactly as those that it was trained on. The flash differs from run to run; a network that saw grey as
    it is would learn how bright each material's runs were, or take a grain of a bright run for a clear one.

    Args:
        crop: uint8 (h, w), grey 0-255.
        size_px: side of the square.
        background_grey: grey of empty water around the particle; None takes the median of the crop's border.

    Returns:
        uint8 (size_px, size_px): grey times `BACKGROUND_GREY` / background, cut off at 255.

    Raises:
        ValueError: the crop is not a grey 8-bit image with at least one pixel.
    """
    if crop.ndim != 2 or crop.dtype != np.uint8 or crop.size == 0:
        raise ValueError(f"a crop must be a non-empty uint8 (h, w) array, not {crop.dtype} {crop.shape}")
    squashed = cv2.resize(crop, (size_px, size_px), interpolation=cv2.INTER_LINEAR)
    background = max(border_grey(crop) if background_grey is None else background_grey, 1.0)
    return np.asarray(cv2.convertScaleAbs(squashed, alpha=BACKGROUND_GREY / background), np.uint8)


@dataclass(frozen=True)
class TensorSet:
    """Images of labelled particles, opened without being read.

    Attributes:
        images: uint8 (n, size, size) memory map, the network's input.
        particle_ids: str (n,).
        pixels: uint8 (total,) memory map, native pixels one crop after the other.
        shapes: int32 (n, 2), height and width of each native crop.
        offsets: int64 (n,), where each crop starts in `pixels`.
        source: version of the particles that the crops are of.
    """

    images: np.ndarray
    particle_ids: np.ndarray
    pixels: np.ndarray
    shapes: np.ndarray
    offsets: np.ndarray
    source: str = ""

    def __len__(self) -> int:
        return len(self.particle_ids)

    def native(self, i: int) -> np.ndarray:
        """The crop of particle `i` as it was imaged: uint8 (h, w)."""
        height, width = (int(side) for side in self.shapes[i])
        start = int(self.offsets[i])
        return np.asarray(self.pixels[start : start + height * width]).reshape(height, width)


def write_tensors(
    folder: Path,
    crops: Iterable[np.ndarray],
    particle_ids: Sequence[str],
    size_px: int = NETWORK_INPUT_PX,
    source: str = "",
) -> None:
    """Write crops as memory-mappable arrays; an existing folder is replaced only once everything is written.

    One crop is in memory at a time.

    Args:
        folder: where to write; its parent is created.
        crops: uint8 (h, w) each, in the order of `particle_ids`.
        particle_ids: one name a crop, none twice.
        size_px: side of the network's input.
        source: version of the particles that the crops are of; kept with them.

    Raises:
        ValueError: no particles, a name twice, fewer or more crops than names, or a crop that is not uint8 (h, w).
    """
    ids = np.asarray(particle_ids, dtype=np.str_)
    if len(ids) == 0:
        raise ValueError("no particles to write: the labelled set is empty")
    if len(np.unique(ids)) != len(ids):
        raise ValueError(f"{len(ids) - len(np.unique(ids))} particle ids occur twice; each needs its own")
    with _built_beside(Path(folder)) as partial:
        shapes = _write_images(partial, crops, ids, size_px)
        np.save(partial / "shapes.npy", shapes)
        np.save(partial / "particle_ids.npy", ids)
        (partial / "tensors.json").write_text(
            json.dumps({"format_version": FORMAT_VERSION, "size_px": size_px, "source": source})
        )


def open_tensors(folder: Path) -> TensorSet:
    """Open what `write_tensors` wrote; pixels are read from disk as they are asked for.

    Raises:
        FileNotFoundError: nothing was written there.
        TensorFormatError: written by another version.
    """
    folder = Path(folder)
    head = folder / "tensors.json"
    if not head.exists():
        raise FileNotFoundError(f"no tensors in {folder}: write them first (asset synthetic_tensors)")
    facts = json.loads(head.read_text())
    version = facts.get("format_version")
    if version != FORMAT_VERSION:
        raise TensorFormatError(
            f"{head}: format {version}, this version reads {FORMAT_VERSION}; write the tensors again"
        )
    shapes = np.load(folder / "shapes.npy")
    sizes = shapes.astype(np.int64).prod(axis=1)
    return TensorSet(
        source=facts.get("source", ""),
        images=np.load(folder / "images.npy", mmap_mode="r"),
        particle_ids=np.load(folder / "particle_ids.npy"),
        pixels=np.load(folder / "pixels.npy", mmap_mode="r"),
        shapes=shapes,
        offsets=np.cumsum(sizes) - sizes,
    )


def _write_images(folder: Path, crops: Iterable[np.ndarray], ids: np.ndarray, size_px: int) -> np.ndarray:
    images = np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, (len(ids), size_px, size_px))
    shapes = np.zeros((len(ids), 2), dtype=np.int32)
    written = 0
    with _growing_npy(folder / "pixels.npy") as pixels:
        for crop in crops:
            if written == len(ids):
                raise ValueError(f"more crops than the {len(ids)} particle ids")
            try:
                images[written] = to_network_input(crop, size_px)
            except ValueError as error:
                raise ValueError(f"particle {ids[written]}: {error}") from error
            pixels.write(np.ascontiguousarray(crop).data)
            shapes[written] = crop.shape
            written += 1
    if written < len(ids):
        raise ValueError(f"{written} crops for {len(ids)} particle ids: {ids[written]} is the first without an image")
    images.flush()
    return shapes


@contextmanager
def _growing_npy(path: Path) -> Iterator[BinaryIO]:
    """A uint8 .npy file whose length is known only at the end; numpy pads the header so that it can be rewritten."""

    def write_header(file: BinaryIO, length: int) -> None:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (length,)})

    with path.open("wb") as file:
        write_header(file, 0)
        start = file.tell()
        yield file
        length = file.tell() - start
        file.seek(0)
        write_header(file, length)
        if file.tell() != start:
            raise RuntimeError(f"{path}: numpy no longer pads .npy headers; the pixels written are unusable")


@contextmanager
def _built_beside(folder: Path) -> Iterator[Path]:
    """A hidden sibling that takes the folder's place if nothing goes wrong, and vanishes if something does."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    workshop = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        partial = workshop / "new"
        partial.mkdir()
        yield partial
        _exchange(partial, folder, workshop / "old")
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def _exchange(new: Path, folder: Path, old: Path) -> None:
    if folder.exists():
        folder.rename(old)
    try:
        new.rename(folder)
    except BaseException:
        if old.exists():
            old.rename(folder)
        raise
