"""What is known about a run as a whole, and which of several sources is believed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pandas as pd

from icecore_dagster.flowcam.images import LUMINANCE, SWAPPED_LUMINANCE, GreyWeights
from icecore_dagster.flowcam.metadata import Quantity, Settings, read_context, read_list_summary, read_run_summary
from icecore_dagster.flowcam.problems import Problem
from icecore_dagster.flowcam.source import RunFiles
from icecore_dagster.flowcam.tables.lists import ParticleTable

_ZONE_STEP = timedelta(minutes=15)
_CLOCK_TOLERANCE = timedelta(minutes=2)
_PARTICLE_TOLERANCE = timedelta(minutes=5)
_WIDEST_ZONE = timedelta(hours=14)
_FORMULA_TOLERANCE = 0.05
_PLACEHOLDER = 1.0
_TWO_CLOCKS = "times stay as they are written; check the instrument's clock and time zone"


@dataclass(frozen=True)
class RunFacts:
    """One run as a whole.

    Attributes:
        name: the run folder's name.
        path: what was read.
        format: "list 017", "list 013", "export", "image table" or "images".
        software_version: of VisualSpreadsheet, such as "4.19.3".
        magnification: of the objective.
        calibration_um_per_px: size of a pixel.
        calibration_source: file it was taken from; "unknown" if None.
        fringe_px: fringe correction that the instrument subtracts from sizes.
        volume_imaged_ml: volume of fluid that the camera saw.
        volume_source: file or formula it was taken from; "unknown" if None.
        efficiency: share of the sample that the camera saw, 0-1.
        dilution: factor by which the sample was diluted.
        started_at: start of the run, with its zone if that can be known.
        time_zone: zone of `started_at` and of the particles' `Timestamp`: "UTC", "UTC+02:00", or
            "local, zone unknown"; None if there is no time at all.
        particles_claimed: number of particles that the summaries state.
        particles_found: rows of the particle table.
        background_grey: mean grey of the camera's frames.
        threshold_dark: grey levels below the background from which a pixel belongs to a particle.
        threshold_light: the same above the background.
        flow_cell: such as "FC80".
        missing_files: files that belong to such a run and are absent; of single images the first hundred.
    """

    name: str
    path: Path
    format: str
    software_version: str | None
    magnification: float | None
    calibration_um_per_px: float | None
    calibration_source: str
    fringe_px: float | None
    volume_imaged_ml: float | None
    volume_source: str
    efficiency: float | None
    dilution: float | None
    started_at: datetime | None
    time_zone: str | None
    particles_claimed: int | None
    particles_found: int
    background_grey: float | None
    threshold_dark: float | None
    threshold_light: float | None
    flow_cell: str | None
    missing_files: tuple[str, ...]


@dataclass(frozen=True)
class Metadata:
    """The key-value files of a run; one that is absent is empty."""

    context: Settings
    run_summary: Settings
    list_summary: Settings


def read_metadata(files: RunFiles) -> Metadata:
    """Read those of the key-value files that are there."""
    return Metadata(
        read_context(files.context) if files.context else Settings("", {}),
        read_run_summary(files.run_summary) if files.run_summary else Settings("", {}),
        read_list_summary(files.list_summary) if files.list_summary else Settings("", {}),
    )


def gather_facts(
    files: RunFiles, table: ParticleTable, metadata: Metadata, missing: Sequence[str]
) -> tuple[RunFacts, list[Problem]]:
    """Decide what is believed of a run.

    Args:
        files: where it was read from.
        table: its particle table.
        metadata: its key-value files.
        missing: names of files that are absent.

    Returns:
        The facts, and where sources contradict each other.
    """
    context, problems = metadata.context, list[Problem]()
    calibration, calibration_source = _calibration(table, metadata, problems)
    volume, volume_source = _volume(metadata, calibration, problems)
    started_at, time_zone = _start(table, metadata, problems)
    facts = RunFacts(
        name=files.name,
        path=files.path,
        format=table.format,
        software_version=software_version(metadata),
        magnification=_magnification(metadata),
        calibration_um_per_px=calibration,
        calibration_source=calibration_source,
        fringe_px=_fringe(table, context),
        volume_imaged_ml=volume,
        volume_source=volume_source,
        efficiency=_efficiency(metadata, problems),
        dilution=_positive(context.number("Fluid/SampleDilution")),
        started_at=started_at,
        time_zone=time_zone,
        particles_claimed=_claimed(table, metadata, problems),
        particles_found=table.rows_in,
        background_grey=_positive(metadata.run_summary.number("Intensity Mean")),
        threshold_dark=context.number("CaptureParameters/ThresholdDark"),
        threshold_light=context.number("CaptureParameters/ThresholdLight"),
        flow_cell=context.text("Fluid/FlowCellType"),
        missing_files=tuple(missing),
    )
    return facts, problems


def grey_weights(table: ParticleTable, version: str | None) -> GreyWeights:
    """How this run's software turned colour into grey.

    Where the table holds both Intensity and the average colours, they decide: VisualSpreadsheet 4 exchanged red and
    blue. Else the version decides, else the presence of fields that came with version 4.
    """
    rows = table.rows
    if {"Intensity", "Average Red", "Average Green", "Average Blue"} <= set(rows) and len(rows):
        colours = rows[["Average Red", "Average Green", "Average Blue"]].to_numpy(dtype=np.float64)
        intensity = rows["Intensity"].to_numpy(dtype=np.float64)
        plain, swapped = (
            float(np.nanmedian(np.abs(colours @ np.array(weights) / sum(weights) - intensity)))
            for weights in (LUMINANCE, SWAPPED_LUMINANCE)
        )
        return SWAPPED_LUMINANCE if swapped < plain else LUMINANCE
    major = re.match(r"\d+", version or "")
    since_4 = int(major[0]) >= 4 if major else "raw_legendre_major" in rows
    return SWAPPED_LUMINANCE if since_4 else LUMINANCE


def _positive(value: float | None) -> float | None:
    return value if value is not None and value > 0 else None


def software_version(metadata: Metadata) -> str | None:
    """Version of VisualSpreadsheet that wrote the run, such as "4.19.3", or None."""
    stated = metadata.context.text("Software/SoftwareVersion") or metadata.run_summary.text("Software")
    found = re.search(r"\d+(?:\.\d+)+", stated or "")
    return found[0] if found else None


def _magnification(metadata: Metadata) -> float | None:
    stated = metadata.context.number("Software/CameraMagnification")
    return _positive(
        stated or metadata.run_summary.number("Magnification") or metadata.list_summary.number("Magnification")
    )


def _believed(stated: Sequence[Quantity | None], what: str, problems: list[Problem]) -> Quantity | None:
    """Of several statements of one quantity: the most precise of those that agree, within rounding, with the first."""
    known = [quantity for quantity in stated if quantity is not None and quantity.value > 0]
    if not known:
        return None
    first, agreeing = known[0], [known[0]]
    for other in known[1:]:
        if abs(other.value - first.value) <= (other.half_unit + first.half_unit) * (1 + 1e-9):
            agreeing.append(other)
        else:
            message = f"{what} is {other.value:g} here, but {first.value:g} in {first.file}"
            problems.append(Problem(other.file, None, message, f"{first.file} is believed"))
    return min(agreeing, key=lambda quantity: quantity.half_unit)


def _in_ml(quantity: Quantity | None, problems: list[Problem]) -> Quantity | None:
    if quantity is None or quantity.unit.lower() in ("", "ml"):
        return quantity
    message = f"volume imaged is stated in {quantity.unit!r}"
    problems.append(Problem(quantity.file, None, message, "ml is expected; the statement is not used"))
    return None


def _volume(metadata: Metadata, calibration: float | None, problems: list[Problem]) -> tuple[float | None, str]:
    context, summary, listed = metadata.context, metadata.run_summary, metadata.list_summary
    stated = [
        _in_ml(summary.quantity("Fluid Volume Imaged"), problems),
        _in_ml(listed.quantity("Sample Volume Imaged ml", "Fluid Volume Imaged", "Sample Volume Imaged"), problems),
        context.quantity("Fluid/FluidVolumeImaged_ml"),
    ]
    believed = _believed(stated, "volume imaged (ml)", problems)
    computed = volume_from_context(context, calibration)
    if believed is None:
        return (computed, f"{context.file}: frames x field of view x depth") if computed else (None, "unknown")
    if computed and abs(computed / believed.value - 1) > _FORMULA_TOLERANCE:
        message = f"frames x field of view x depth give {computed:.5g} ml, {believed.file} states {believed.value:g} ml"
        problems.append(
            Problem(context.file, None, message, f"{believed.file} is believed; check the flow cell's depth")
        )
    return believed.value, believed.file


def volume_from_context(context: Settings, calibration: float | None) -> float | None:
    """Volume of fluid imaged in ml, from the settings.

    frames x (Right - Left) k x (Bottom - Top) k x depth (um) x 1e-12 x VolumeCF, with the pixel size k in um/px.

    Args:
        context: the `.ctx` file.
        calibration: k in um/px; without it the context's own is used.

    Returns:
        None if one of the settings is missing.
    """
    k = calibration or _positive(context.number("Fluid/CalibrationConstant"))
    frames, depth = context.number("CaptureStats/RawImageTotal"), context.number("Fluid/FlowCellDepth")
    edges = [context.number(f"CaptureRegion/Acceptable{edge}") for edge in ("Left", "Right", "Top", "Bottom")]
    if k is None or not frames or not depth or None in edges:
        return None
    left, right, top, bottom = (float(edge) for edge in edges if edge is not None)
    correction = _positive(context.number("CaptureStats/VolumeCF")) or 1.0
    return _positive(frames * (right - left) * k * (bottom - top) * k * depth * 1e-12 * correction)


def _efficiency(metadata: Metadata, problems: list[Problem]) -> float | None:
    stated = [
        metadata.run_summary.quantity("Efficiency"),
        metadata.list_summary.quantity("Efficiency"),
        metadata.context.quantity("CaptureStats/Efficiency"),
    ]
    believed = _believed(stated, "efficiency (%)", problems)
    return None if believed is None else believed.value / 100


def _calibration(table: ParticleTable, metadata: Metadata, problems: list[Problem]) -> tuple[float | None, str]:
    rows, context = table.rows, metadata.context
    stated = _positive(context.number("Fluid/CalibrationConstant"))
    factors = rows["Calibration Factor"].dropna() if "Calibration Factor" in rows else pd.Series(dtype=float)
    factors = factors[factors > 0]
    if not factors.empty:
        counts = factors.value_counts()
        usual = float(counts.index[0])
        if len(counts) > 1:
            message = f"{len(counts)} calibration factors in one table ({usual:g} um/px in most rows)"
            problems.append(Problem(table.file, None, message, "each particle keeps its own; keep one objective a run"))
        elif stated and stated != _PLACEHOLDER and abs(stated / usual - 1) > 0.005:
            message = f"CalibrationConstant is {stated:g} um/px, the particles were measured with {usual:g}"
            problems.append(Problem(context.file, None, message, "the particles' own is believed"))
        return usual, table.file
    if stated and stated != _PLACEHOLDER:
        return stated, context.file
    if stated == _PLACEHOLDER:
        message = "CalibrationConstant is 1.0, which is a placeholder"
        problems.append(Problem(context.file, None, message, "state the pixel size of the objective (um/px)"))
    factor = _positive(metadata.run_summary.number("Calibration Factor"))
    return (factor, metadata.run_summary.file) if factor else (None, "unknown")


def _fringe(table: ParticleTable, context: Settings) -> float | None:
    if "Fringe Size" in table.rows and len(table.rows):
        return float(table.rows["Fringe Size"].median())
    if table.format == "list 013":
        return 0.0  # VisualSpreadsheet 1 did not correct for the fringe
    return context.number("Fluid/FringeSize")


def stated_count(table: ParticleTable, metadata: Metadata) -> tuple[int | None, str]:
    """Number of particles that the summaries, or else the table itself, state, and the file that does."""
    stated = metadata.run_summary.quantity("Particle Count") or metadata.list_summary.quantity("Count")
    return (int(stated.value), stated.file) if stated else (table.claimed, table.file)


def _claimed(table: ParticleTable, metadata: Metadata, problems: list[Problem]) -> int | None:
    claimed, file = stated_count(table, metadata)
    if claimed is not None and claimed != table.rows_in:
        message = f"{claimed} particles are stated, {table.rows_in} are in {table.file}"
        remedy = "particles deleted in VisualSpreadsheet leave such a gap; else the table is not complete"
        problems.append(Problem(file, None, message, remedy))
    return claimed


def _start(table: ParticleTable, metadata: Metadata, problems: list[Problem]) -> tuple[datetime | None, str | None]:
    """Start of the run and its zone: the context file is in UTC, the summaries and the particles are local."""
    utc = metadata.context.moment("General/RunStartTime")
    local = metadata.run_summary.moment("Start") or metadata.list_summary.moment("Start Time")
    first = _first_particle(table)
    if table.times_are_utc:
        return _aware(utc or first, timedelta()), "UTC" if utc or first else None
    clock, tolerance = (local, _CLOCK_TOLERANCE) if local else (first, _PARTICLE_TOLERANCE)
    if utc and clock:
        offset = round((clock - utc) / _ZONE_STEP) * _ZONE_STEP
        if abs(offset) <= _WIDEST_ZONE and abs(clock - utc - offset) <= tolerance:
            started_at = _aware(utc + offset, offset)
            return started_at, _zone_name(offset)
        message = f"the run started at {utc} UTC, but at {clock} by the local clock: no time zone explains that"
        problems.append(Problem(metadata.context.file, None, message, _TWO_CLOCKS))
    if clock:
        return clock, "local, zone unknown"
    return (_aware(utc, timedelta()), "UTC") if utc else (None, None)


def _first_particle(table: ParticleTable) -> datetime | None:
    """When imaging began, by the earliest particle."""
    if "Timestamp" not in table.rows:
        return None
    times = table.rows["Timestamp"]
    if "Elapsed Time" in table.rows:
        times = times - pd.to_timedelta(table.rows["Elapsed Time"].fillna(0).clip(0, 1e7), unit="s")
    return None if times.isna().all() else times.min().floor("s").to_pydatetime()


def _aware(moment: datetime | None, offset: timedelta) -> datetime | None:
    return moment.replace(tzinfo=timezone(offset)) if moment else None


def _zone_name(offset: timedelta) -> str:
    minutes = abs(offset) // timedelta(minutes=1)
    return "UTC" if not minutes else f"UTC{'-' if offset < timedelta() else '+'}{minutes // 60:02d}:{minutes % 60:02d}"
