"""VisualSpreadsheet's column names: what each version and file calls a quantity, and what kind of value it holds.

Everything is brought to the names of the VisualSpreadsheet 4 export, without units.
"""

import re
from enum import StrEnum


class Kind(StrEnum):
    """What the cells of a column hold."""

    INTEGER = "integer"
    NUMBER = "number"
    RATIO = "ratio"  # a quotient of two measurements: may be undefined
    TEXT = "text"
    TIME = "time"
    UNKNOWN = "unknown"  # added by a user or a newer version: kept as it is


_INTEGERS = (
    "Particle ID",
    "Image X",
    "Image Y",
    "Image Width",
    "Image Height",
    "Capture X",
    "Capture Y",
    "Source Image",
    "Calibration Image",
    "Particles Per Chain",
    "Camera",
    "Sphere Count",
)
_NUMBERS = (
    *("Calibration Factor", "Fringe Size", "Elapsed Time", "Filter Score"),
    *("Area (ABD)", "Area (Filled)", "Aspect Ratio", "Circle Fit", "Circularity", "Circularity (Hu)", "Compactness"),
    *("Convex Perimeter", "Convexity", "Diameter (ABD)", "Diameter (ESD)", "Diameter (FD)", "Edge Gradient"),
    *("Elongation", "Feret Angle Max", "Feret Angle Min", "Fiber Curl", "Fiber Straightness"),
    *("Geodesic Aspect Ratio", "Geodesic Length", "Geodesic Thickness"),
    *("Intensity", "Sigma Intensity", "Sum Intensity", "Average Red", "Average Green", "Average Blue"),
    *("Length", "Width", "Perimeter", "Roughness", "Sqrt Circularity", "Symmetry", "Transparency"),
    *("Volume (ABD)", "Volume (ESD)", "Biovolume (Cylinder)", "Biovolume (P. Spheroid)", "Biovolume (Sphere)"),
    *("Sphere Complement", "Sphere Unknown", "Sphere Volume"),
    *(f"{channel} {what}" for channel in ("Ch1", "Ch2", "Ch3", "Ch4", "Scatter") for what in ("Peak", "Width", "Area")),
)
_RATIOS = ("Ch2/Ch1 Ratio", "Ratio Blue/Green", "Ratio Red/Blue", "Ratio Red/Green")
_TEXTS = ("Image File", "Original Reference ID", "Date", "Time", "imgpaths", "Name", "Class")

KINDS: dict[str, Kind] = {
    **dict.fromkeys(_INTEGERS, Kind.INTEGER),
    **dict.fromkeys(_NUMBERS, Kind.NUMBER),
    **dict.fromkeys(_RATIOS, Kind.RATIO),
    **dict.fromkeys(_TEXTS, Kind.TEXT),
    "Timestamp": Kind.TIME,
}
"""Kind of every column that VisualSpreadsheet is known to export, by its version 4 name."""

_EXPORT_ALIASES = {
    # VisualSpreadsheet 1-2
    **{"Id": "Particle ID", "CaptureX": "Capture X", "CaptureY": "Capture Y", "SaveX": "Image X", "SaveY": "Image Y"},
    **{"PixelW": "Image Width", "PixelH": "Image Height", "PPC": "Particles Per Chain", "Filename": "Image File"},
    **{"Cal Const": "Calibration Factor", "Red Green Ratio": "Ratio Red/Green", "Area ABD": "Area (ABD)"},
    **{"Blue Green Ratio": "Ratio Blue/Green", "Red Blue Ratio": "Ratio Red/Blue", "Ch2 Ch1 Ratio": "Ch2/Ch1 Ratio"},
    **{"Diameter ABD": "Diameter (ABD)", "Diameter ESD": "Diameter (ESD)", "Feret Max Angle": "Feret Angle Max"},
    **{"Feret Min Angle": "Feret Angle Min", "Volume ABD": "Volume (ABD)", "Volume ESD": "Volume (ESD)"},
    # VisualSpreadsheet 5
    **{"Capture ID": "Particle ID", "UUID": "Original Reference ID"},
    **{f"Ch{n} Peak Area": f"Ch{n} Area" for n in (1, 2, 3)},
    # one image file a particle
    **{"imgpath": "imgpaths", "Image Path": "imgpaths"},
}

