"""From what the instrument wrote to our tables: a run becomes particles, rejects and one row of facts."""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from icecore_dagster.flowcam.landing import RunName
from icecore_dagster.flowcam.run import Run
from icecore_dagster.particles.measure import measure_particle
from icecore_dagster.particles.properties import PROPERTIES
from icecore_dagster.particles.segment import segment_particle

UM_PER_PX_AT_20X = 0.277
"""Pixel size of the FlowCam's 20x objective, half of the 0.5545 um/px measured in exports of its 10x objective."""

_OBJECTIVE = re.compile(r"(?:^|_)(\d+)x(?:_|$)", re.IGNORECASE)
_DEFAULT_FRINGE_PX = 4.5
_DEFAULT_THRESHOLD_GREY = 15

_BOOKKEEPING = {
    "Run": "run",
    "Particle ID": "particle_number",
    "Image File": "image_file",
    "Source Image": "source_frame",
    "Capture X": "capture_x_px",
    "Capture Y": "capture_y_px",
    "Timestamp": "timestamp",
    "Image Height": "crop_height_px",
    "Image Width": "crop_width_px",
    "Calibration Factor": "calibration_um_per_px",
}


@dataclass(frozen=True)
class Ingested:
    """What one run became.

    Attributes:
        particles: the measured columns of `schemas.SEGMENT_PARTICLES` with particle_id and run, in the order in which
            the run's crops are read; the index is the row in `Run.particles`.
        rejects: `schemas.SEGMENT_REJECTS`.
        facts: one row's worth of `schemas.SEGMENT_RUNS`, without the cell's columns and the fingerprint.
    """

    particles: pd.DataFrame
    rejects: pd.DataFrame
    facts: dict[str, object]


class RowBalanceError(ValueError):
    """Rows read are not the sum of rows kept and rows refused: the reader lost some."""


def ingest_run(run: Run, *, um_per_px: float | None = None) -> Ingested:
    """Turn a validated run into our tables.

    Properties that the instrument exported are kept as they are; those it did not export are measured from the crop.

    Args:
        run: a run as `flowcam.run.read_run` returns it.
        um_per_px: calibration for runs that state none (um/px); without it the objective in the run's name (`_20x_`)
            is used, and sizes stay empty where neither is known.

    Returns:
        Particles, rejects and facts.

    Raises:
        RowBalanceError: rows in are not rows kept plus rows refused.
    """
    particles = _our_columns(run)
    if particles["calibration_um_per_px"].isna().any():
        known = um_per_px or run.facts.calibration_um_per_px
        nominal = particles["run"].map(lambda name: known or calibration_from_name(name)).astype(float)
        particles["calibration_um_per_px"] = particles["calibration_um_per_px"].fillna(nominal)
    particles = _in_order_of_crops(_fill_from_pixels(run, particles))
    found, refused = run.facts.particles_found, len(run.rejects)
    if found != len(particles) + refused:
        raise RowBalanceError(
            f"{run.facts.path}: {found} rows read, but {len(particles)} kept and {refused} refused; "
            "please report this run, some of its rows were lost"
        )
    return Ingested(particles, our_rejects(run), _facts(run, len(particles)))


def calibration_from_name(run: str) -> float | None:
    """Pixel size in um/px from an objective in a run's name (`camp_11nov_4_fc80_20x`), or None.

    The size scales with 1/magnification from the 20x objective.
    """
    match = _OBJECTIVE.search(run)
    return UM_PER_PX_AT_20X * 20 / int(match.group(1)) if match and int(match.group(1)) else None


def _our_columns(run: Run) -> pd.DataFrame:
    theirs = run.particles
    ours = pd.DataFrame(index=theirs.index)
    for name, column in _BOOKKEEPING.items():
        ours[column] = theirs.get(name)
    for p in PROPERTIES:
        ours[p.column] = theirs[p.flowcam_name].astype(float) if p.flowcam_name in theirs else np.nan
    ours["particle_number"] = ours["particle_number"].astype("int64")
    ours["calibration_um_per_px"] = ours["calibration_um_per_px"].astype(float)
    ours.loc[ours["calibration_um_per_px"] <= 0, "calibration_um_per_px"] = np.nan
    ours["particle_id"] = ours["run"].astype(str) + "_" + ours["particle_number"].astype(str)
    ours["properties_from"] = "instrument" if "Area (ABD)" in theirs else "pixels"
    return ours


