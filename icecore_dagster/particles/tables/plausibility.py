"""Is a particle table to be believed? Each question is a function that answers with an `Outcome`.

The orchestration turns outcomes into blocking checks; `icecore inspect` prints them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from icecore_dagster.particles.tables.schemas import SEGMENT_PARTICLES, SYNTHETIC_PARTICLES, Table

ROUNDING = 0.02
"""Relative difference up to which two exported values agree: exports are rounded to 4 decimals, VS5 to 2."""

QUESTIONED = (
    *("particle_id", "run", "circularity", "compactness", "area_abd_um2", "diameter_abd_um", "diameter_esd_um"),
    *("volume_abd_um3", "volume_esd_um3", "transparency", "width_um", "length_um"),
)
"""Columns that a question is asked about for all rows together."""


@dataclass(frozen=True)
class Outcome:
    """The answer to one question about a table.

    Attributes:
        passed: whether the table is to be believed in this respect.
        summary: one sentence for people.
        evidence: offending rows, at most a few, for the UI.
        numbers: what was measured.
    """

    passed: bool
    summary: str
    evidence: pd.DataFrame = field(default_factory=pd.DataFrame)
    numbers: Mapping[str, float | int] = field(default_factory=dict)


def fits_declaration(blocks: Iterable[pd.DataFrame], table: Table) -> Outcome:
    """Whether a stored table, read in blocks, has the declared columns and keeps their bounds (values and units)."""
    rows, breaks = 0, []
    for block in blocks:
        # What is wrong with a column as a whole is at no row.
        broken = table.violations(block)
        breaks.append(broken.assign(index=pd.to_numeric(broken["index"]) + rows))
        rows += len(block)
    broken = pd.concat(breaks, ignore_index=True) if breaks else pd.DataFrame()
    if broken.empty:
        return Outcome(True, f"{rows} rows keep all declared types and bounds", numbers={"rows": rows})
    columns = ", ".join(sorted({str(c) for c in broken["column"].dropna()}))
    evidence = broken.head(10).astype("string")
    return Outcome(
        False, f"{len(broken)} values break the declaration, in {columns}", evidence, {"violations": len(broken)}
    )


def rows_balance(particles: int, rejects: int, runs: pd.DataFrame) -> Outcome:
    """Whether rows found = rows kept + rows refused, in every run and in the stored tables together."""
    uneven = runs[runs["rows_found"] != runs["rows_kept"] + runs["rows_refused"]]
    found = int(runs["rows_found"].sum())
    numbers = {"rows_found": found, "rows_kept": particles, "rows_refused": rejects}
    if uneven.empty and found == particles + rejects:
        return Outcome(True, f"{found} rows found = {particles} kept + {rejects} refused", numbers=numbers)
    summary = f"{found} rows found, but {particles} kept and {rejects} refused: materialise the segment again"
    return Outcome(False, summary, uneven[["run", "rows_found", "rows_kept", "rows_refused"]], numbers)


def ids_unique(frame: pd.DataFrame) -> Outcome:
    """Whether no particle id stands twice."""
    twice = frame.loc[frame["particle_id"].duplicated(keep=False), ["particle_id", "run"]]
    summary = (
        "every particle id is unique" if twice.empty else f"{twice['particle_id'].nunique()} ids stand more than once"
    )
    return Outcome(twice.empty, summary, twice.head(10), {"repeated_ids": int(twice["particle_id"].nunique())})


def share_of_rejects(particles: int, rejects: int, *, allowed: float = 0.05) -> Outcome:
    """Whether not more than `allowed` of the rows was refused, and at least one was kept."""
    rows = particles + rejects
    if not rows:
        return Outcome(False, "no row was found in the segment's runs", numbers={"rows": 0})
    share = rejects / rows
    summary = f"{share:.2%} of {rows} rows refused (allowed: {allowed:.0%})"
    return Outcome(bool(particles) and share <= allowed, summary, numbers={"share": share, "rows": rows})


def _identities(frame: pd.DataFrame) -> dict[str, Callable[[], tuple[pd.Series, pd.Series]]]:
    f = frame
    return {
        "Circularity x Compactness = 1": lambda: (f["circularity"] * f["compactness"], f["compactness"] * 0 + 1),
        "Area (ABD) = pi/4 d^2": lambda: (f["area_abd_um2"], np.pi / 4 * f["diameter_abd_um"] ** 2),
        "Volume (ABD) = pi/6 d^3": lambda: (f["volume_abd_um3"], np.pi / 6 * f["diameter_abd_um"] ** 3),
        "Volume (ESD) = pi/6 d^3": lambda: (f["volume_esd_um3"], np.pi / 6 * f["diameter_esd_um"] ** 3),
        "1 - Transparency = Diameter (ABD) / Diameter (ESD)": lambda: (
            1 - f["transparency"],
            f["diameter_abd_um"] / f["diameter_esd_um"],
        ),
        "Width <= Length": lambda: (f["width_um"].clip(upper=f["length_um"]), f["width_um"]),
    }


def flowcam_consistent(frame: pd.DataFrame, *, allowed: float = 0.01) -> Outcome:
    """Whether properties that follow from one another do so.

    Args:
        frame: a particle table.
        allowed: share of particles that may break an identity by more than rounding.

    Returns:
        Failed if more than `allowed` of the particles break any identity: the mark of a wrong unit, a shifted column or
        an edited export.
    """
    shares, worst = {}, pd.DataFrame()
    for name, sides in _identities(frame).items():
        left, right = sides()
        known = left.notna() & right.notna()
        off = known & ((left - right).abs() > ROUNDING * np.maximum(left.abs(), right.abs()) + 1e-3)
        shares[name] = float(off.sum() / max(known.sum(), 1))
        if shares[name] > allowed and worst.empty:
            worst = pd.DataFrame({"particle_id": frame["particle_id"], "left": left, "right": right})[off].head(10)
            worst.insert(1, "identity", name)
    broken = [f"{name} ({share:.1%})" for name, share in shares.items() if share > allowed]
    summary = f"broken by too many particles: {'; '.join(broken)}" if broken else f"{len(shares)} identities hold"
    return Outcome(not broken, summary, worst, shares)


def sizes_plausible(frame: pd.DataFrame, *, low_um: float = 0.1, high_um: float = 5_000.0) -> Outcome:
    """Whether the bulk of the sizes is what a flow imaging microscope can see, so that the unit is um.

    Args:
        frame: a particle table.
        low_um: least plausible median of Diameter (ESD) in um.
        high_um: largest plausible Diameter (ESD) in um, wider than any FlowCam flow cell is deep.
    """
    esd = frame["diameter_esd_um"].dropna()
    if esd.empty:
        return Outcome(True, "no calibration: sizes are not known", numbers={"sized": 0})
    median, largest = float(esd.median()), float(esd.max())
    passed = median >= low_um and largest <= high_um
    summary = f"Diameter (ESD): median {median:.2f} µm, largest {largest:.1f} µm" + (
        "" if passed else "; is the unit µm?"
    )
    return Outcome(passed, summary, numbers={"median_um": median, "largest_um": largest, "sized": len(esd)})


def believable_labelled(frame: pd.DataFrame) -> dict[str, Outcome]:
    """Every question about the table of labelled particles, by the name of the check."""
    return {
        "schema": fits_declaration([frame], SYNTHETIC_PARTICLES),
        "unique_ids": ids_unique(frame),
        "plausible_sizes": sizes_plausible(frame),
        "flowcam_consistency": flowcam_consistent(frame),
    }


def believable(
    blocks: Iterable[pd.DataFrame], frame: pd.DataFrame, rejects: int, runs: pd.DataFrame
) -> dict[str, Outcome]:
    """Every question about a segment's particle table, by the name of the check.

    Args:
        blocks: the whole table, in blocks.
        frame: the columns `QUESTIONED` of all its rows.
        rejects: rows refused.
        runs: the segment's table of runs.
    """
    return {
        "schema": fits_declaration(blocks, SEGMENT_PARTICLES),
        "row_balance": rows_balance(len(frame), rejects, runs),
        "unique_ids": ids_unique(frame),
        "plausible_sizes": sizes_plausible(frame),
        "flowcam_consistency": flowcam_consistent(frame),
        "share_of_rejects": share_of_rejects(len(frame), rejects),
    }