LIST_FIELDS: dict[str, str] = {
    **{"id": "Particle ID", "image_x": "Image X", "image_y": "Image Y", "image_w": "Image Width"},
    **{"image_h": "Image Height", "src_x": "Capture X", "src_y": "Capture Y", "src_image": "Source Image"},
    **{"cal_image": "Calibration Image", "ppc": "Particles Per Chain", "camera": "Camera"},
    **{"cal_const": "Calibration Factor", "fringe_size": "Fringe Size", "sphere_count": "Sphere Count"},
    **{"abd_area": "Area (ABD)", "abd_diameter": "Diameter (ABD)", "length": "Length", "width": "Width"},
    **{"esd_diameter": "Diameter (ESD)", "fd_diameter": "Diameter (FD)", "aspect_ratio": "Aspect Ratio"},
    **{"perimeter": "Perimeter", "convex_perimeter": "Convex Perimeter", "intensity": "Intensity"},
    **{"sigma_intensity": "Sigma Intensity", "sum_intensity": "Sum Intensity", "compactness": "Compactness"},
    **{"elongation": "Elongation", "roughness": "Roughness", "edge_gradient": "Edge Gradient"},
    **{"elapsed_time": "Elapsed Time", "circle_fit": "Circle Fit", "symmetry": "Symmetry"},
    **{"circularity_hu": "Circularity (Hu)", "filled_area": "Area (Filled)", "feret_max_angle": "Feret Angle Max"},
    **{"feret_min_angle": "Feret Angle Min", "avg_red": "Average Red", "avg_green": "Average Green"},
    **{"avg_blue": "Average Blue", "timestamp": "Timestamp", "collage_file": "Image File"},
    **{"image_id": "Original Reference ID"},
    **{f"ch{n}_{what.lower()}": f"Ch{n} {what}" for n in (1, 2, 3) for what in ("Peak", "Width", "Area")},
}
"""Field of a version 017 list -> export name. Fields that are never exported (`raw_...`) keep the list's own name."""

FILETIME_HIGH, FILETIME_LOW = "filetime_high", "filetime_low"

_LIST_013_HEAD = (
    *("Particle ID", "Calibration Factor", "raw_area", "raw_feret_max", "raw_feret_min", "raw_feret_mean"),
    *("raw_perimeter", "raw_convex_perimeter", "Area (ABD)", "Diameter (ABD)", "Length", "Width", "Diameter (ESD)"),
    *("Perimeter", "Convex Perimeter", "Intensity", "Sigma Intensity", "Compactness", "Elongation", "Sum Intensity"),
    *("Roughness", "Feret Angle Max"),
)
_LIST_013_MIDDLE = (
    *("Average Red", "Average Green", "Average Blue", "Particles Per Chain"),
    *(f"Ch{n} {what}" for n in (1, 2, 3, 4) for what in ("Peak", "Width")),
    *("Image File", "Image X", "Image Y", "Image Width", "Image Height", "Capture X", "Capture Y"),
)
LIST_013_COLUMNS: dict[int, tuple[str, ...]] = {
    44: (*_LIST_013_HEAD, *_LIST_013_MIDDLE, FILETIME_HIGH, FILETIME_LOW, "total"),
    47: (
        *_LIST_013_HEAD,
        "Feret Angle Min",
        *_LIST_013_MIDDLE,
        *("Edge Gradient", FILETIME_HIGH, FILETIME_LOW, "Source Image", "Calibration Image"),
    ),
}
"""Columns of a version 013 list, which has no header, by the number of values in a row."""

_UNIT = re.compile(r"\s*\((?:[µu\ufffd]*m[²³23\ufffd]*|px[²³]?|s|ms|mm|°|deg|%)\)$", re.IGNORECASE)
_KNOWN = {name.casefold(): name for name in KINDS} | {old.casefold(): new for old, new in _EXPORT_ALIASES.items()}


def export_column(header: str) -> str:
    """VisualSpreadsheet 4's name for a column of an export of any version.

    A unit in brackets at the end is taken off (`Area (ABD) (µm²)`), whichever of the two code points its µ has and
    however it was mangled on the way; `(ABD)`, `(Hu)` and `(P. Spheroid)` are parts of names and stay.

    Args:
        header: the column's heading in the file.

    Returns:
        The canonical name; a heading that is not known comes back trimmed and otherwise as it is.
    """
    text = " ".join(header.replace("Â", "").replace("Î¼", "µ").replace("μ", "µ").split())
    bare = _UNIT.sub("", text)
    return _KNOWN.get(bare.casefold(), bare)
