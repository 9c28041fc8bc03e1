"""The instrument's list and export: columns, order and rounding of `.lst` (version 017, monochrome) and `.csv`."""

from dataclasses import dataclass
from datetime import datetime

from icecore_dagster.particles.measure import FRINGE_PX, RawMeasurement, calibrate
from icecore_dagster.particles.properties import PROPERTIES
from icecore_dagster.simulation.shapes.raster import PIXEL_UM

_LIST_COUNTS = (
    "id",
    "image_x",
    "image_y",
    "image_w",
    "image_h",
    "src_x",
    "src_y",
    "src_image",
    "cal_image",
    "ppc",
    "camera",
)
_LIST_RAW = {
    "raw_area": "area_px",
    "raw_feret_max": "feret_max_px",
    "raw_feret_min": "feret_min_px",
    "raw_feret_mean": "feret_mean_px",
    "raw_perimeter": "perimeter_px",
    "raw_convex_perimeter": "convex_perimeter_px",
    "raw_legendre_major": "legendre_major_px",
    "raw_legendre_minor": "legendre_minor_px",
    "raw_convex_hull_area": "convex_hull_area_px",
    "raw_filled_area": "filled_area_px",
}
"""Fields that hold pixels, and where a `RawMeasurement` has them."""
_LIST_CALIBRATED = {
    "abd_area": "Area (ABD)",
    "abd_diameter": "Diameter (ABD)",
    "length": "Length",
    "width": "Width",
    "esd_diameter": "Diameter (ESD)",
    "fd_diameter": "Diameter (FD)",
    "perimeter": "Perimeter",
    "convex_perimeter": "Convex Perimeter",
    "intensity": "Intensity",
    "sigma_intensity": "Sigma Intensity",
    "sum_intensity": "Sum Intensity",
    "compactness": "Compactness",
    "elongation": "Elongation",
    "roughness": "Roughness",
    "edge_gradient": "Edge Gradient",
    "circle_fit": "Circle Fit",
    "symmetry": "Symmetry",
    "circularity_hu": "Circularity (Hu)",
    "filled_area": "Area (Filled)",
    "feret_max_angle": "Feret Angle Max",
    "feret_min_angle": "Feret Angle Min",
}
"""Fields that hold calibrated properties, and the export's names for them."""
_LIST_CONSTANTS = {
    "cal_const": f"{PIXEL_UM:.4f}",
    "fringe_size": f"{FRINGE_PX:.4f}",
    "sphere_count": "0",
    "raw_sphere_volume": "0.0000",
    "raw_sphere_complement": "0.0000",
    "raw_sphere_unknown": "0.0000",
    "intensity_calimage": "0.0000",
}
_RAW_FIELDS, _CALIBRATED_FIELDS = tuple(_LIST_RAW), tuple(_LIST_CALIBRATED)
LIST_FIELDS = (
    *_LIST_COUNTS,
    "cal_const",
    "fringe_size",
    "sphere_count",
    "raw_sphere_volume",
    "raw_sphere_complement",
    "raw_sphere_unknown",
    *_RAW_FIELDS[: _RAW_FIELDS.index("raw_convex_hull_area")],
    *_CALIBRATED_FIELDS[: _CALIBRATED_FIELDS.index("circle_fit")],
    "elapsed_time",
    "circle_fit",
    "symmetry",
    "circularity_hu",
    "intensity_calimage",
    "raw_convex_hull_area",
    "raw_filled_area",
    "filled_area",
    "feret_max_angle",
    "feret_min_angle",
    "timestamp",
    "collage_file",
    "image_id",
)
"""The 53 fields of a monochrome list without fluorescence: the 65 of a colour one less avg_* and ch*_*."""

_NOT_EXPORTED = ("Diameter (FD)",)
_IN_E_NOTATION = frozenset(
    ("Biovolume (Cylinder)", "Biovolume (P. Spheroid)", "Biovolume (Sphere)", "Volume (ABD)", "Volume (ESD)")
)
_EXPORT_CONSTANTS = {
    "Calibration Factor": f"{PIXEL_UM:.4f}",
    "Calibration Image": "1",
    "Camera": "1",
    "Filter Score": "0.0000",
    "Sphere Complement": "0.0000",
    "Sphere Count": "0",
    "Sphere Unknown": "0.0000",
    "Sphere Volume": "0.0000",
}
_EXPORT_PLACES = (
    "Capture X",
    "Capture Y",
    "Date",
    "Elapsed Time",
    "Image File",
    "Image Height",
    "Image Width",
    "Image X",
    "Image Y",
    "Source Image",
    "Time",
    "Timestamp",
)
EXPORT_COLUMNS = (
    "Particle ID",
    *sorted(
        [
            "Biovolume (Sphere)",
            *(p.flowcam_name for p in PROPERTIES if p.flowcam_name not in _NOT_EXPORTED),
            *_EXPORT_CONSTANTS,
            *_EXPORT_PLACES,
        ]
    ),
)
"""The 56 columns that the study's export held, in VisualSpreadsheet's alphabetical order."""


