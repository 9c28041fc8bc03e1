"""The camera: background, shading, noise, and how the instrument finds a particle in a frame and cuts it out."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from icecore_dagster.particles.measure import FRINGE_PX, RawMeasurement, measure_raw
from icecore_dagster.simulation.optics import Optics
from icecore_dagster.simulation.shapes.raster import PIXEL_UM

FRAME_WIDTH_PX, FRAME_HEIGHT_PX = 1280, 960
"""Camera of the VS series, from the largest capture positions in published lists."""
BORDER_PX = 4
"""Padding that the instrument leaves around a particle (published lists: 2-6, mostly 4)."""
FLOW_CELL_DEPTH_UM = 80.0
"""FC80, from the file names of the study."""
_NOISE_SIZE_PX = 768
_CUT_SHARE = 0.2
"""Share of the particles at the frame's edge that are kept, cut (they occur in published panels, but seldom)."""
_SPECK_AREA_PX = 6
"""Parts smaller than this are noise, not members of a chain (plausible)."""
_BACKGROUNDS_GREY, _BACKGROUND_SHARES = (127, 133, 142), (0.7, 0.15, 0.15)
"""Greys of empty water in published crops of the laboratory: 127 on the days of dust and both tephras, which are 78 %
of the study's particles, 133 on that of hazel, 141 and 142 on that of the oaks."""
_CLOSING_KERNEL = np.ones((3, 3), np.uint8)


@dataclass(frozen=True)
class Conditions:
    """How the instrument stood during one run.

    Attributes:
        background_grey: mean grey of empty water (published crops: 126-145).
        shading_grey: strength of the slow brightness pattern over the frame (published crops differ by 5-15 grey from
            corner to corner).
        noise_grey: standard deviation of the camera's noise from pixel to pixel.
        cloudiness_grey: standard deviation of the weak structure that moves with the water; with the noise it gives
            the 1.7-4.5 of published crop borders.
        flicker: relative standard deviation of the flash from frame to frame.
        focus_offset_um: where the plane of focus lies relative to the middle of the particles.
        focus_spread_um: standard deviation of the particles' depth.
        threshold_dark: grey levels below the calibration image that make a pixel dark (10-25 in published contexts).
        threshold_light: grey levels above it that make a pixel light.
        close_iterations: rounds of closing small gaps.
        neighbour_um: parts nearer than this belong to one particle.
        smallest_esd_um: particles of smaller corrected diameter are not kept.
        optics: the light path.
    """

    background_grey: float
    shading_grey: float
    noise_grey: float
    cloudiness_grey: float
    flicker: float
    focus_offset_um: float
    focus_spread_um: float
    threshold_dark: int
    threshold_light: int
    close_iterations: int
    neighbour_um: float
    smallest_esd_um: float
    optics: Optics


def draw_conditions(rng: np.random.Generator) -> Conditions:
    """Conditions of a run, alike for every material so that no class can be told by its background alone."""
    return Conditions(
        background_grey=float(rng.choice(_BACKGROUNDS_GREY, p=_BACKGROUND_SHARES)) + rng.normal(0, 2.0),
        shading_grey=rng.uniform(2, 7),
        noise_grey=rng.uniform(0.7, 1.4),
        cloudiness_grey=rng.uniform(0.4, 1.6),
        flicker=rng.uniform(0.002, 0.008),
        focus_offset_um=rng.normal(0, 2.0),
        focus_spread_um=rng.uniform(6, 11),
        threshold_dark=int(rng.integers(14, 19)),
        threshold_light=int(rng.integers(14, 19)),
        close_iterations=int(rng.integers(1, 4)),
        neighbour_um=float(rng.integers(0, 4)),
        smallest_esd_um=1.5,
        optics=Optics(
            objective_na=rng.uniform(0.28, 0.35),
            condenser_na=rng.uniform(0.11, 0.20),
            camera_blur_px=rng.uniform(1.2, 1.8),
            halo=rng.uniform(0.12, 0.26),
            halo_px=rng.uniform(8, 16),
            flare=rng.uniform(0.08, 0.22),
        ),
    )


