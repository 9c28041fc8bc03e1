"""What tells a real particle's picture from a drawn one: the profile of its edge, and the noise of its border."""

import cv2
import numpy as np
from numpy.typing import NDArray

from icecore_dagster.particles.segment import border_grey, segment_particle

PROFILE_PX: NDArray[np.int64] = np.arange(-20, 9)
"""Distances from the outline at which edge profiles are taken, px; negative inside."""
_FEWEST_PIXELS = 4


def edge_profile(crop: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Grey above the background by distance from the particle's outline.

    The outline is that of the filled main part that stands out from the border's median grey by more than 15 grey.

    Args:
        crop: grey image of one particle, uint8, shape (h, w).

    Returns:
        Mean grey minus background at each of `PROFILE_PX`, shape (29,); NaN where fewer than four pixels lie that far.
    """
    mask = segment_particle(crop, fill=True).view(np.uint8)
    if not mask.any():
        return np.full(len(PROFILE_PX), np.nan)
    inside = cv2.distanceTransform(np.pad(mask, 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    outside = cv2.distanceTransform(1 - mask, cv2.DIST_L2, 5)
    # Half a pixel on either side of the outline.
    distance = np.where(mask > 0, 0.5 - inside, outside - 0.5)
    bins = np.rint(distance).astype(np.int64) - PROFILE_PX[0]
    within = (bins >= 0) & (bins < len(PROFILE_PX))
    counts = np.bincount(bins[within], minlength=len(PROFILE_PX))
    sums = np.bincount(bins[within], weights=crop[within] - border_grey(crop), minlength=len(PROFILE_PX))
    return np.where(counts >= _FEWEST_PIXELS, sums / np.maximum(counts, 1), np.nan)


def border_noise(crop: NDArray[np.uint8]) -> float:
    """Standard deviation of grey along the crop's outermost pixels, where there is water only.

    Args:
        crop: grey image of one particle, uint8, shape (h, w).

    Returns:
        Grey levels.
    """
    return float(np.concatenate([crop[0], crop[-1], crop[1:-1, 0], crop[1:-1, -1]]).std())
