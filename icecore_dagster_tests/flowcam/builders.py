"""The smallest real run folders, as VisualSpreadsheet writes them, and short ways to look at what reading them gave."""

import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import tifffile

from icecore_dagster.flowcam.run import Run

INTEGERS = (
    *("id", "image_x", "image_y", "image_w", "image_h", "src_x", "src_y", "src_image", "cal_image", "ppc", "camera"),
    "sphere_count",
)
_SIZES = (
    *("raw_area", "raw_feret_max", "raw_feret_min", "raw_feret_mean", "raw_perimeter", "raw_convex_perimeter"),
    *("raw_legendre_major", "raw_legendre_minor", "abd_area", "abd_diameter", "length", "width", "esd_diameter"),
    *("fd_diameter", "perimeter", "convex_perimeter", "intensity", "sigma_intensity", "sum_intensity", "compactness"),
    *("elongation", "roughness", "edge_gradient", "elapsed_time", "circle_fit", "symmetry", "circularity_hu"),
    *("intensity_calimage", "raw_convex_hull_area", "raw_filled_area", "filled_area", "feret_max_angle"),
    "feret_min_angle",
)
_HEAD = (*INTEGERS[:-1], "cal_const", "fringe_size")
_SPHERES = ("sphere_count", "raw_sphere_volume", "raw_sphere_complement", "raw_sphere_unknown")
_COLOURS = ["avg_red", "avg_green", "avg_blue", *(f"ch{n}_{w}" for n in (1, 2, 3) for w in ("peak", "width", "area"))]
_TAIL = ["timestamp", "collage_file", "image_id"]
_SINCE_4 = {"raw_legendre_major", "raw_legendre_minor", "fd_diameter", "elapsed_time"}

FIELDS_53 = [*_HEAD, *_SPHERES, *_SIZES, *_TAIL]
"""Version 4, monochrome: what the ice-core instrument writes."""
FIELDS_65 = [*_HEAD, *_SPHERES, *_SIZES, *_COLOURS, *_TAIL]
"""Version 4, colour."""
FIELDS_57 = [*_HEAD, *(f for f in _SIZES if f not in _SINCE_4), "aspect_ratio", *_COLOURS, *_TAIL[:2]]
"""Version 3, colour."""

GUID = "00000000-0000-0000-0000-{:012d}"
GREY = 127
STEM = "GRIP_3046_40_55_1"


def particle(number: int, **changed: object) -> dict[str, object]:
    """A row of a list: a 6 x 4 px particle in a 12 x 10 px crop, at 0.277 um/px."""
    k, fringe = 0.277, 4.5
    area, perimeter = 24.0, 16.0
    abd = k * max((4 * area / np.pi) ** 0.5 - fringe, (4 * area / np.pi) ** 0.5 / 2)
    row = dict.fromkeys([*FIELDS_65, "aspect_ratio"], 1.0)
    row |= dict.fromkeys(INTEGERS, 0)
    row |= {
        **{"id": number, "image_x": 14 * (number - 1), "image_y": 0, "image_w": 12, "image_h": 10},
        **{"src_x": 100 + number, "src_y": 200, "src_image": number, "cal_image": 1, "ppc": 1},
        **{
            "cal_const": k,
            "fringe_size": fringe,
            "raw_area": area,
            "raw_filled_area": area,
            "raw_perimeter": perimeter,
        },
        **{"raw_convex_hull_area": 15.0, "compactness": 1.0, "raw_legendre_major": 6.8, "raw_legendre_minor": 4.5},
        **{"abd_diameter": abd, "esd_diameter": abd * 1.05, "length": 0.9, "width": 0.6, "elapsed_time": float(number)},
        "timestamp": f"2020-11-13T10:00:{number:02d}.250",
        "collage_file": f"{STEM}_000001.tif",
        "image_id": GUID.format(number),
    }
    return {**row, **changed}


