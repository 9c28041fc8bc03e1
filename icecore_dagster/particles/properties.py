"""The vocabulary of measured quantities: one row a FlowCam property, and what models learn from.

Every other module takes column names, units and formulas from here. The code calls a property by its snake_case
column (unit inside the name); figures and exports call it by VisualSpreadsheet's own name.

Notation of the formulas: k calibration (um/px), F fringe (px), A mask pixels without holes, Af mask pixels with holes
filled, P outer contour length (px), d a diameter (um), corr(x) = k * max(x - F, x / 2, 1).
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum


class Certainty(StrEnum):
    """How well our formula is known to reproduce the instrument's own value."""

    EXACT = "exact"
    UNPUBLISHED = "unpublished"


@dataclass(frozen=True)
class Property:
    """One measured quantity of a particle.

    Attributes:
        column: name in our tables, with its unit.
        flowcam_name: VisualSpreadsheet's own name.
        unit: unit as shown to people; empty for a ratio or a count.
        formula: how it follows from the pixels.
        certainty: whether the formula reproduces the instrument's value.
    """

    column: str
    flowcam_name: str
    unit: str
    formula: str
    certainty: Certainty = Certainty.EXACT

    @property
    def title(self) -> str:
        """VisualSpreadsheet's name with the unit in brackets, for axes and table heads."""
        return f"{self.flowcam_name} ({self.unit})" if self.unit else self.flowcam_name


PROPERTIES: tuple[Property, ...] = (
    Property("area_abd_um2", "Area (ABD)", "µm²", "pi/4 * Diameter (ABD)^2"),
    Property("area_filled_um2", "Area (Filled)", "µm²", "pi/4 * Diameter (FD)^2"),
    Property("aspect_ratio", "Aspect Ratio", "", "minor / major Legendre axis of the filled mask"),
    Property(
        "biovolume_cylinder_um3",
        "Biovolume (Cylinder)",
        "µm³",
        "pi/4 * Width^2 * Length (the instrument's formula is unpublished)",
        Certainty.UNPUBLISHED,
    ),
    Property(
        "biovolume_p_spheroid_um3",
        "Biovolume (P. Spheroid)",
        "µm³",
        "pi/6 * Width^2 * Length (the instrument's formula is unpublished)",
        Certainty.UNPUBLISHED,
    ),
    Property(
        "circle_fit",
        "Circle Fit",
        "",
        "max(0, 1 - sd(r) / (3 + 0.3 mean(r))), r in px from the outer contour to its centroid",
    ),
    Property("circularity", "Circularity", "", "1 / Compactness"),
    Property("circularity_hu", "Circularity (Hu)", "", "min(1, Af / (2 pi (major^2 + minor^2) / 16))"),
    Property("compactness", "Compactness", "", "max(1, P^2 / (4 pi Af))"),
    Property("convex_perimeter_um", "Convex Perimeter", "µm", "corr(length of the convex hull of all parts)"),
    Property("convexity", "Convexity", "", "min(1, Af / area of the convex hull)"),
    Property("diameter_abd_um", "Diameter (ABD)", "µm", "corr(sqrt(4 A / pi))"),
    Property("diameter_esd_um", "Diameter (ESD)", "µm", "corr(mean of 36 ferets)"),
    Property("diameter_fd_um", "Diameter (FD)", "µm", "corr(sqrt(4 Af / pi))"),
    Property(
        "edge_gradient_grey",
        "Edge Gradient",
        "grey",
        "mean over the outer contour of min(255, |Sobel x|/2 + |Sobel y|/2)",
    ),
    Property("elongation", "Elongation", "", "L / B of the rectangle with L B = Af and 2 (L + B) = P"),
    Property(
        "feret_angle_max_deg",
        "Feret Angle Max",
        "°",
        "angle of the largest of 36 ferets; of equals, the first in the order 0, -90, 5, -85, ...",
    ),
    Property(
        "feret_angle_min_deg",
        "Feret Angle Min",
        "°",
        "angle of the smallest of 36 ferets; of equals, the first in the order 0, -90, 5, -85, ...",
    ),
    Property("fiber_curl", "Fiber Curl", "", "max(0, Geodesic Length / Length - 1)"),
    Property("fiber_straightness", "Fiber Straightness", "", "Length / Geodesic Length"),
    Property("geodesic_aspect_ratio", "Geodesic Aspect Ratio", "", "Geodesic Thickness / Geodesic Length"),
    Property("geodesic_length_um", "Geodesic Length", "µm", "k (P/4 + sqrt(max(0, P^2/16 - Af)))"),
    Property(
        "geodesic_thickness_um",
        "Geodesic Thickness",
        "µm",
        "k (P/4 - sqrt(max(0, P^2/16 - Af)))",
    ),
    Property("intensity_grey", "Intensity", "grey", "mean grey over the mask"),
    Property("length_um", "Length", "µm", "corr(largest feret)"),
    Property("particles_per_chain", "Particles Per Chain", "", "number of separate parts of the mask"),
    Property("perimeter_um", "Perimeter", "µm", "k P"),
    Property("roughness", "Roughness", "", "Perimeter / Convex Perimeter"),
    Property("sigma_intensity_grey", "Sigma Intensity", "grey", "population standard deviation of grey over the mask"),
    Property("sum_intensity_grey", "Sum Intensity", "grey", "sum of grey over the mask"),
    Property(
        "symmetry",
        "Symmetry",
        "",
        "least ratio of mean radii of opposite sectors (100 of 3.6°) of the outer contour about its centroid",
    ),
    Property("transparency", "Transparency", "", "1 - Diameter (ABD) / Diameter (ESD)"),
    Property("volume_abd_um3", "Volume (ABD)", "µm³", "pi/6 * Diameter (ABD)^3"),
    Property("volume_esd_um3", "Volume (ESD)", "µm³", "pi/6 * Diameter (ESD)^3"),
    Property("width_um", "Width", "µm", "corr(smallest feret)"),
)

