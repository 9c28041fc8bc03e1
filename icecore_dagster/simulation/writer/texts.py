"""The texts that VisualSpreadsheet 4 leaves beside a list: context (`.ctx`), run summary, table of statistics."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import numpy as np

from icecore_dagster.particles.measure import FRINGE_PX
from icecore_dagster.simulation.instrument import (
    BORDER_PX,
    FLOW_CELL_DEPTH_UM,
    FRAME_HEIGHT_PX,
    FRAME_WIDTH_PX,
    Conditions,
)
from icecore_dagster.simulation.plans import FRAME_VOLUME_ML, FRAMES_PER_S, RunPlan
from icecore_dagster.simulation.shapes.raster import PIXEL_UM

LOCAL_ZONE = timezone(timedelta(hours=1))
"""Central European winter time: the runs are dated in November and December, in Bergen."""
SOFTWARE_VERSION = "4.10.8"
"""A VisualSpreadsheet 4 of which monochrome runs were published."""
_EFFICIENCY = 0.62
"""Share of the pumped sample that is in front of the camera when it exposes (plausible; published runs: 0.22)."""
_PRIMING_SHARE = 0.05
"""Share of the aspirated sample that is lost to priming (plausible)."""


class Statistics:
    """Running sums of every property, for the table of means."""

    def __init__(self) -> None:
        """Nothing counted yet."""
        self.count = 0
        self._names: list[str] = []
        self._sums = self._squares = self._low = self._high = np.zeros(0)

    def add(self, named: dict[str, float]) -> None:
        """Count one particle's properties."""
        values = np.array([named[name] for name in sorted(named)])
        if self.count == 0:
            self._names = sorted(named)
            self._sums, self._squares = np.zeros(len(values)), np.zeros(len(values))
            self._low, self._high = values, values
        self.count += 1
        self._sums += values
        self._squares += values**2
        self._low, self._high = np.minimum(self._low, values), np.maximum(self._high, values)

    def rows(self) -> Iterable[str]:
        """Name, mean, smallest, largest, standard deviation and its percentage of the mean, comma-separated."""
        means = self._sums / max(self.count, 1)
        deviations = np.sqrt(np.maximum(self._squares / max(self.count, 1) - means**2, 0))
        for name, *values in zip(self._names, means, self._low, self._high, deviations, strict=True):
            percent = 100 * values[3] / values[0] if values[0] else 0.0
            yield ",".join([name, *(f"{value:.2f}" for value in (*values, percent))])


@dataclass(frozen=True)
class RunFigures:
    """What the texts tell about a finished run.

    Attributes:
        plan: the run.
        conditions: how the instrument stood.
        particles: number of particles in the list.
        frames_used: number of frames that show a particle.
        background_grey: mean grey of the calibration image.
    """

    plan: RunPlan
    conditions: Conditions
    particles: int
    frames_used: int
    background_grey: float

    @property
    def imaging_s(self) -> float:
        """Seconds from the first frame to the last."""
        return self.plan.frames / FRAMES_PER_S

    @property
    def ended_at(self) -> datetime:
        """Local time at which the run ends: after flushing for ten seconds."""
        return self.plan.started_at + timedelta(seconds=self.imaging_s + 10)

    @property
    def imaged_ml(self) -> float:
        """Water that was in front of the camera."""
        return self.plan.frames * FRAME_VOLUME_ML

    @property
    def processed_ml(self) -> float:
        """Water that was pumped while imaging."""
        return self.imaged_ml / _EFFICIENCY

    @property
    def aspirated_ml(self) -> float:
        """Water that was drawn in."""
        return self.processed_ml * (1 + _PRIMING_SHARE)

    @property
    def flow_ml_min(self) -> float:
        """Speed of the pump."""
        return self.processed_ml / self.imaging_s * 60