def _fill_from_pixels(run: Run, particles: pd.DataFrame) -> pd.DataFrame:
    """Measure what the export lacks, and note which particles have an image and how large it is."""
    columns = [p.column for p in PROPERTIES]
    lacking = particles[columns].isna().any(axis=1).to_numpy()
    values = particles[columns].to_numpy(dtype=float, copy=True)
    has_image = np.zeros(len(particles), dtype=bool)
    read_as = np.full(len(particles), len(particles), dtype=np.int64)
    sizes = np.zeros((len(particles), 2), dtype=np.int64)
    calibration = particles["calibration_um_per_px"].to_numpy(dtype=float)
    capture = particles[["capture_x_px", "capture_y_px"]].astype(float).fillna(0.0).to_numpy()
    fringe = run.facts.fringe_px if run.facts.fringe_px is not None else _DEFAULT_FRINGE_PX
    dark = run.facts.threshold_dark or _DEFAULT_THRESHOLD_GREY
    light = run.facts.threshold_light or _DEFAULT_THRESHOLD_GREY
    all_missing = particles["properties_from"].eq("pixels").to_numpy()
    for place, (i, crop, mask) in enumerate(run.iter_crops()):
        if crop is None:
            continue
        read_as[i] = place
        has_image[i], sizes[i] = True, crop.shape
        if not lacking[i] or (not all_missing[i] and not _measurable(columns, values[i])):
            continue
        mask = segment_particle(crop, threshold_dark=dark, threshold_light=light) if mask is None else mask
        if not mask.any():
            continue
        unit = calibration[i] if np.isfinite(calibration[i]) else 1.0
        measured = measure_particle(crop, mask, unit, fringe, *capture[i])
        fresh = np.array([measured[c] for c in columns], dtype=float)
        if not np.isfinite(calibration[i]):
            fresh[_IN_MICROMETRES] = np.nan
        values[i] = np.where(np.isnan(values[i]), fresh, values[i])
    particles[columns] = values
    particles["has_image"] = has_image
    particles[_READ_AS] = read_as
    for k, column in enumerate(("crop_height_px", "crop_width_px")):
        stated = pd.to_numeric(particles[column]).fillna(0)
        particles[column] = np.where(has_image, sizes[:, k], stated).astype("int64")
    return _derive_volumes(particles)


def _in_order_of_crops(particles: pd.DataFrame) -> pd.DataFrame:
    """Crops come collage by collage, whatever the order of the list's rows; tables and crops are kept in that order."""
    return particles.sort_values(_READ_AS, kind="stable").drop(columns=_READ_AS)


_READ_AS = "read_as"
_IN_MICROMETRES = np.array([p.unit.startswith("µm") for p in PROPERTIES])
_DERIVABLE = {"biovolume_cylinder_um3", "biovolume_p_spheroid_um3"}


def _measurable(columns: list[str], row: np.ndarray) -> bool:
    """Whether an exported row lacks more than what simply follows from its own length and width."""
    return any(np.isnan(v) and c not in _DERIVABLE for c, v in zip(columns, row, strict=True))


def _derive_volumes(particles: pd.DataFrame) -> pd.DataFrame:
    """Fill biovolumes that were not exported from Width and Length (see their formulas in `properties.py`)."""
    spheroid = np.pi / 6 * particles["width_um"] ** 2 * particles["length_um"]
    cylinder = np.pi / 4 * particles["width_um"] ** 2 * particles["length_um"]
    particles["biovolume_p_spheroid_um3"] = particles["biovolume_p_spheroid_um3"].fillna(spheroid)
    particles["biovolume_cylinder_um3"] = particles["biovolume_cylinder_um3"].fillna(cylinder)
    return particles


def our_rejects(run: Run) -> pd.DataFrame:
    """A run's refused rows under our column names."""
    return pd.DataFrame(
        {
            "run": run.rejects["Run"].astype("string"),
            "particle_number": run.rejects["Particle ID"].astype("Int64"),
            "file": run.rejects["file"].astype("string"),
            "row": run.rejects["row"].astype("Int64"),
            "reason": run.rejects["reason"].astype("string"),
            "remedy": run.rejects["remedy"].astype("string"),
        }
    )


def _facts(run: Run, kept: int) -> dict[str, object]:
    facts = run.facts
    return {
        "run": facts.name,
        "format": facts.format,
        "software_version": facts.software_version,
        "magnification": None if facts.magnification is None else f"{facts.magnification:g}X",
        "calibration_um_per_px": facts.calibration_um_per_px,
        "volume_imaged_ml": facts.volume_imaged_ml,
        "volume_source": facts.volume_source,
        "efficiency": facts.efficiency,
        "started_at": facts.started_at.isoformat() if facts.started_at else None,
        "time_zone": facts.time_zone,
        "particles_claimed": facts.particles_claimed,
        "rows_found": facts.particles_found,
        "rows_kept": kept,
        "rows_refused": len(run.rejects),
        "missing_files": ", ".join(facts.missing_files),
        "problems": "\n".join(str(problem) for problem in run.problems),
    }


def with_cell(frame: pd.DataFrame, name: RunName) -> pd.DataFrame:
    """Add the core, segment and replicate that a run's name states."""
    return frame.assign(core=name.core, segment=name.segment, replicate=name.replicate)
