"""A particle's FlowCam properties from its crop and mask; nothing here reads files or finds particles.

Two steps, because only the second needs the microscope's calibration: `measure_raw` counts pixels and greys,
`calibrate` turns them into the columns of `particles.properties`. Every rule below was checked against the values that
VisualSpreadsheet 4 exported beside its own masks; chains (masks of several parts) included.
"""

from dataclasses import dataclass
from math import isfinite, pi, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from icecore_dagster.particles.measure_outline import measure_ferets, trace_outline

FRINGE_PX = 4.5
"""What VisualSpreadsheet 3 to 5 takes off every linear size for the diffraction fringe; version 1 took nothing off."""

_GREY_MAX = 255
_SECTORS = 100


@dataclass(frozen=True)
class RawMeasurement:
    """One particle in pixels and grey levels, before calibration.

    Attributes:
        area_px: mask pixels, holes left out, summed over the parts.
        filled_area_px: mask pixels with holes filled, summed over the parts.
        perimeter_px: length of the outer contours through pixel centres, diagonal steps sqrt(2), summed over the parts.
        convex_perimeter_px: length of the convex hull of all parts together, through pixel centres.
        convex_hull_area_px: area of that hull.
        feret_max_px: largest of the 36 ferets.
        feret_min_px: smallest of the 36 ferets.
        feret_mean_px: mean of the 36 ferets.
        feret_angle_max_deg: angle of the largest feret, -90 to 85.
        feret_angle_min_deg: angle of the smallest feret, -90 to 85.
        legendre_major_px: long axis of the ellipse with the filled mask's second moments.
        legendre_minor_px: short axis of that ellipse.
        grey_mean: mean grey over the mask.
        grey_sigma: population standard deviation of grey over the mask.
        grey_sum: sum of grey over the mask.
        edge_gradient_grey: mean Sobel gradient over the outer contours.
        circle_fit: 1 for a contour that is a circle; not free of scale, as the instrument's is not.
        symmetry: 1 for a contour that looks the same turned by 180 degrees.
        parts: number of separate parts of the mask.
    """

    area_px: float
    filled_area_px: float
    perimeter_px: float
    convex_perimeter_px: float
    convex_hull_area_px: float
    feret_max_px: float
    feret_min_px: float
    feret_mean_px: float
    feret_angle_max_deg: float
    feret_angle_min_deg: float
    legendre_major_px: float
    legendre_minor_px: float
    grey_mean: float
    grey_sigma: float
    grey_sum: float
    edge_gradient_grey: float
    circle_fit: float
    symmetry: float
    parts: int


def measure_particle(
    crop: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    um_per_px: float,
    fringe_px: float = FRINGE_PX,
    capture_x_px: int = 0,
    capture_y_px: int = 0,
) -> dict[str, float]:
    """Measure one particle and calibrate it: `calibrate(measure_raw(...))`.

    Args:
        crop: grey image of the particle, uint8, shape (h, w).
        mask: True on the particle, bool, shape (h, w).
        um_per_px: calibration, micrometres a pixel.
        fringe_px: fringe correction, pixels.
        capture_x_px: column of the crop's left edge in the camera frame.
        capture_y_px: row of the crop's top edge in the camera frame.

    Returns:
        A value for every column of `particles.properties.PROPERTIES`.

    Raises:
        ValueError: as `measure_raw` and `calibrate` do.
    """
    return calibrate(measure_raw(crop, mask, capture_x_px, capture_y_px), um_per_px, fringe_px)


def measure_raw(
    crop: NDArray[np.uint8], mask: NDArray[np.bool_], capture_x_px: int = 0, capture_y_px: int = 0
) -> RawMeasurement:
    """Measure one particle in pixels and grey levels.

    The place in the camera frame matters: the instrument rounds projections of absolute coordinates to whole pixels,
    so the same shape elsewhere in the frame can have a feret one pixel longer.

    Args:
        crop: grey image of the particle, uint8, shape (h, w).
        mask: True on the particle, bool, shape (h, w); several parts count as one particle (a chain).
        capture_x_px: column of the crop's left edge in the camera frame.
        capture_y_px: row of the crop's top edge in the camera frame.

    Returns:
        The raw measurement.

    Raises:
        ValueError: the crop is not a grey uint8 image, the mask has another shape, or the mask is empty.
    """
    _require_measurable(crop, mask)
    outline = trace_outline(mask)
    ferets = measure_ferets(outline.hull_px, capture_x_px, capture_y_px)
    moments = cv2.moments(outline.filled, binaryImage=True)
    major_px, minor_px = _legendre_axes(moments)
    offsets_px = outline.contour_px - outline.contour_px.mean(axis=0)
    radii_px = np.hypot(offsets_px[:, 0], offsets_px[:, 1])
    greys = crop[mask].astype(np.int64)
    grey_sum = int(greys.sum())
    return RawMeasurement(
        area_px=float(greys.size),
        filled_area_px=moments["m00"],
        perimeter_px=outline.perimeter_px,
        convex_perimeter_px=cv2.arcLength(outline.hull_px, True),
        convex_hull_area_px=cv2.contourArea(outline.hull_px),
        feret_max_px=ferets.max_px,
        feret_min_px=ferets.min_px,
        feret_mean_px=ferets.mean_px,
        feret_angle_max_deg=ferets.angle_max_deg,
        feret_angle_min_deg=ferets.angle_min_deg,
        legendre_major_px=major_px,
        legendre_minor_px=minor_px,
        grey_mean=grey_sum / greys.size,
        grey_sigma=sqrt(greys.size * int(greys @ greys) - grey_sum**2) / greys.size,
        grey_sum=float(grey_sum),
        edge_gradient_grey=_edge_gradient(crop, outline.contour_px),
        circle_fit=_circle_fit(radii_px),
        symmetry=_symmetry(offsets_px, radii_px),
        parts=outline.parts,
    )


