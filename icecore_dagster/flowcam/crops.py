"""The images of a run's particles: where each lies, and cutting them out when they are asked for."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from icecore_dagster.flowcam.images import GreyWeights, ImageError, read_grey, read_mask

_CACHED_IMAGES = 2
"""Decoded pages kept for looking at single particles: a collage and its mask."""


@dataclass(frozen=True, slots=True)
class Page:
    """One image file that shows one particle (a crop) or many (a collage).

    Attributes:
        image: path of the file; text, because a run may have a million of them.
        mask: path of its mask, of the same size, if there is one.
    """

    image: str
    mask: str | None


@dataclass(frozen=True)
class Crops:
    """Where the image of every particle lies.

    Attributes:
        pages: the image files, in the order in which the particles name them.
        page_of_row: (n,) int64, index into `pages`; -1 where a particle has no image.
        boxes: (n, 4) int64, left, top, width, height (px) within the page, known to lie inside of it.
        weights: how colour becomes grey.
    """

    pages: tuple[Page, ...]
    page_of_row: np.ndarray
    boxes: np.ndarray
    weights: GreyWeights
    _decoded: OrderedDict[str, np.ndarray] = field(default_factory=OrderedDict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.page_of_row)

    def take(self, rows: np.ndarray) -> "Crops":
        """The same for some of the particles, by index or mask."""
        return Crops(self.pages, self.page_of_row[rows], self.boxes[rows], self.weights)

    def crop(self, i: int) -> np.ndarray | None:
        """Grey image of particle i, uint8 (h, w), or None if it has none."""
        page = self._page(i)
        return None if page is None else self._cut(self._cached(page.image, self._grey), i)

    def mask(self, i: int) -> np.ndarray | None:
        """Which pixels belong to particle i, bool (h, w), or None if that is not known."""
        page = self._page(i)
        return None if page is None or page.mask is None else self._cut(self._cached(page.mask, _mask), i)

    def __iter__(self) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
        """(i, crop, mask) of every particle that has an image, page by page, each page decoded once."""
        order = np.argsort(self.page_of_row, kind="stable")
        order = order[self.page_of_row[order] >= 0]
        starts = np.flatnonzero(np.diff(self.page_of_row[order], prepend=-1))
        for rows in np.split(order, starts[1:]) if len(order) else []:
            page = self.pages[self.page_of_row[rows[0]]]
            grey = self._grey(page.image)
            mask = None if page.mask is None else _mask(page.mask)
            for i in rows.tolist():
                yield i, self._cut(grey, i), None if mask is None else self._cut(mask, i)

    def _page(self, i: int) -> Page | None:
        page = int(self.page_of_row[i])
        return None if page < 0 else self.pages[page]

    def _grey(self, path: str) -> np.ndarray:
        return read_grey(Path(path), self.weights)

    def _cut(self, image: np.ndarray, i: int) -> np.ndarray:
        left, top, width, height = self.boxes[i]
        crop = image[top : top + height, left : left + width].copy()
        if crop.shape != (height, width):
            name = Path(self.pages[self.page_of_row[i]].image).name
            raise ImageError(f"{name}: it has changed since the run was read", "read the run again")
        return crop

    def _cached(self, path: str, decode: Callable[[str], np.ndarray]) -> np.ndarray:
        if path not in self._decoded:
            self._decoded[path] = decode(path)
            while len(self._decoded) > _CACHED_IMAGES:
                self._decoded.popitem(last=False)
        self._decoded.move_to_end(path)
        return self._decoded[path]


def _mask(path: str) -> np.ndarray:
    return read_mask(Path(path))