def _text(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def list_text(rows: Iterable[Mapping[str, object]], fields: Sequence[str] = FIELDS_53) -> str:
    """A version 017 list."""
    types = {"timestamp": "timestamp", "collage_file": "string", "image_id": "guid"}
    head = ["017", f"num-fields|{len(fields)}"]
    head += [f"{f}|{'int32' if f in INTEGERS else types.get(f, 'double')}" for f in fields]
    return "\n".join([*head, *("|".join(_text(row[f]) for f in fields) for row in rows)]) + "\n"


def crop_of(number: int) -> np.ndarray:
    """The crop of particle `number` in the collage of `build_run`."""
    crop = np.full((10, 12), GREY, dtype=np.uint8)
    crop[3:7, 3:9] = 40 + number
    return crop


def collage_of(rows: Iterable[Mapping[str, object]], shape: tuple[int, int] = (48, 96)) -> np.ndarray:
    """A page with every row's crop where the row says, black between them."""
    page = np.zeros(shape, dtype=np.uint8)
    for row in rows:
        page[row["image_y"] : row["image_y"] + 10, row["image_x"] : row["image_x"] + 12] = crop_of(row["id"])
    return page


def write_collage(path: Path, page: np.ndarray, *, mask: bool = True) -> None:
    """A collage as the instrument writes it: RGB with R = G = B, LZW; and its mask."""
    tifffile.imwrite(path, np.dstack([page] * 3), photometric="rgb", compression="lzw")
    if mask:
        inside = ((page > 0) & (page < GREY)).astype(np.uint8) * 255
        tifffile.imwrite(path.with_name(f"{path.stem}_bin.tif"), inside, photometric="minisblack", compression="lzw")


CONTEXT = """[Software]
SoftwareName=VisualSpreadsheet
SoftwareVersion=4.10.8
CameraMagnification=20
[General]
RunStartTime=2020-11-13 09:00:00
[Fluid]
FlowCellType=FC80
FlowCellDepth=80
SampleDilution=2
FluidVolumeImaged_ml=0.0000
CalibrationConstant=0.2770
FringeSize=4.5000
[CaptureRegion]
AcceptableLeft=10
AcceptableRight=1010
AcceptableTop=20
AcceptableBottom=920
[CaptureParameters]
ThresholdDark=15.0000
ThresholdLight=16.0000
[CaptureStats]
RawImageTotal=2000
Efficiency=30.1234
VolumeCF=0.9000
"""
CONTEXT_VOLUME_ML = 2000 * 1000 * 0.277 * 900 * 0.277 * 80e-12 * 0.9

RUN_SUMMARY = """Run:
\tMode:  AutoImage
\tFluid Volume Imaged: 0.0099 ml
\tEfficiency: 30.1%
\tParticle Count: 4

Images:
\tIntensity Mean:  127.50

Date/Time:
\tStart:  2020-11-13 10:00:00

Environment:
\tSoftware: VisualSpreadsheet 4.10.8
\tMagnification: 20X
\tCalibration Factor: 0.2770
\tCalibration Factor: 0.9999
"""

LIST_SUMMARY = """List File,GRIP_3046_40_55_1.lst
Start Time,2020-11-13  10:00:00

Count,4
Sample Volume Imaged ml,0.00994

Efficiency,30.1%

Summary Stats,Mean,Min,Max,StdDev,% CV
Area (ABD),9.54,0.92,464.16,33.35,349.49
"""


def write_text(path: Path, text: str, *, line_break: str = "\r\n", encoding: str = "utf-8") -> None:
    """Text with the line breaks of the instrument."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.replace("\n", line_break).encode(encoding))


def build_run(
    parent: Path,
    rows: Sequence[Mapping[str, object]] | None = None,
    *,
    name: str = STEM,
    fields: Sequence[str] = FIELDS_53,
    beside: bool = True,
) -> Path:
    """A run folder with a list of four particles, a collage, its mask and, if wanted, context and summaries."""
    folder = parent / name
    folder.mkdir(parents=True)
    rows = [particle(n) for n in range(1, 5)] if rows is None else rows
    (folder / f"{STEM}.lst").write_text(list_text(rows, fields))
    write_collage(folder / f"{STEM}_000001.tif", collage_of([particle(n) for n in range(1, 5)]))
    if beside:
        write_text(folder / f"{STEM}.ctx", CONTEXT)
        write_text(folder / f"{STEM}_run_summary.txt", RUN_SUMMARY)
        write_text(folder / f"{STEM}_summary.csv", LIST_SUMMARY)
    return folder


def write_png(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def png_claiming(width: int, height: int) -> bytes:
    """A well-formed PNG of a few bytes whose header claims any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def tiff_claiming(width: int, height: int) -> bytes:
    """A TIFF of a few bytes whose header claims any size."""
    tags = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1)]
    tags += [(278, 4, height), (279, 4, 100)]
    directory = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    start = 8 + 100
    return struct.pack("<2sHI", b"II", 42, start) + bytes(100) + struct.pack("<H", len(tags)) + directory + bytes(4)


def reasons(run: Run) -> list[str]:
    """Why rows were refused."""
    return run.rejects["reason"].tolist()


def kept(run: Run) -> list[int]:
    """Particle IDs of the rows kept."""
    return run.particles["Particle ID"].tolist()


def messages(run: Run) -> str:
    """Everything that was tolerated, as people read it."""
    return "\n".join(str(problem) for problem in run.problems)
