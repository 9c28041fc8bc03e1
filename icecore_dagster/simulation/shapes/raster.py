"""Drawing tools that every material shares: grids, filled outlines, rounded edges, grain; no material lives here."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

PIXEL_UM = 0.277
"""Size of a camera pixel in the sample at 20x: half the published 0.5545 um/px of the same camera at 10x."""
GRID_SIZES_PX = (32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512, 640)
"""Squares that particles are drawn on: few enough to be batched, with only small prime factors for the FFT."""
LONGEST_UM = GRID_SIZES_PX[-1] * PIXEL_UM - 26
"""Longest body that the largest square holds with the water that the most defocused one needs on both sides."""

Image = NDArray[np.float32]
_SUBPIXEL_BITS = 4


@dataclass(frozen=True)
class Specimen:
    """A particle as light meets it.

    Attributes:
        opd_um: (n, n) float32, optical path difference to water, um.
        absorbance: (n, n) float32, natural logarithm of the intensity lost.
        kind: the form within its material, such as "platy shard".
    """

    opd_um: Image
    absorbance: Image
    kind: str


@dataclass(frozen=True)
class Canvas:
    """A square of n x n pixels to draw on; lengths in um, the origin in its middle."""

    n: int

    def grid_um(self) -> tuple[Image, Image]:
        """Coordinates x, y (n, n) of the pixel centres, um."""
        axis = ((np.arange(self.n) - (self.n - 1) / 2) * PIXEL_UM).astype(np.float32)
        return np.broadcast_to(axis[None, :], (self.n, self.n)), np.broadcast_to(axis[:, None], (self.n, self.n))

    def axes_um(self, angle_rad: float) -> tuple[Image, Image]:
        """Coordinates (n, n) along and across a direction, um."""
        x, y = self.grid_um()
        cos, sin = np.float32(np.cos(angle_rad)), np.float32(np.sin(angle_rad))
        return cos * x + sin * y, cos * y - sin * x

    def fill(self, *outlines_um: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Mask (n, n) uint8 0/1 of the pixels within any of the outlines (m, 2), um."""
        mask = np.zeros((self.n, self.n), np.uint8)
        for outline in outlines_um:
            cv2.fillPoly(mask, [self._to_fixed_point(outline)], 1, cv2.LINE_8, _SUBPIXEL_BITS)
        return mask

    def stroke(self, path_um: NDArray[np.float64], width_um: float) -> NDArray[np.uint8]:
        """Mask (n, n) uint8 0/1 of an open line (m, 2) of the given width, um."""
        mask = np.zeros((self.n, self.n), np.uint8)
        thickness = max(1, round(width_um / PIXEL_UM))
        cv2.polylines(mask, [self._to_fixed_point(path_um)], False, 1, thickness, cv2.LINE_8, _SUBPIXEL_BITS)
        return mask

    def depth_inside(self, mask: NDArray[np.uint8]) -> Image:
        """Distance (n, n) of each inner pixel to the mask's edge, um; 0 outside."""
        to_edge = np.asarray(cv2.distanceTransform(mask, cv2.DIST_L2, 5), np.float32)
        return np.maximum(to_edge - np.float32(0.5), 0) * np.float32(PIXEL_UM)

    def grain(self, rng: np.random.Generator, size_um: float) -> Image:
        """Smooth random field (n, n) of mean 0 and standard deviation about 1, with grains of the given size."""
        cells = int(np.clip(round(self.n * PIXEL_UM / size_um), 3, self.n))
        coarse = rng.standard_normal((cells + 2, cells + 2), dtype=np.float32)
        if cells >= self.n:
            return coarse[: self.n, : self.n]
        # Cubic interpolation of white noise keeps about 0.55 of its variance.
        return cv2.resize(coarse, (self.n, self.n), interpolation=cv2.INTER_CUBIC) * np.float32(1.35)

    def _to_fixed_point(self, points_um: NDArray[np.float64]) -> NDArray[np.int32]:
        pixels = points_um / PIXEL_UM + (self.n - 1) / 2
        return np.round(pixels * (1 << _SUBPIXEL_BITS)).astype(np.int32)


def rounded(depth_um: Image, edge_um: float) -> Image:
    """Relative thickness 0-1 of a body whose rim rises over `edge_um` like a quarter of an ellipse, flat inside."""
    inner = np.minimum(depth_um * np.float32(1 / edge_um), 1)
    return np.sqrt(inner * (2 - inner))


def bevelled(depth_um: Image, edge_um: float) -> Image:
    """Relative thickness 0-1 of a body whose rim rises evenly over `edge_um`, flat inside."""
    return np.minimum(depth_um * np.float32(1 / edge_um), 1)


def softened(image: Image, blur_um: float) -> Image:
    """The image (n, n) blurred: a thick body is never in focus through all its depth."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), blur_um / PIXEL_UM), np.float32)


def turned(points: NDArray[np.float64], angle_rad: float) -> NDArray[np.float64]:
    """The points (m, 2) turned about the origin."""
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    return points @ np.array([[c, s], [-s, c]])


def of_area(outline: NDArray[np.float64], diameter_um: float) -> NDArray[np.float64]:
    """The outline (m, 2) scaled about the origin to the area of a disc of the given diameter, um."""
    x, y = outline.T
    before_x, before_y = (np.concatenate([values[-1:], values[:-1]]) for values in (x, y))
    area = 0.5 * abs(np.dot(x, before_y) - np.dot(y, before_x))
    return outline * (diameter_um * np.sqrt(np.pi / 4 / max(area, 1e-9)))


def polar_outline(radius_um: NDArray[np.float64]) -> NDArray[np.float64]:
    """Outline (m, 2) of a body given its radius at m equally spaced angles."""
    angles = np.linspace(0, 2 * np.pi, len(radius_um), endpoint=False)
    return np.column_stack([radius_um * np.cos(angles), radius_um * np.sin(angles)])


def wavy(rng: np.random.Generator, points: int, orders: range, amplitude: float) -> NDArray[np.float64]:
    """Relative radius (m,) of a rough ring: waves of the given orders, amplitude falling with the order."""
    order = np.arange(orders.start, orders.stop)
    heights = amplitude / order * rng.standard_normal(len(order))
    phases = rng.uniform(0, 2 * np.pi, len(order))
    waves = np.cos(np.arange(points)[:, None] * (2 * np.pi / points * order) + phases)
    return np.maximum(1 + waves @ heights, 0.2)


def within_reach(outline_um: NDArray[np.float64]) -> NDArray[np.float64]:
    """The outline (m, 2) moved to the origin, and made smaller if it is longer than the largest square can hold."""
    centred = outline_um - (outline_um.max(axis=0) + outline_um.min(axis=0)) / 2
    return centred * min(1.0, LONGEST_UM / max(2 * float(np.abs(centred).max()), 1e-9))


def canvas_for(extent_um: float, margin_um: float) -> Canvas:
    """The smallest canvas that holds a body and an empty margin on each side, or the largest there is."""
    wanted = (extent_um + 2 * margin_um) / PIXEL_UM
    return Canvas(next((n for n in GRID_SIZES_PX if n >= wanted), GRID_SIZES_PX[-1]))


def canvas_around(outline_um: NDArray[np.float64], margin_um: float) -> Canvas:
    """The smallest canvas that holds an outline (m, 2) about the origin and an empty margin on each side."""
    return canvas_for(2 * float(np.abs(outline_um).max()), margin_um)
