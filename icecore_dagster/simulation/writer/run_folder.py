"""A run folder as VisualSpreadsheet 4 leaves it: list, export, texts, collages with masks, background.

Particles are added one at a time; one collage is held in memory. Nothing here knows what a particle is.
"""

import csv
import uuid
from datetime import timedelta
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from icecore_dagster.simulation.instrument import FRAME_HEIGHT_PX, FRAME_WIDTH_PX, Camera, Capture
from icecore_dagster.simulation.plans import FRAMES_PER_S, RunPlan
from icecore_dagster.simulation.writer.tables import (
    EXPORT_COLUMNS,
    Entry,
    export_row,
    flowcam_properties,
    list_header,
    list_row,
)
from icecore_dagster.simulation.writer.texts import RunFigures, Statistics, context, run_summary, statistics_table

_GAP_PX = 2
"""Black between crops of a collage, as in published ones."""
_HORIZONTAL_DIFFERENCES = 2
"""TIFF 6.0, section 14."""


class RunWriter:
    """Writes one run into an empty folder; use it in a `with` block, which completes the folder."""

    def __init__(self, folder: Path, plan: RunPlan, camera: Camera, rng: np.random.Generator) -> None:
        """Open the folder's files.

        Args:
            folder: an existing empty folder, whatever its name.
            plan: the run; its name is the name in the files.
            camera: how it was seen.
            rng: source of frame numbers and unique names.
        """
        self._folder, self._plan, self._camera, self._rng = folder, plan, camera, rng
        self._frames = np.sort(rng.integers(1, plan.frames + 1, plan.particles))
        self._list = (folder / f"{plan.name}.lst").open("w", encoding="ascii", newline="\n")
        self._export_file = (folder / f"{plan.name}.csv").open("w", encoding="ascii", newline="")
        self._export = csv.writer(self._export_file, lineterminator="\r\n")
        self._list.write(list_header())
        self._export.writerow(EXPORT_COLUMNS)
        self._statistics = Statistics()
        self._collage = _Collage(f"{plan.name}_000001.tif")
        self._collages = 1

    def __enter__(self) -> "RunWriter":
        """The writer."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Complete the folder, unless an error is on its way out."""
        if kind is None:
            self._collage.save(self._folder)
            _write_tiff(self._folder / "cal_image_000001.tif", self._camera.calibration_image)
            self._write_texts()
        self._list.close()
        self._export_file.close()

    def add(self, capture: Capture) -> int:
        """Add a particle.

        Args:
            capture: what the camera found.

        Returns:
            The particle's number, from 1.
        """
        box = self._collage.place(capture)
        if box is None:
            self._collage.save(self._folder)
            self._collages += 1
            self._collage = _Collage(f"{self._plan.name}_{self._collages:06d}.tif")
            box = self._collage.place(capture)
        assert box is not None, "a crop is never larger than a frame, and a collage is as large as a frame"
        frame = int(self._frames[self._statistics.count])
        elapsed_s = frame / FRAMES_PER_S
        entry = Entry(
            number=self._statistics.count + 1,
            measured=capture.measured,
            image_box_px=box,
            capture_px=(capture.x_px, capture.y_px),
            frame=frame,
            elapsed_s=elapsed_s,
            seen_at=self._plan.started_at + timedelta(seconds=elapsed_s),
            collage=self._collage.name,
            image_id=str(uuid.UUID(bytes=self._rng.bytes(16), version=4)).upper(),
        )
        named = flowcam_properties(entry)
        self._list.write(list_row(entry, named) + "\n")
        self._export.writerow(export_row(entry, named))
        self._statistics.add(named)
        return entry.number

    def _write_texts(self) -> None:
        name = self._plan.name
        figures = RunFigures(
            plan=self._plan,
            conditions=self._camera.conditions,
            particles=self._statistics.count,
            frames_used=len(np.unique(self._frames)),
            background_grey=float(self._camera.calibration_image.mean()),
        )
        _write_crlf(self._folder / f"{name}.ctx", context(figures))
        _write_crlf(self._folder / f"{name}_run_summary.txt", run_summary(figures))
        _write_crlf(self._folder / f"{name}_summary.csv", statistics_table(figures, self._statistics))


class _Collage:
    """A frame-sized picture that crops are put on in rows, and the picture of their masks."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._picture = np.zeros((FRAME_HEIGHT_PX, FRAME_WIDTH_PX), np.uint8)
        self._mask = np.zeros((FRAME_HEIGHT_PX, FRAME_WIDTH_PX), np.uint8)
        self._left = self._top = self._row_height = 0

    def place(self, capture: Capture) -> tuple[int, int, int, int] | None:
        """Put a crop on the current row or on the next; x, y, width, height, or None if there is no room left."""
        height, width = capture.crop.shape
        if self._left + width > FRAME_WIDTH_PX:
            self._left, self._top, self._row_height = 0, self._top + self._row_height + _GAP_PX, 0
        if self._top + height > FRAME_HEIGHT_PX:
            return None
        x, y = self._left, self._top
        self._picture[y : y + height, x : x + width] = capture.crop
        self._mask[y : y + height, x : x + width] = capture.mask * np.uint8(255)
        self._left += width + _GAP_PX
        self._row_height = max(self._row_height, height)
        return x, y, width, height

    def save(self, folder: Path) -> None:
        """Write the collage, RGB though it is grey, and its mask."""
        _write_tiff(folder / self.name, np.asarray(cv2.cvtColor(self._picture, cv2.COLOR_GRAY2RGB), np.uint8))
        _write_tiff(folder / self.name.replace(".tif", "_bin.tif"), self._mask)


def _write_crlf(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="ascii", newline="\r\n")


def _write_tiff(path: Path, image: NDArray[np.uint8]) -> None:
    """One page, LZW with horizontal differences; no software and no date in it, so equal pictures are equal bytes."""
    tags = {TiffImagePlugin.PREDICTOR: _HORIZONTAL_DIFFERENCES}
    Image.fromarray(image).save(path, "TIFF", compression="tiff_lzw", dpi=(1, 1), tiffinfo=tags)