def context(run: RunFigures) -> list[str]:
    """Lines of the `.ctx` file; its times are UTC, unlike those of every other file."""
    start, end = (
        moment.replace(tzinfo=LOCAL_ZONE).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
        for moment in (run.plan.started_at, run.ended_at)
    )
    sections: dict[str, dict[str, object]] = {
        "Software": {
            "SoftwareName": "VisualSpreadsheet",
            "SoftwareVersion": SOFTWARE_VERSION,
            "SoftwareBetaFlag": 0,
            "CameraMagnification": 20,
        },
        "General": {"TechnicianName": " ", "LocationName": " ", "RunStartTime": start, "RunEndTime": end},
        "CameraBehavior": {"AutoImageRate": f"{FRAMES_PER_S:.0f}"},
        "Camera": {"AutoTriggerFlag": 1, "ImageWidth": FRAME_WIDTH_PX, "ImageHeight": FRAME_HEIGHT_PX},
        "Fluid": {
            "FlowCellType": f"FC{FLOW_CELL_DEPTH_UM:.0f}",
            "FlowCellDepth": f"{FLOW_CELL_DEPTH_UM:.0f}",
            "UseManualVolume": 0,
            "FluidVolumeImaged_ml": f"{run.imaged_ml:.8f}",
            "SampleDilution": 1,
            "PumpFlowRate": f"{run.flow_ml_min:.4f}",
            "CalibrationConstant": f"{PIXEL_UM:.4f}",
            "FringeSize": f"{FRINGE_PX:.4f}",
        },
        "CaptureRegion": {
            "AcceptableLeft": 0,
            "AcceptableRight": FRAME_WIDTH_PX,
            "AcceptableTop": 0,
            "AcceptableBottom": FRAME_HEIGHT_PX,
            "ImagePixelBorder": BORDER_PX,
            "SaveImageFiles": 1,
            "SaveBinaryImageFiles": 1,
            "SaveRawFiles": 0,
        },
        "CaptureParameters": {
            "DistanceToNeighbor": f"{run.conditions.neighbour_um:.4f}",
            "ThresholdDark": f"{run.conditions.threshold_dark:.4f}",
            "ThresholdLight": f"{run.conditions.threshold_light:.4f}",
            "CloseHoles": run.conditions.close_iterations,
            "CaptureDarkOrLightPixels": 2,
            "MinESD": f"{run.conditions.smallest_esd_um:.4f}",
            "MaxESD": "10000.0000",
        },
        "CaptureStats": {
            "RawImageTotal": run.plan.frames,
            "RunTimeMilliSeconds": f"{run.imaging_s * 1000:.0f}",
            "CalibrationsCompletedCount": 1,
            "SampleVolumeAspirated": f"{run.aspirated_ml:.8f}",
            "ParticlesPerImage": f"{run.particles / run.plan.frames:.4f}",
            "Efficiency": f"{100 * _EFFICIENCY:.4f}",
            "VolumeCF": "1.0000",
            "IncludesVolumeCF": 1,
        },
    }
    return [
        line
        for section, settings in sections.items()
        for line in (f"[{section}]", *(f"{key}={value}" for key, value in settings.items()))
    ]


def run_summary(run: RunFigures) -> list[str]:
    """Lines of the `_run_summary.txt` file."""
    sections: dict[str, dict[str, str]] = {
        "Run": {
            "Mode": "AutoImage",
            "Flow Rate": f"{run.flow_ml_min:.3f} ml/min",
            "Recalibrations": "0",
            "Stop Reason": "Sample Volume" if run.plan.in_ice else "Particle Count",
            "Sample Volume Aspirated": f"{run.aspirated_ml:.8f} ml",
            "Sample Volume Processed": f"{run.processed_ml:.8f} ml",
            "Fluid Volume Imaged": f"{run.imaged_ml:.8f} ml",
            "Efficiency": f"{100 * _EFFICIENCY:.1f}%",
            "Particle Count": f"{run.particles}",
        },
        "Images": {
            "Total": f"{run.plan.frames}",
            "Used": f"{run.frames_used}",
            "Percentage Used": f"{100 * run.frames_used / run.plan.frames:.2f}%",
            "Particles Per Used Image": f"{run.particles / max(run.frames_used, 1):.2f}",
            "Particles Per Image": f"{run.particles / run.plan.frames:.2f}",
            "Frame Rate": f"{FRAMES_PER_S:.2f} fps",
            "Intensity Mean": f"{run.background_grey:.2f}",
        },
        "Date/Time": {
            "Start": f"{run.plan.started_at:%Y-%m-%d %H:%M:%S}",
            "End": f"{run.ended_at:%Y-%m-%d %H:%M:%S}",
            "Sampling Time": f"{timedelta(seconds=round(run.imaging_s))}".zfill(8),
        },
        "Environment": {
            "Software": f"VisualSpreadsheet {SOFTWARE_VERSION}",
            "Magnification": "20X",
            "Calibration Factor": f"{PIXEL_UM:.4f}",
            "SerialNo": "NA",
        },
    }
    lines: list[str] = []
    for title, entries in sections.items():
        lines += [f"{title}:", *(f"\t{key}: {value}" for key, value in entries.items()), ""]
    return lines[:-1]


def statistics_table(run: RunFigures, statistics: Statistics) -> list[str]:
    """Lines of the `_summary.csv` file."""
    conditions = run.conditions
    return [
        f"List File,{run.plan.name}.lst",
        f"Start Time,{run.plan.started_at:%Y-%m-%d  %H:%M:%S}",
        f"Sampling Time,{run.imaging_s:.0f} sec",
        "",
        f"Count,{run.particles}",
        f"Particles / ml,{run.particles / run.imaged_ml:.0f}",
        "",
        f"Sample Volume Processed ml,{run.processed_ml:.8f}",
        f"Sample Volume Imaged ml,{run.imaged_ml:.8f}",
        "",
        f"Efficiency,{100 * _EFFICIENCY:.1f}%",
        f"PPI,{run.particles / run.plan.frames:.2f}",
        "",
        "Summary Stats,Mean,Min,Max,StdDev,% CV",
        *statistics.rows(),
        "",
        f"Particle Segmentation,Dark Threshold {conditions.threshold_dark:.2f} "
        f"Light Threshold {conditions.threshold_light:.2f}",
        f"Distance to Nearest Neighbor,{conditions.neighbour_um:.2f} microns",
        f"Close Holes,{conditions.close_iterations} iterations",
        f"Basic Size Filter,Diameter (ESD) Min {conditions.smallest_esd_um:.2f}  Max 10000.00  microns",
        f"AutoImage Frame Rate,{FRAMES_PER_S:.0f} frames per second",
        "",
    ]
