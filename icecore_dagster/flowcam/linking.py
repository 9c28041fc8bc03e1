"""From the rows of a particle table to image files: which can be used, and which rows have to be refused."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath

import numpy as np
import pandas as pd

from icecore_dagster.flowcam.crops import Crops, Page
from icecore_dagster.flowcam.images import (
    IMAGE_SUFFIXES,
    GreyWeights,
    ImageError,
    SafeFolder,
    UnsafeNameError,
    verify_image,
)
from icecore_dagster.flowcam.problems import Problem

MISSING_NAMED = 100
"""Missing single images that are named one by one."""

_PARENTS_SEARCHED = 3
_INSIDE = "name files relative to the run's folder and inside of it"
_BOX = ("Image X", "Image Y", "Image Width", "Image Height")
_LARGEST_BOX = 2.0**31

Finder = Callable[[str], Path | None]


@dataclass(frozen=True)
class Linked:
    """Rows and their images.

    Attributes:
        crops: one entry a row, refused ones included.
        refused: row index -> (reason, remedy).
        problems: what was tolerated.
        missing: names of image and mask files that are absent.
    """

    crops: Crops
    refused: dict[int, tuple[str, str]]
    problems: list[Problem] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Look:
    """What a look at an image file showed: a page and its (height, width), a refusal, or nothing at all."""

    page: Page | None = None
    size: tuple[int, int] = (0, 0)
    refused: tuple[str, str] | None = None
    problem: Problem | None = None

    @property
    def absent(self) -> bool:
        return self.page is None and self.refused is None


def link_collages(rows: pd.DataFrame, folder: Path, weights: GreyWeights, *, masks_expected: bool) -> Linked:
    """Link rows to their rectangles in collages.

    A collage that is absent leaves its rows without an image; one that cannot be decoded, or a rectangle outside of
    it, refuses them.

    Args:
        rows: particle table with Image File and Image X, Y, Width, Height (px).
        folder: the run's folder, which no name may lead out of.
        weights: how colour becomes grey.
        masks_expected: whether an absent mask is worth mentioning.
    """
    page_of_row, names = pd.factorize(rows["Image File"].fillna("").astype(str))
    find = SafeFolder(folder).find
    looks = [_look(name, find) for name in names]
    boxes = rows[list(_BOX)].to_numpy(dtype=np.float64)
    linked = Linked(_crops(looks, page_of_row, boxes, weights), _refused_boxes(boxes, page_of_row, looks))
    _add_refusals(linked, looks, page_of_row)
    rows_of_page = np.bincount(page_of_row, minlength=len(names))
    for name, look, count in zip(names, looks, rows_of_page, strict=True):
        if look.absent:
            shown = name or "collage without a name"
            linked.missing.append(shown)
            message = f"the collage is missing, {count} of {len(rows)} particles have no image"
            remedy = "copy it from the instrument; until then its particles are kept without images"
            linked.problems.append(Problem(shown, None, message, remedy))
        elif masks_expected and look.page and look.page.mask is None and look.problem is None:
            linked.missing.append(_mask_name(Path(look.page.image)))
    return linked


def link_single_images(
    rows: pd.DataFrame, names: Sequence[str], find: Finder, weights: GreyWeights, table: str
) -> Linked:
    """Link rows to one image file each.

    An image that is absent leaves its row without an image; one that cannot be decoded refuses it, and so does a
    stated size of zero.

    Args:
        rows: particle table.
        names: (n,) file name of each row; empty where a row has none.
        find: gives the file of a name.
        weights: how colour becomes grey.
        table: name of the particle table, for messages.
    """
    page_of_row, unique = pd.factorize(np.asarray(names, dtype=object))
    looks = [_look(name, find) for name in unique]
    sizes = np.array([look.size for look in looks], dtype=np.float64).reshape(-1, 2)[page_of_row]
    boxes = np.column_stack([np.zeros_like(sizes), sizes[:, ::-1]])
    linked = Linked(_crops(looks, page_of_row, boxes, weights), {})
    _compare_sizes(rows, linked, table)
    _add_refusals(linked, looks, page_of_row)
    absent = [str(name) for name, look in zip(unique, looks, strict=True) if name and look.absent]
    if absent:
        linked.missing.extend(absent[:MISSING_NAMED])
        remedy = "put it where the table says; until then these particles are kept without images"
        linked.problems.append(
            Problem(table, None, f"{len(absent)} of {len(unique)} images are missing, first {absent[0]!r}", remedy)
        )
    return linked


def _compare_sizes(rows: pd.DataFrame, linked: Linked, table: str) -> None:
    if not {"Image Width", "Image Height"} <= set(rows):
        return
    stated = rows[["Image Width", "Image Height"]].to_numpy(dtype=np.float64)
    for i in np.flatnonzero((stated <= 0).any(axis=1)):
        reason = "zero-sized crop ({:.0f} x {:.0f} px)".format(*stated[i])
        linked.refused[int(i)] = (reason, "the particle has no image: leave it out of the table")
    has_page = linked.crops.page_of_row >= 0
    other = has_page & (stated > 0).all(axis=1) & (stated != linked.crops.boxes[:, 2:]).any(axis=1)
    if other.any():
        line = int(rows["Row"].to_numpy()[np.flatnonzero(other)[0]])
        message = f"{int(other.sum())} of {len(rows)} images are not as large as Image Width and Image Height state"
        linked.problems.append(Problem(table, line, message, "check that rows and images belong together"))


def dataset_finder(table: Path, folder: Path | None) -> Finder:
    """Finds images by names relative to a table's folder or one of its parents.

    An absolute name is that of the computer where the table was made: its last parts are looked for in the same places.

    Args:
        table: the particle table.
        folder: the run's folder, which must not be left; None if the table stands alone: then a name must stay inside
            the parent that it is relative to.
    """
    start = table.resolve().parent
    bases = [start, *start.parents[:_PARENTS_SEARCHED]]
    safe = [SafeFolder(base, within=folder) for base in bases if base != base.parent]

    def find_relative(name: str) -> Path | None:
        for place, base in enumerate(safe):
            path = base.find(name) if name else None
            if path is not None:
                safe.insert(0, safe.pop(place))  # the next image probably lies beside this one
                return path
        return None

    def find(name: str) -> Path | None:
        for ending in _endings(name):
            if (path := find_relative(ending)) is not None:
                return path
        return find_relative(name)

    return find


def _endings(name: str) -> list[str]:
    """What an absolute name, which is of another computer, may be called here: its last parts, the most first."""
    given = PureWindowsPath(name)
    if not (given.drive or given.root) or ".." in given.parts:
        return []
    parts = given.parts[1:][-_PARENTS_SEARCHED - 1 :]
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _look(name: str, find: Finder) -> _Look:
    if not name:
        return _Look()
    try:
        path = find(name)
        if path is None:
            return _Look()
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            return _Look(refused=(f"{name!r} is no PNG or TIFF", "name an image with the suffix .png, .tif or .tiff"))
        size = verify_image(path)
    except UnsafeNameError as error:
        return _Look(refused=(str(error), _INSIDE))
    except ImageError as error:
        return _Look(refused=(error.reason, error.remedy))
    mask, problem = _mask_of(path, size)
    return _Look(Page(str(path), str(mask) if mask else None), size, problem=problem)


def _mask_name(image: Path) -> str:
    return f"{image.stem}_bin{image.suffix}"


def _mask_of(image: Path, size: tuple[int, int]) -> tuple[Path | None, Problem | None]:
    path = image.with_name(_mask_name(image))
    if not path.is_file() or not path.resolve().is_relative_to(image.resolve().parent):
        return None, None
    try:
        height, width = verify_image(path)
        if (height, width) != size:
            message = f"the mask is {width} x {height} px, its image {size[1]} x {size[0]}"
            return None, Problem(path.name, None, message, "copy both again; the mask is not used")
    except ImageError as error:
        return None, Problem(path.name, None, error.reason, f"{error.remedy}; the mask is not used")
    return path, None


def _add_refusals(linked: Linked, looks: list[_Look], page_of_row: np.ndarray) -> None:
    refusing = {code for code, look in enumerate(looks) if look.refused}
    for i in np.flatnonzero(np.isin(page_of_row, list(refusing))) if refusing else []:
        reason = looks[page_of_row[i]].refused
        if reason:
            linked.refused[int(i)] = reason
    linked.problems.extend(look.problem for look in looks if look.problem)


def _crops(looks: list[_Look], page_of_row: np.ndarray, boxes: np.ndarray, weights: GreyWeights) -> Crops:
    pages = tuple(look.page for look in looks if look.page)
    place = np.full(len(looks) + 1, -1, dtype=np.int64)
    place[[code for code, look in enumerate(looks) if look.page]] = np.arange(len(pages))
    whole = np.clip(np.nan_to_num(boxes), -_LARGEST_BOX, _LARGEST_BOX).astype(np.int64)
    return Crops(pages, place[page_of_row], whole, weights)


def _refused_boxes(boxes: np.ndarray, page_of_row: np.ndarray, looks: list[_Look]) -> dict[int, tuple[str, str]]:
    """Rows whose rectangle is missing, empty, or outside of its collage."""
    sizes = np.array([look.size for look in looks], dtype=np.float64).reshape(-1, 2)[page_of_row]
    has_page = np.array([look.page is not None for look in looks], dtype=bool)[page_of_row]
    left, top, width, height = boxes.T
    unknown = np.isnan(boxes).any(axis=1)
    empty = (width <= 0) | (height <= 0)
    outside = (left < 0) | (top < 0)
    outside |= has_page & ((left + width > sizes[:, 1]) | (top + height > sizes[:, 0]))
    refused = {}
    for i in np.flatnonzero(unknown | empty | outside):
        box = "x {:.0f}, y {:.0f}, {:.0f} x {:.0f} px".format(*boxes[i])
        if unknown[i]:
            reason = "no crop rectangle (Image X, Y, Width, Height)"
        elif empty[i]:
            reason = f"zero-sized crop ({box})"
        else:
            reason = f"the crop ({box}) does not lie within its collage"
            reason += " ({:.0f} x {:.0f} px)".format(*sizes[i][::-1]) if has_page[i] else ""
        refused[int(i)] = (reason, "save the list and its collages again from VisualSpreadsheet")
    return refused