BY_COLUMN: dict[str, Property] = {p.column: p for p in PROPERTIES}
BY_FLOWCAM_NAME: dict[str, Property] = {p.flowcam_name: p for p in PROPERTIES}

NOT_FEATURES = ("diameter_fd_um",)
"""Measured, but not among the 34 properties that the published classifiers learn from: Area (Filled) says the same."""

FEATURES: tuple[str, ...] = tuple(p.column for p in PROPERTIES if p.column not in NOT_FEATURES)
"""The 34 columns that trees, the forest and the hybrid network learn from (Maffezzoli et al. 2023)."""

UNPUBLISHED: tuple[str, ...] = tuple(p.column for p in PROPERTIES if p.certainty is Certainty.UNPUBLISHED)
"""Columns whose formula the maker has not published: leave them out where exported and measured data mix."""

ABSOLUTE_GREY: tuple[str, ...] = ("intensity_grey", "sum_intensity_grey")
"""Columns that carry how bright a run's background is: a mean and a sum of grey values, which grow with the lamp.

Sigma Intensity is a standard deviation and Edge Gradient a mean of differences, so that a brighter background leaves
both as they are; every other property is geometry of the mask, which is cut by contrast with the background.
"""


def features_without(names: Collection[str]) -> tuple[str, ...]:
    """The features less some of them.

    Args:
        names: columns or VisualSpreadsheet's own names of features to leave out.

    Returns:
        The other columns of `FEATURES`, in order.

    Raises:
        ValueError: a name is no feature, or none is left.
    """
    left_out = {BY_FLOWCAM_NAME[name].column if name in BY_FLOWCAM_NAME else name for name in names}
    if unknown := sorted(left_out - set(FEATURES)):
        raise ValueError(f"no feature is called {', '.join(unknown)}; the features are {', '.join(FEATURES)}")
    kept = tuple(column for column in FEATURES if column not in left_out)
    if not kept:
        raise ValueError("every feature is left out: nothing remains to learn from")
    return kept