def calibrate(raw: RawMeasurement, um_per_px: float, fringe_px: float = FRINGE_PX) -> dict[str, float]:
    """Turn a raw measurement into calibrated FlowCam properties.

    Linear sizes lose the fringe, but never more than half of themselves, and are never less than a pixel:
    k max(x - F, x / 2, 1). Perimeter and the geodesic sizes are only scaled. Particles too small for a ratio to have a
    value (a single pixel has no perimeter) get the value of a perfect disc: ratios 1, curl 0.

    Args:
        raw: what `measure_raw` returned.
        um_per_px: calibration k, micrometres a pixel.
        fringe_px: fringe correction F, pixels.

    Returns:
        A value for every column of `particles.properties.PROPERTIES`, all finite; formulas are given there.

    Raises:
        ValueError: the calibration is not a positive number or the fringe is negative.
    """
    _require_calibration(um_per_px, fringe_px)

    def corrected_um(size_px: float) -> float:
        return um_per_px * max(size_px - fringe_px, size_px / 2, 1.0)

    abd_um = corrected_um(sqrt(4 * raw.area_px / pi))
    filled_um = corrected_um(sqrt(4 * raw.filled_area_px / pi))
    esd_um = corrected_um(raw.feret_mean_px)
    length_um, width_um = corrected_um(raw.feret_max_px), corrected_um(raw.feret_min_px)
    perimeter_um, convex_perimeter_um = um_per_px * raw.perimeter_px, corrected_um(raw.convex_perimeter_px)
    geodesic_length_px, geodesic_thickness_px = _rectangle_sides(raw.perimeter_px, raw.filled_area_px)
    geodesic_length_um, geodesic_thickness_um = um_per_px * geodesic_length_px, um_per_px * geodesic_thickness_px
    compactness = max(1.0, raw.perimeter_px**2 / (4 * pi * raw.filled_area_px))
    round_inertia = 2 * pi * (raw.legendre_major_px**2 + raw.legendre_minor_px**2) / 16
    return {
        "area_abd_um2": pi / 4 * abd_um**2,
        "area_filled_um2": pi / 4 * filled_um**2,
        "aspect_ratio": _ratio(raw.legendre_minor_px, raw.legendre_major_px),
        "biovolume_cylinder_um3": pi / 4 * width_um**2 * length_um,
        "biovolume_p_spheroid_um3": pi / 6 * width_um**2 * length_um,
        "circle_fit": raw.circle_fit,
        "circularity": 1 / compactness,
        "circularity_hu": min(1.0, _ratio(raw.filled_area_px, round_inertia)),
        "compactness": compactness,
        "convex_perimeter_um": convex_perimeter_um,
        "convexity": min(1.0, _ratio(raw.filled_area_px, raw.convex_hull_area_px)),
        "diameter_abd_um": abd_um,
        "diameter_esd_um": esd_um,
        "diameter_fd_um": filled_um,
        "edge_gradient_grey": raw.edge_gradient_grey,
        "elongation": _ratio(geodesic_length_px, geodesic_thickness_px),
        "feret_angle_max_deg": raw.feret_angle_max_deg,
        "feret_angle_min_deg": raw.feret_angle_min_deg,
        "fiber_curl": max(0.0, geodesic_length_um / length_um - 1),
        "fiber_straightness": _ratio(length_um, geodesic_length_um),
        "geodesic_aspect_ratio": _ratio(geodesic_thickness_px, geodesic_length_px),
        "geodesic_length_um": geodesic_length_um,
        "geodesic_thickness_um": geodesic_thickness_um,
        "intensity_grey": raw.grey_mean,
        "length_um": length_um,
        "particles_per_chain": float(raw.parts),
        "perimeter_um": perimeter_um,
        "roughness": _ratio(perimeter_um, convex_perimeter_um),
        "sigma_intensity_grey": raw.grey_sigma,
        "sum_intensity_grey": raw.grey_sum,
        "symmetry": raw.symmetry,
        "transparency": 1 - abd_um / esd_um,
        "volume_abd_um3": pi / 6 * abd_um**3,
        "volume_esd_um3": pi / 6 * esd_um**3,
        "width_um": width_um,
    }


