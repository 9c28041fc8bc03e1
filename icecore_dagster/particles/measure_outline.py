"""The outline of a mask and what is measured on it alone: contours, hull, perimeter, ferets. Pixels, no calibration."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

_STEP_DEG = 5
_FERET_ANGLES_DEG = np.array([angle for first in range(0, 90, _STEP_DEG) for angle in (first, first - 90)])
"""The 36 angles in the order in which the instrument visits them (0, -90, 5, -85, ...): it decides between equals."""

_PROJECTIONS = np.stack([np.cos(np.deg2rad(_FERET_ANGLES_DEG)), -np.sin(np.deg2rad(_FERET_ANGLES_DEG))])


@dataclass(frozen=True)
class Outline:
    """The outer outline of a mask.

    Attributes:
        contour_px: pixels of all outer contours as (column, row), int32, shape (n, 2); where a contour runs out along
            a line and back, its pixels come twice, as in the instrument's chain code.
        hull_px: corners of the convex hull of all parts together, int32, shape (m, 1, 2).
        filled: the mask with holes filled, uint8 0/1, shape (h, w).
        perimeter_px: summed length of the contours.
        parts: number of contours.
    """

    contour_px: NDArray[np.int32]
    hull_px: NDArray[np.int32]
    filled: NDArray[np.uint8]
    perimeter_px: float
    parts: int


@dataclass(frozen=True)
class Ferets:
    """Summary of the 36 ferets: lengths in pixels, angles in degrees."""

    max_px: float
    min_px: float
    mean_px: float
    angle_max_deg: float
    angle_min_deg: float


def trace_outline(mask: NDArray[np.bool_]) -> Outline:
    """Trace the outer contours of a mask (8-connected parts; holes do not count).

    Args:
        mask: True on the particle, bool, shape (h, w), not empty.

    Returns:
        The outline.
    """
    contours, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    contour_px = np.concatenate(contours).astype(np.int32, copy=False)
    filled = np.zeros(mask.shape, np.uint8)
    cv2.drawContours(filled, contours, -1, 1, cv2.FILLED)
    return Outline(
        contour_px=contour_px[:, 0, :],
        hull_px=cv2.convexHull(contour_px).astype(np.int32, copy=False),
        filled=filled,
        perimeter_px=sum(cv2.arcLength(contour, True) for contour in contours),
        parts=len(contours),
    )


def measure_ferets(hull_px: NDArray[np.int32], capture_x_px: int, capture_y_px: int) -> Ferets:
    """Caliper widths every 5 degrees, in whole pixels as the instrument takes them.

    At each angle a, u = round(x cos a - y sin a) in absolute camera coordinates, and the feret is max u - min u + 1.
    Rounding keeps order, so the hull's corners decide and no other pixel need be projected.

    Args:
        hull_px: corners of the hull as (column, row), shape (m, 1, 2).
        capture_x_px: column of the crop's left edge in the camera frame.
        capture_y_px: row of the crop's top edge in the camera frame.

    Returns:
        Largest, smallest and mean feret, and the angles of the first two.
    """
    projected_px = (hull_px[:, 0, :] + (capture_x_px, capture_y_px)) @ _PROJECTIONS
    ferets_px = np.rint(projected_px.max(axis=0)) - np.rint(projected_px.min(axis=0)) + 1
    largest, smallest = int(ferets_px.argmax()), int(ferets_px.argmin())
    return Ferets(
        max_px=float(ferets_px[largest]),
        min_px=float(ferets_px[smallest]),
        mean_px=float(ferets_px.mean()),
        angle_max_deg=float(_FERET_ANGLES_DEG[largest]),
        angle_min_deg=float(_FERET_ANGLES_DEG[smallest]),
    )
