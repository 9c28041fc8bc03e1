"""Where the particle is in its crop, for crops that come without the instrument's mask; measuring it is elsewhere."""

import cv2
import numpy as np
from numpy.typing import NDArray

_CLOSING_KERNEL = np.ones((3, 3), np.uint8)


def segment_particle(
    crop: NDArray[np.uint8],
    *,
    background_grey: float | NDArray[np.uint8] | None = None,
    threshold_dark: float = 15,
    threshold_light: float | None = 15,
    close_iterations: int = 1,
    fill: bool = False,
) -> NDArray[np.bool_]:
    """Find the main particle of a crop the way the instrument does.

    A pixel belongs to a particle if it differs from the background by more than a threshold; small gaps are closed by
    dilating and eroding with a 3 x 3 square; what does not hang together with the largest part (8-connected) is
    dropped, unless it lies inside that part's outline. Given the calibration image as background, dark pixels only and
    the run's own ThresholdDark and CloseHoles, this draws the parts of VisualSpreadsheet 4's masks pixel for pixel.

    Args:
        crop: grey image of one particle, uint8, shape (h, w).
        background_grey: grey of the background: one number, or the calibration image under the crop, shape (h, w);
            None takes the median of the crop's border.
        threshold_dark: grey levels by which a dark pixel is below the background (VisualSpreadsheet: ThresholdDark).
        threshold_light: grey levels by which a light pixel is above it (ThresholdLight); None looks for dark ones only.
        close_iterations: rounds of closing (CloseHoles).
        fill: also fill the holes of the main part.

    Returns:
        Mask, bool, shape (h, w); empty where nothing stands out from the background.

    Raises:
        ValueError: the crop is not a grey uint8 image with pixels, or the background has another shape.
    """
    if crop.ndim != 2 or crop.dtype != np.uint8 or crop.size == 0:
        raise ValueError(f"A crop must be a grey uint8 image of shape (h, w), not {crop.dtype} {crop.shape}.")
    background = border_grey(crop) if background_grey is None else np.asarray(background_grey, dtype=float)
    if background.shape not in ((), crop.shape):
        raise ValueError(f"The background must be one grey or an image of shape {crop.shape}, not {background.shape}.")
    difference = crop - background
    standing_out = difference < -threshold_dark
    if threshold_light is not None:
        standing_out |= difference > threshold_light
    return _main_part(_close(standing_out.view(np.uint8), close_iterations), fill)


def border_grey(crop: NDArray[np.uint8]) -> np.float64:
    """The background of a crop: the median grey of its outermost pixels.

    Args:
        crop: grey image, uint8, shape (h, w).

    Returns:
        Grey level, 0 to 255.
    """
    border = np.concatenate([crop[0], crop[-1], crop[1:-1, 0], crop[1:-1, -1]])
    # As np.median, without its overhead, which would be half of what preparing a small crop costs.
    middle = len(border) // 2
    border.partition((max(middle - 1, 0), middle))
    return np.float64(border[middle] if len(border) % 2 else (float(border[middle - 1]) + float(border[middle])) / 2)


def _close(mask: NDArray[np.uint8], iterations: int) -> NDArray[np.uint8]:
    """Close gaps; padded, so that the crop's edge does not count as background that eats into a particle."""
    if iterations == 0:
        return mask
    padded = np.pad(mask, iterations)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, _CLOSING_KERNEL, iterations=iterations)
    return closed[iterations:-iterations, iterations:-iterations].astype(np.uint8, copy=False)


def _main_part(mask: NDArray[np.uint8], fill: bool) -> NDArray[np.bool_]:
    """The part with the largest outline, with what it encloses."""
    contours, _ = cv2.findContours(np.ascontiguousarray(mask), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    best = np.zeros_like(mask)
    best_area_px = 0
    for contour in contours:
        column, row, width, height = cv2.boundingRect(contour)
        if width * height <= best_area_px:
            continue
        filled = np.zeros((height, width), np.uint8)
        cv2.drawContours(filled, [contour], -1, 1, cv2.FILLED, offset=(-column, -row))
        area_px = cv2.countNonZero(filled)
        if area_px > best_area_px:
            best_area_px = area_px
            best = np.zeros_like(mask)
            best[row : row + height, column : column + width] = filled
    return best.view(np.bool_) if fill else (best & mask).view(np.bool_)