def _require_measurable(crop: NDArray[np.uint8], mask: NDArray[np.bool_]) -> None:
    if crop.ndim != 2 or crop.dtype != np.uint8:
        raise ValueError(f"A crop must be a grey uint8 image of shape (h, w), not {crop.dtype} {crop.shape}.")
    if mask.shape != crop.shape or mask.dtype != np.bool_:
        raise ValueError(f"A mask must be bool of the crop's shape {crop.shape}, not {mask.dtype} {mask.shape}.")
    if not mask.any():
        raise ValueError("The mask is empty: there is no particle to measure. Segment with lower thresholds.")


def _require_calibration(um_per_px: float, fringe_px: float) -> None:
    if not (isfinite(um_per_px) and um_per_px > 0):
        raise ValueError(f"The calibration must be a positive number of µm a pixel, not {um_per_px}.")
    if not (isfinite(fringe_px) and fringe_px >= 0):
        raise ValueError(f"The fringe must be zero or a positive number of pixels, not {fringe_px}.")


def _ratio(numerator: float, denominator: float) -> float:
    """A quotient, 1 where the denominator vanishes (a particle of one or two pixels)."""
    return numerator / denominator if denominator > 0 else 1.0


def _rectangle_sides(perimeter_px: float, area_px: float) -> tuple[float, float]:
    """Sides L >= B of the rectangle with L B = area and 2 (L + B) = perimeter; a square's where there is none."""
    quarter_px = perimeter_px / 4
    half_difference_px = sqrt(max(0.0, quarter_px**2 - area_px))
    return quarter_px + half_difference_px, quarter_px - half_difference_px


def _legendre_axes(moments: dict[str, float]) -> tuple[float, float]:
    """Axes of the ellipse with the same second central moments: 4 sqrt(eigenvalue of the population covariance)."""
    xx, yy, xy = (moments[key] / moments["m00"] for key in ("mu20", "mu02", "mu11"))
    middle, half_spread = (xx + yy) / 2, sqrt(((xx - yy) / 2) ** 2 + xy**2)
    return 4 * sqrt(middle + half_spread), 4 * sqrt(max(0.0, middle - half_spread))


def _edge_gradient(crop: NDArray[np.uint8], contour_px: NDArray[np.int32]) -> float:
    """Mean over the contour of (|Sobel x| + |Sobel y|) / 2, each pixel saturating at 255 as 8-bit images do."""
    gradient = np.abs(cv2.Sobel(crop, cv2.CV_16S, 1, 0)) + np.abs(cv2.Sobel(crop, cv2.CV_16S, 0, 1))
    along_contour = gradient[contour_px[:, 1], contour_px[:, 0]] // 2
    return float(np.minimum(along_contour, _GREY_MAX).mean())


def _circle_fit(radii_px: NDArray[np.float64]) -> float:
    """1 - spread of the contour's distances from its centroid over (3 + 0.3 their mean), in pixels; never below 0."""
    return max(0.0, 1.0 - float(radii_px.std() / (3 + 0.3 * radii_px.mean())))


def _symmetry(offsets_px: NDArray[np.float64], radii_px: NDArray[np.float64]) -> float:
    """Least ratio of the mean radii of two opposite sectors, of 100; 0 if no two opposite ones hold contour.

    The instrument leaves out pixels straight above and below the centroid (their slope is infinite).
    """
    aside = offsets_px[:, 0] != 0
    angles = np.arctan2(offsets_px[aside, 1], offsets_px[aside, 0])
    sectors = np.floor(angles * (_SECTORS / (2 * np.pi))).astype(np.int64) % _SECTORS
    pixels = np.bincount(sectors, minlength=_SECTORS).reshape(2, -1)
    radii_sum_px = np.bincount(sectors, radii_px[aside], minlength=_SECTORS).reshape(2, -1)
    opposite = pixels.all(axis=0)
    if not opposite.any():
        return 0.0
    mean_radii_px = radii_sum_px[:, opposite] / pixels[:, opposite]
    return float((mean_radii_px.min(axis=0) / mean_radii_px.max(axis=0)).min())
