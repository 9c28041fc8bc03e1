"""A list and an export of the same run brought together: the list is the source, the export fills what it lacks."""

import numpy as np
import pandas as pd

from icecore_dagster.flowcam.problems import Problem
from icecore_dagster.flowcam.tables.columns import KINDS, Kind
from icecore_dagster.flowcam.tables.lists import ParticleTable

RELATIVE_ROUNDING, ABSOLUTE_ROUNDING = 1e-3, 0.006
"""Two values agree within these: exports round to 4 decimals, those of VisualSpreadsheet 5 to 2."""

_NOT_COMPARED = ("Row", "Particle ID", "Timestamp")


def fill_from_export(rows: pd.DataFrame, export: ParticleTable) -> tuple[pd.DataFrame, list[Problem]]:
    """Add the columns that only the export has, matched by Particle ID and, where both state it, by image id.

    Args:
        rows: the list's rows, with derived columns.
        export: the export of the same run.

    Returns:
        The rows with the export's extra columns (empty where a row has no partner), and where the two disagree.
    """
    other = export.rows.drop_duplicates("Particle ID").set_index("Particle ID")
    partner = other.reindex(rows["Particle ID"].to_numpy()).reset_index()
    matched = partner["Row"].notna().to_numpy()
    problems = _unmatched(rows, other, matched, export)
    strangers = matched & _other_image(rows, partner)
    if strangers.any():
        matched = matched & ~strangers
        remedy = "the export belongs to another version of the list: export it again; these rows are not filled from it"
        problems.append(_about(export, partner, strangers, "another image id than in the list", remedy))
    problems += _disagreements(rows, partner, matched, export)
    extra = {}
    for name in partner.columns.difference([*rows.columns, "Row"], sort=False):
        extra[name] = partner[name].where(pd.Series(matched)).to_numpy()
    return pd.concat([rows, pd.DataFrame(extra, index=rows.index)], axis=1), problems


def _unmatched(rows: pd.DataFrame, other: pd.DataFrame, matched: np.ndarray, export: ParticleTable) -> list[Problem]:
    problems = [Problem(r.file, r.row, f"row not used: {r.reason}", r.remedy) for r in export.rejects]
    lacking, surplus = int((~matched).sum()), int((~other.index.isin(rows["Particle ID"])).sum())
    remedy = "particles were deleted after one of the files was written: save the list and export again"
    if lacking:
        problems.append(
            Problem(export.file, None, f"{lacking} of {len(rows)} particles of the list are not here", remedy)
        )
    if surplus:
        problems.append(Problem(export.file, None, f"{surplus} of {len(other)} particles are not in the list", remedy))
    return problems


def _other_image(rows: pd.DataFrame, partner: pd.DataFrame) -> np.ndarray:
    name = "Original Reference ID"
    if name not in rows or name not in partner:
        return np.zeros(len(rows), dtype=bool)
    ours, theirs = rows[name].str.lower().to_numpy(), partner[name].str.lower().fillna("").to_numpy()
    return (ours != theirs) & (theirs != "")


def _disagreements(
    rows: pd.DataFrame, partner: pd.DataFrame, matched: np.ndarray, export: ParticleTable
) -> list[Problem]:
    problems = []
    for name in rows.columns.intersection(partner.columns):
        kind = KINDS.get(name, Kind.UNKNOWN)
        if name in _NOT_COMPARED or kind not in (Kind.INTEGER, Kind.NUMBER):
            continue
        ours, theirs = rows[name].to_numpy(dtype=np.float64), partner[name].to_numpy(dtype=np.float64)
        allowed = ABSOLUTE_ROUNDING + RELATIVE_ROUNDING * np.abs(ours)
        off = matched & ~np.isnan(theirs) & ~np.isnan(ours) & (np.abs(ours - theirs) > allowed)
        if off.any():
            first = int(np.flatnonzero(off)[0])
            message = f"{name} ({theirs[first]:g}) disagrees with the list ({ours[first]:g})"
            problems.append(_about(export, partner, off, message, "the list is used; export the run again to be sure"))
    return problems


def _about(export: ParticleTable, partner: pd.DataFrame, which: np.ndarray, message: str, remedy: str) -> Problem:
    line = int(partner["Row"].to_numpy()[np.flatnonzero(which)[0]])
    return Problem(export.file, line, f"{message} in {int(which.sum())} of {len(which)} rows", remedy)