@dataclass(frozen=True)
class Capture:
    """A particle that the instrument found.

    Attributes:
        crop: (h, w) uint8, the picture.
        mask: (h, w) bool, the particle.
        measured: the mask and the crop in pixels and greys.
        x_px: column of the crop's left edge in the frame.
        y_px: row of the crop's top edge in the frame.
    """

    crop: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    measured: RawMeasurement
    x_px: int
    y_px: int


class Camera:
    """One run's camera: its background and its noise, drawn once."""

    def __init__(self, conditions: Conditions, rng: np.random.Generator) -> None:
        """Draw the background and a store of noise to cut from.

        Args:
            conditions: how the instrument stood.
            rng: source of randomness.
        """
        self.conditions = conditions
        self._background = _background(conditions, rng)
        self.calibration_image = np.round(self._background).astype(np.uint8)
        self._noise = _noise(conditions, rng)

    def capture(self, intensity: NDArray[np.float32], rng: np.random.Generator) -> Capture | None:
        """Photograph a particle somewhere in the frame and look for it.

        Args:
            intensity: (n, n) float32, light relative to empty water.
            rng: source of randomness.

        Returns:
            What was found, or None where nothing stands out, or only less than the smallest particle wanted.
        """
        # Around the drawn square there is more water, so that every crop can have its border.
        n = intensity.shape[0] + 2 * BORDER_PX
        water = np.ones((n, n), np.float32)
        water[BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX] = intensity
        left, top = self._place(n, rng)
        x0, y0 = max(left, 0), max(top, 0)
        x1, y1 = min(left + n, FRAME_WIDTH_PX), min(top + n, FRAME_HEIGHT_PX)
        seen = water[y0 - top : y1 - top, x0 - left : x1 - left]
        noise_x, noise_y = rng.integers(0, _NOISE_SIZE_PX - n, 2)
        picture = seen * self._background[y0:y1, x0:x1]
        picture *= np.float32(1 + rng.normal(0, self.conditions.flicker))
        picture += self._noise[noise_y : noise_y + y1 - y0, noise_x : noise_x + x1 - x0]
        picture += np.float32(0.5)
        grey = np.clip(picture, 0, 255).astype(np.uint8)
        mask = self._find(grey, self.calibration_image[y0:y1, x0:x1])
        if mask is None:
            return None
        rows, columns = _span(mask.any(axis=1)), _span(mask.any(axis=0))
        box = np.s_[
            max(rows[0] - BORDER_PX, 0) : rows[1] + BORDER_PX, max(columns[0] - BORDER_PX, 0) : columns[1] + BORDER_PX
        ]
        crop, mask = np.ascontiguousarray(grey[box]), np.ascontiguousarray(mask[box])
        x_px, y_px = x0 + box[1].start, y0 + box[0].start
        measured = measure_raw(crop, mask, x_px, y_px)
        if corrected_um(measured.feret_mean_px) < self.conditions.smallest_esd_um:
            return None
        return Capture(crop, mask, measured, x_px, y_px)

    @staticmethod
    def _place(n: int, rng: np.random.Generator) -> tuple[int, int]:
        """Left and top of a picture in the frame; most of those that the frame's edge would cut are placed again."""
        for _ in range(20):
            left = round(rng.uniform(0, FRAME_WIDTH_PX) - n / 2)
            top = round(rng.uniform(0, FRAME_HEIGHT_PX) - n / 2)
            cut = left < 0 or top < 0 or left + n > FRAME_WIDTH_PX or top + n > FRAME_HEIGHT_PX
            if not cut or rng.random() < _CUT_SHARE:
                break
        return left, top

    def _find(self, grey: NDArray[np.uint8], calibration: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
        """The largest group of pixels that differ from the calibration image by more than the thresholds."""
        conditions = self.conditions
        darker, lighter = cv2.subtract(calibration, grey), cv2.subtract(grey, calibration)
        found = ((darker > conditions.threshold_dark) | (lighter > conditions.threshold_light)).view(np.uint8)
        if not found.any():
            return None
        padded = np.pad(found, conditions.close_iterations)
        inner = slice(conditions.close_iterations, -conditions.close_iterations)
        closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, _CLOSING_KERNEL, iterations=conditions.close_iterations)
        found = np.asarray(closed, np.uint8)[inner, inner]
        count, parts, stats, _ = cv2.connectedComponentsWithStats(found, connectivity=8)
        if count > 2:
            found = self._largest_group(np.asarray(parts, np.int32), np.asarray(stats[:, cv2.CC_STAT_AREA], np.int32))
        return found.astype(bool)

    def _largest_group(self, parts: NDArray[np.int32], areas_px: NDArray[np.int32]) -> NDArray[np.uint8]:
        """The largest part together with those that lie within the neighbour distance of it."""
        main = 1 + int(np.argmax(areas_px[1:]))
        reach = round(self.conditions.neighbour_um / PIXEL_UM)
        keep = [main]
        if reach > 0:
            around = cv2.dilate((parts == main).view(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
            near = np.unique(parts[around > 0])
            keep += [int(p) for p in near if p not in (0, main) and areas_px[p] >= _SPECK_AREA_PX]
        return np.isin(parts, keep).astype(np.uint8)


def corrected_um(size_px: float) -> float:
    """A length of the picture in um, less the fringe that VisualSpreadsheet takes off (measured on published lists)."""
    return PIXEL_UM * max(size_px - FRINGE_PX, size_px / 2)


def _background(conditions: Conditions, rng: np.random.Generator) -> NDArray[np.float32]:
    """Mean picture of empty water: a tilt, a bowl, and a slow pattern."""
    x = np.linspace(-1, 1, FRAME_WIDTH_PX, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, FRAME_HEIGHT_PX, dtype=np.float32)[:, None]
    tilt_x, tilt_y, bowl = rng.normal(0, 0.6, 3).astype(np.float32)
    slow = cv2.resize(
        rng.standard_normal((6, 8), dtype=np.float32),
        (FRAME_WIDTH_PX, FRAME_HEIGHT_PX),
        interpolation=cv2.INTER_CUBIC,
    )
    across = tilt_x * x - abs(bowl) * x**2
    down = tilt_y * y - abs(bowl) * (y**2 - np.float32(2 / 3))
    shading = np.float32(conditions.shading_grey)
    background = np.float32(0.4) * shading * slow
    background += shading * across
    background += shading * down + np.float32(conditions.background_grey)
    return background


def _noise(conditions: Conditions, rng: np.random.Generator) -> NDArray[np.float32]:
    """A square of camera noise to cut pieces from; neighbouring pixels share about half, as in published crops."""
    white = rng.standard_normal((_NOISE_SIZE_PX, _NOISE_SIZE_PX), dtype=np.float32)
    fine = np.asarray(cv2.GaussianBlur(white, (0, 0), 0.6), np.float32)
    clouds = cv2.resize(
        rng.standard_normal((_NOISE_SIZE_PX // 12, _NOISE_SIZE_PX // 12), dtype=np.float32),
        (_NOISE_SIZE_PX, _NOISE_SIZE_PX),
        interpolation=cv2.INTER_CUBIC,
    )
    noise = fine * np.float32(conditions.noise_grey / fine.std())
    return noise + clouds * np.float32(conditions.cloudiness_grey / clouds.std())


def _span(occupied: Any) -> tuple[int, int]:
    """First and one past the last True of a row of bools."""
    return int(occupied.argmax()), len(occupied) - int(occupied[::-1].argmax())
