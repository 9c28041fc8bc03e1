"""Is a particle table to be believed? Each question is a function that answers with an `Outcome`.

The orchestration turns outcomes into blocking checks; `icecore inspect` prints them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from icecore_dagster.particles.tables.schemas import SEGMENT_PARTICLES, SYNTHETIC_PARTICLES, Table
from icecore_dagster.particles.tables.store import Blocks

ROUNDING = 0.02
"""Relative difference up to which two exported values agree: exports are rounded to 4 decimals, VS5 to 2."""

_RELATED = (
    *("particle_id", "circularity", "compactness", "area_abd_um2", "diameter_abd_um", "diameter_esd_um"),
    *("volume_abd_um3", "volume_esd_um3", "transparency", "width_um", "length_um"),
)
"""Columns that follow from one another."""
_NAMED = ("particle_id", "run")
_EVIDENCE = 10
"""Offending rows that are shown."""


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


def ids_unique(blocks: Iterable[pd.DataFrame]) -> Outcome:
    """Whether no particle id stands twice.

    Args:
        blocks: particle_id and run, some rows at a time.
    """
    named = pa.schema([(name, pa.large_string()) for name in _NAMED])
    every = pa.concat_tables(
        [named.empty_table(), *(pa.Table.from_pandas(block, named, preserve_index=False) for block in blocks)]
    )
    ids = every["particle_id"]
    if pc.count_distinct(ids).as_py() == len(ids):
        return Outcome(True, "every particle id is unique", numbers={"repeated_ids": 0})
    counts = pc.value_counts(ids)
    repeated = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    twice = every.filter(pc.is_in(ids, value_set=repeated)).slice(0, _EVIDENCE).to_pandas()
    return Outcome(False, f"{len(repeated)} ids stand more than once", twice, {"repeated_ids": len(repeated)})


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


def flowcam_consistent(blocks: Iterable[pd.DataFrame], *, allowed: float = 0.01) -> Outcome:
    """Whether properties that follow from one another do so.

    Args:
        blocks: a particle table, some rows at a time.
        allowed: share of particles that may break an identity by more than rounding.

    Returns:
        Failed if more than `allowed` of the particles break any identity: the mark of a wrong unit, a shifted column or
        an edited export.
    """
    known, off = Counter[str](), Counter[str]()
    offending: dict[str, pd.DataFrame] = {}
    for block in blocks:
        for name, sides in _identities(block).items():
            left, right = sides()
            both = left.notna() & right.notna()
            apart = both & ((left - right).abs() > ROUNDING * np.maximum(left.abs(), right.abs()) + 1e-3)
            known[name] += int(both.sum())
            off[name] += int(apart.sum())
            rows = pd.DataFrame({"particle_id": block["particle_id"], "left": left, "right": right})[apart]
            rows.insert(1, "identity", name)
            offending[name] = pd.concat([offending[name], rows]).head(_EVIDENCE) if name in offending else rows
    shares = {name: off[name] / max(n, 1) for name, n in known.items()}
    broken = [name for name, share in shares.items() if share > allowed]
    if not broken:
        return Outcome(True, f"{len(shares)} identities hold", numbers=shares)
    summary = f"broken by too many particles: {'; '.join(f'{name} ({shares[name]:.1%})' for name in broken)}"
    return Outcome(False, summary, offending[broken[0]].head(_EVIDENCE), shares)


def sizes_plausible(blocks: Iterable[pd.DataFrame], *, low_um: float = 0.1, high_um: float = 5_000.0) -> Outcome:
    """Whether the bulk of the sizes is what a flow imaging microscope can see, so that the unit is um.

    Args:
        blocks: a particle table, or its diameter_esd_um, some rows at a time.
        low_um: least plausible median of Diameter (ESD) in um.
        high_um: largest plausible Diameter (ESD) in um, wider than any FlowCam flow cell is deep.
    """
    esd = np.concatenate([np.empty(0), *(block["diameter_esd_um"].dropna().to_numpy(float) for block in blocks)])
    if not len(esd):
        return Outcome(True, "no calibration: sizes are not known", numbers={"sized": 0})
    median, largest = float(np.median(esd)), float(esd.max())
    passed = median >= low_um and largest <= high_um
    summary = f"Diameter (ESD): median {median:.2f} µm, largest {largest:.1f} µm" + (
        "" if passed else "; is the unit µm?"
    )
    return Outcome(passed, summary, numbers={"median_um": median, "largest_um": largest, "sized": len(esd)})


def believable_labelled(frame: pd.DataFrame) -> dict[str, Outcome]:
    """Every question about the table of labelled particles, by the name of the check."""
    return {
        "schema": fits_declaration([frame], SYNTHETIC_PARTICLES),
        "unique_ids": ids_unique([frame]),
        "plausible_sizes": sizes_plausible([frame]),
        "flowcam_consistency": flowcam_consistent([frame]),
    }


def believable(read: Blocks, rejects: int, runs: pd.DataFrame) -> dict[str, Outcome]:
    """Every question about a segment's particle table, by the name of the check, in memory that hardly grows with it.

    Args:
        read: the segment's table.
        rejects: rows refused.
        runs: the segment's table of runs.
    """
    fits = fits_declaration(read(None), SEGMENT_PARTICLES)
    particles = sum(len(block) for block in read(["run"]))
    return {
        "schema": fits,
        "row_balance": rows_balance(particles, rejects, runs),
        "unique_ids": ids_unique(read(list(_NAMED))),
        "plausible_sizes": sizes_plausible(read(["diameter_esd_um"])),
        "flowcam_consistency": flowcam_consistent(read(list(_RELATED))),
        "share_of_rejects": share_of_rejects(particles, rejects),
    }