@dataclass(frozen=True)
class Entry:
    """One particle of a list.

    Attributes:
        number: particle number, from 1.
        measured: what was measured, in pixels and greys.
        image_box_px: x, y, width, height of the crop in its collage.
        capture_px: x, y of the crop in the camera frame.
        frame: number of the camera frame.
        elapsed_s: seconds since imaging started.
        seen_at: local time of the frame.
        collage: name of the collage file.
        image_id: the particle's unique name.
    """

    number: int
    measured: RawMeasurement
    image_box_px: tuple[int, int, int, int]
    capture_px: tuple[int, int]
    frame: int
    elapsed_s: float
    seen_at: datetime
    collage: str
    image_id: str

    @property
    def timestamp(self) -> str:
        """Local time with milliseconds, as the instrument writes it."""
        return self.seen_at.isoformat(timespec="milliseconds")


def list_header() -> str:
    """The lines above the first row of a list: version, number of fields, name and type of each."""
    return (
        "\n".join(["017", f"num-fields|{len(LIST_FIELDS)}", *(f"{name}|{_type(name)}" for name in LIST_FIELDS)]) + "\n"
    )


def flowcam_properties(entry: Entry) -> dict[str, float]:
    """A particle's calibrated properties by VisualSpreadsheet's names, not rounded."""
    values = calibrate(entry.measured, PIXEL_UM, FRINGE_PX)
    named = {p.flowcam_name: values[p.column] for p in PROPERTIES}
    named["Biovolume (Sphere)"] = named["Volume (ABD)"]
    return named


def list_row(entry: Entry, named: dict[str, float]) -> str:
    """A particle's line in the list, without line end; the instrument writes four decimals.

    Args:
        entry: the particle.
        named: its `flowcam_properties`.

    Returns:
        The line.
    """
    counts = (entry.number, *entry.image_box_px, *entry.capture_px, entry.frame, 1, entry.measured.parts, 0)
    cells = dict(_LIST_CONSTANTS)
    cells |= {name: str(count) for name, count in zip(_LIST_COUNTS, counts, strict=True)}
    cells |= {name: f"{getattr(entry.measured, attribute):.4f}" for name, attribute in _LIST_RAW.items()}
    cells |= {name: f"{named[flowcam_name]:.4f}" for name, flowcam_name in _LIST_CALIBRATED.items()}
    cells |= {
        "elapsed_time": f"{entry.elapsed_s:.4f}",
        "timestamp": entry.timestamp,
        "collage_file": entry.collage,
        "image_id": entry.image_id,
    }
    return "|".join(cells[name] for name in LIST_FIELDS)


def export_row(entry: Entry, named: dict[str, float]) -> list[str]:
    """A particle's cells in the export.

    Args:
        entry: the particle.
        named: its `flowcam_properties`.

    Returns:
        One text for each of `EXPORT_COLUMNS`.
    """
    x, y, width, height = entry.image_box_px
    timestamp = entry.timestamp
    cells = {name: f"{value:.6e}" if name in _IN_E_NOTATION else f"{value:.4f}" for name, value in named.items()}
    cells |= _EXPORT_CONSTANTS
    cells |= {
        "Particle ID": str(entry.number),
        "Particles Per Chain": str(entry.measured.parts),
        "Capture X": str(entry.capture_px[0]),
        "Capture Y": str(entry.capture_px[1]),
        "Date": timestamp[:10],
        "Elapsed Time": f"{entry.elapsed_s:.4f}",
        "Image File": entry.collage,
        "Image Height": str(height),
        "Image Width": str(width),
        "Image X": str(x),
        "Image Y": str(y),
        "Source Image": str(entry.frame),
        "Time": timestamp[11:19],
        "Timestamp": timestamp,
    }
    return [cells[name] for name in EXPORT_COLUMNS]


def _type(field: str) -> str:
    if field in _LIST_COUNTS or field == "sphere_count":
        return "int32"
    return {"timestamp": "timestamp", "collage_file": "string", "image_id": "guid"}.get(field, "double")
