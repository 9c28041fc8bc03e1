"""Properties that the export has and the list has not, but that follow exactly from what the list holds.

Notation: k calibration (um/px), P and Af the raw perimeter (px) and raw filled area (px), d a diameter (um).
"""

import numpy as np
import pandas as pd


def add_derived(rows: pd.DataFrame, *, width_over_length: bool = False) -> pd.DataFrame:
    """Add every column that follows from the list's own; columns that are there already stay as they are.

    Formulas, checked row by row against exports of VisualSpreadsheet 4:
        Aspect Ratio = minor / major Legendre axis (Width / Length in version 013);
        Circularity = 1 / Compactness; Convexity = min(1, Af / area of the convex hull);
        Geodesic Length, Thickness = k (P/4 +- sqrt(P^2/16 - Af)), both k P/4 where the root is imaginary;
        Geodesic Aspect Ratio = Thickness / Length of these; Fiber Curl = max(0, Geodesic Length / Length - 1);
        Fiber Straightness = Length / Geodesic Length; Transparency = 1 - Diameter (ABD) / Diameter (ESD);
        Volume = pi/6 d^3; Ratio X/Y = quotient of the two average colours.

    A quotient by zero is 0, as VisualSpreadsheet writes it.

    Args:
        rows: columns of a list under export names, and its `raw_...` fields.
        width_over_length: the list is of version 013, whose Aspect Ratio is Width / Length.

    Returns:
        The same rows with the columns that could be derived.
    """
    known = rows.copy()
    first = (_ASPECT_013,) if width_over_length else ()
    for name, needs, formula in (*first, *_FORMULAS):
        if name not in known and all(column in known for column in needs):
            known[name] = formula(*(known[column].to_numpy(dtype=np.float64) for column in needs))
    return known


def _quotient(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.zeros_like(above), where=below != 0)


def _geodesic(k: np.ndarray, perimeter: np.ndarray, filled: np.ndarray, sign: int) -> np.ndarray:
    root = np.sqrt(np.maximum(perimeter**2 / 16 - filled, 0))
    return k * (perimeter / 4 + sign * root)


def _convexity(filled: np.ndarray, hull: np.ndarray) -> np.ndarray:
    return np.where(hull > 0, np.minimum(1, _quotient(filled, hull)), 1.0)


def _sphere(diameter: np.ndarray) -> np.ndarray:
    return np.pi / 6 * diameter**3


_OUTLINE = ("Calibration Factor", "raw_perimeter", "raw_filled_area")

_ASPECT_013 = ("Aspect Ratio", ("Width", "Length"), _quotient)

_FORMULAS = (
    ("Aspect Ratio", ("raw_legendre_minor", "raw_legendre_major"), _quotient),
    ("Circularity", ("Compactness",), lambda c: _quotient(np.ones_like(c), c)),
    ("Convexity", ("raw_filled_area", "raw_convex_hull_area"), _convexity),
    ("Geodesic Length", _OUTLINE, lambda k, p, a: _geodesic(k, p, a, +1)),
    ("Geodesic Thickness", _OUTLINE, lambda k, p, a: _geodesic(k, p, a, -1)),
    ("Geodesic Aspect Ratio", ("Geodesic Thickness", "Geodesic Length"), _quotient),
    ("Fiber Curl", ("Geodesic Length", "Length"), lambda g, length: np.maximum(0, _quotient(g, length) - 1)),
    ("Fiber Straightness", ("Length", "Geodesic Length"), _quotient),
    ("Transparency", ("Diameter (ABD)", "Diameter (ESD)"), lambda abd, esd: 1 - _quotient(abd, esd)),
    ("Volume (ABD)", ("Diameter (ABD)",), _sphere),
    ("Volume (ESD)", ("Diameter (ESD)",), _sphere),
    ("Ratio Blue/Green", ("Average Blue", "Average Green"), _quotient),
    ("Ratio Red/Blue", ("Average Red", "Average Blue"), _quotient),
    ("Ratio Red/Green", ("Average Red", "Average Green"), _quotient),
)


def add_date_and_time(rows: pd.DataFrame) -> pd.DataFrame:
    """Add `Date` and `Time` (text, whole seconds) from `Timestamp`, as the export has them."""
    if "Timestamp" not in rows:
        return rows
    return rows.assign(
        Date=rows["Timestamp"].dt.strftime("%Y-%m-%d").astype("string"),
        Time=rows["Timestamp"].dt.strftime("%H:%M:%S").astype("string"),
    )
