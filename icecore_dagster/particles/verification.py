"""Holding our measurements against the instrument's: both from the same crops and masks, property by property."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from tqdm import tqdm

from icecore_dagster.flowcam.run import Run
from icecore_dagster.particles.measure import FRINGE_PX, measure_particle
from icecore_dagster.particles.properties import PROPERTIES, Certainty, Property

EXACT_SHARE = 0.99
"""Share of the rows that an exact property reproduces at least."""
_ABSOLUTE, _RELATIVE = 1.01e-4, 1e-5
"""The instrument writes four decimals; seven digits of large values are its own single precision."""
_DERIVED_RELATIVE = 2e-4
"""Volumes and geodesic sizes that a list lacks follow from its rounded columns, which costs digits."""


@dataclass(frozen=True)
class Agreement:
    """How well one property agrees with what the instrument wrote.

    Attributes:
        quantity: the property.
        rows: particles compared.
        exact: number of them on which both agree within rounding.
        largest_difference: largest absolute difference, in the property's unit.
    """

    quantity: Property
    rows: int
    exact: int
    largest_difference: float

    @property
    def share(self) -> float:
        """Share of the rows that agree, 0 to 1."""
        return self.exact / self.rows

    @property
    def holds(self) -> bool:
        """Whether the formula does what is said of it; nothing is promised of one whose original is unpublished."""
        return self.quantity.certainty is not Certainty.EXACT or self.share >= EXACT_SHARE


def verify_properties(run: Run, *, progress: bool = True) -> list[Agreement]:
    """Measure the particles of a run again from crop and mask, and compare with the instrument's values.

    Every particle with a mask is compared, chains of several parts included.

    Args:
        run: a run with masks (`_bin.tif`), as `flowcam.run.read_run` returns it.
        progress: show a progress bar.

    Returns:
        One `Agreement` a property that the run has, in the order of `particles.properties.PROPERTIES`.

    Raises:
        ValueError: the run has no masks, no properties, or no calibration.
    """
    theirs = run.particles
    if not set(theirs) >= {"Area (ABD)", "Calibration Factor"}:
        raise ValueError(f"{run.facts.path}: it holds no measured properties; give a run with a list or an export")
    fringe = theirs.get("Fringe Size", run.facts.fringe_px or FRINGE_PX)
    places = theirs.assign(fringe=fringe)[["Calibration Factor", "fringe", "Capture X", "Capture Y"]].to_numpy(float)
    rows, ours = [], []
    crops = tqdm(run.iter_crops(), total=len(theirs), desc="measuring", unit="particle", disable=not progress)
    for i, crop, mask in crops:
        if mask is not None and mask.any():
            rows.append(i)
            ours.append(measure_particle(crop, mask, *places[i]))
    if not rows:
        raise ValueError(
            f"{run.facts.path}: no particle has a mask to measure; save binary images in VisualSpreadsheet's context "
            "settings, or give the run's *_bin.tif files back"
        )
    measured, stated = pd.DataFrame(ours), theirs.iloc[rows].reset_index(drop=True)
    return [_agreement(p, measured[p.column], stated[p.flowcam_name]) for p in PROPERTIES if p.flowcam_name in stated]


def _agreement(p: Property, ours: pd.Series, theirs: pd.Series) -> Agreement:
    there = theirs.notna()
    ours, theirs = ours[there], theirs[there].astype(float)
    relative = _DERIVED_RELATIVE if p.flowcam_name.startswith(("Volume", "Geodesic")) else _RELATIVE
    exact = np.isclose(ours, theirs, rtol=relative, atol=_ABSOLUTE)
    return Agreement(p, len(ours), int(exact.sum()), float((ours - theirs).abs().max()))
