"""What one run holds, in words: for `icecore inspect`, before anything is learnt or scored."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from icecore_dagster.flowcam.landing import RunNameError, parse_run_name
from icecore_dagster.flowcam.run import Run, RunFacts, read_run
from icecore_dagster.particles.properties import BY_FLOWCAM_NAME

_SIZED = "Diameter (ESD)"


@dataclass(frozen=True)
class RunDescription:
    """A run in words and numbers.

    Attributes:
        facts: what is known, as text, in reading order.
        wrong: what is wrong with it, a line each.
        numbers: the same for programs.
    """

    facts: dict[str, str]
    wrong: list[str]
    numbers: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {**self.numbers, "what is wrong": self.wrong}


def describe_run(path: Path) -> RunDescription:
    """Read a run and say what it holds.

    Args:
        path: run folder, table of images, folder of crops, or one image.

    Raises:
        flowcam.run.RunError: a file of the run cannot be read.
    """
    run = read_run(path)
    wrong = [*_naming(path), *(str(problem) for problem in run.problems), *_refused(run)]
    return RunDescription(_facts(run), wrong, _numbers(run))


def _naming(path: Path) -> list[str]:
    if not path.is_dir():
        return []
    try:
        parse_run_name(path.name)
    except RunNameError as error:
        return [f"before it goes into the landing folder: {error}"]
    return []


def _refused(run: Run) -> list[str]:
    rows = run.rejects.head(20).itertuples(index=False)
    lines = [f"refused: {row.file}, line {row.row}: {row.reason}; {row.remedy}" for row in rows]
    more = len(run.rejects) - len(lines)
    return [*lines, f"... and {more} more refused rows"] if more > 0 else lines


def _sizes(run: Run) -> pd.Series:
    return run.particles[_SIZED].dropna() if _SIZED in run.particles else pd.Series(dtype=float)


def _facts(run: Run) -> dict[str, str]:
    facts, sizes = run.facts, _sizes(run)
    size = "unknown"
    if len(sizes):
        low, median, high = sizes.min(), sizes.median(), sizes.max()
        size = f"{low:.2f} to {high:.2f} {BY_FLOWCAM_NAME[_SIZED].unit}, median {median:.2f} ({_SIZED})"
    return {
        "format": facts.format,
        "particles": _counted(facts, run),
        "size": size,
        "calibration": _with_source(facts.calibration_um_per_px, "µm/px", facts.calibration_source),
        "volume imaged": _with_source(facts.volume_imaged_ml, "ml", facts.volume_source),
        "concentration": f"{len(run.particles) / facts.volume_imaged_ml:,.0f} particles/ml"
        if facts.volume_imaged_ml
        else "unknown",
        "efficiency": "unknown" if facts.efficiency is None else f"{facts.efficiency:.1%}",
        "started": "unknown"
        if facts.started_at is None
        else f"{facts.started_at:%Y-%m-%d %H:%M:%S} ({facts.time_zone or 'zone unknown'})",
        "software": f"VisualSpreadsheet {facts.software_version}" if facts.software_version else "unknown",
        "magnification": "unknown" if facts.magnification is None else f"{facts.magnification:g}X",
        "masks": "yes" if _has_masks(run) else "no",
        "missing files": ", ".join(facts.missing_files) or "none",
    }


def _counted(facts: RunFacts, run: Run) -> str:
    claimed = "" if facts.particles_claimed is None else f", {facts.particles_claimed} claimed by the summary"
    return f"{len(run.particles)} of {facts.particles_found} rows kept, {len(run.rejects)} refused{claimed}"


def _with_source(value: float | None, unit: str, source: str) -> str:
    return "unknown" if value is None else f"{value:g} {unit} (from {source})"


def _has_masks(run: Run) -> bool:
    return any(run.mask(i) is not None for i in range(min(len(run.particles), 5)))


def _numbers(run: Run) -> dict[str, Any]:
    facts, sizes = run.facts, _sizes(run)
    return {
        "name": facts.name,
        "format": facts.format,
        "rows_found": facts.particles_found,
        "particles": len(run.particles),
        "rows_refused": len(run.rejects),
        "particles_claimed": facts.particles_claimed,
        "diameter_esd_um": {
            "min": float(sizes.min()),
            "median": float(sizes.median()),
            "max": float(sizes.max()),
        }
        if len(sizes)
        else None,
        "calibration_um_per_px": facts.calibration_um_per_px,
        "calibration_source": facts.calibration_source,
        "fringe_px": facts.fringe_px,
        "volume_imaged_ml": facts.volume_imaged_ml,
        "volume_source": facts.volume_source,
        "efficiency": facts.efficiency,
        "started_at": facts.started_at.isoformat() if facts.started_at else None,
        "time_zone": facts.time_zone,
        "software_version": facts.software_version,
        "magnification": facts.magnification,
        "has_masks": _has_masks(run),
        "missing_files": list(facts.missing_files),
    }
