"""The figure of what trainings and scorings have cost, beside the reference study."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from icecore_dagster.reports.figures.drawing import (
    NOTE_POINTS,
    TICK_POINTS,
    message_figure,
    new_figure,
    plain_axes,
    png_of,
)
from icecore_dagster.reports.wording import count
from icecore_dagster.scoring.energy_ledger import ALL, HERE, SCORING, SEARCH, STUDY, TRAINING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {TRAINING: "#1971c2", SEARCH: "#7048e8", SCORING: "#2f9e44", ALL: "#495057"}
_PIECES = {TRAINING: "training", SEARCH: "trial", SCORING: "scoring", ALL: "piece"}
_MARK = "the 2021 study (one training; all: its 30 runs)"
_PANELS = (("kwh", "Energy (kWh, logarithmic)"), ("co2eq_g", "Emissions (g CO₂eq, logarithmic)"))
_KINDS = {
    "network": "Network",
    "trees": "LightGBM",
    "forest": "Isolation forest",
    "map": "Map",
    "dense": "Dense",
    "autoencoder": "Autoencoder",
    "siamese": "Siamese network",
}


def energy_figure(ledger: pd.DataFrame) -> bytes:
    """Energy and emissions of each kind of work as bars, with the study's figures marked where it gives them.

    Args:
        ledger: `schemas.ENERGY_LEDGER`.

    Returns:
        PNG.
    """
    here, study = ledger[ledger["by"] == HERE], ledger[ledger["by"] == STUDY]
    if here["kwh"].isna().all():
        return message_figure("No energy has been estimated yet: train a model or score a segment first.")
    rows = _rows(here, study)
    figure = new_figure(10.5, 1.7 + 0.34 * len(rows))
    panels = figure.subplots(1, 2, sharey=True)
    for panel, (column, title) in zip(panels, _PANELS, strict=True):
        _draw_bars(panel, rows, column)
        plain_axes(panel, title, "")
        panel.set_xscale("log")
        # A bar on a logarithmic axis has no zero to start from: the smallest gets half a decade.
        panel.set_xlim(left=here.loc[here[column] > 0, column].min() / 3)
        panel.grid(False, axis="y")
    panels[0].set_yticks(range(len(rows)), [row["title"] for row in rows], fontsize=TICK_POINTS)
    panels[0].set_ylim(len(rows) - 0.4, -0.6)
    handles, labels = panels[0].get_legend_handles_labels()
    by_label = dict(zip(labels, handles, strict=True))
    figure.legend(
        by_label.values(), by_label.keys(), loc="outside upper center", ncols=5, frameon=False, fontsize=NOTE_POINTS
    )
    return png_of(figure)


def _rows(here: pd.DataFrame, study: pd.DataFrame) -> list[dict]:
    """One bar a row of the ledger, and a bare mark for what only the study has trained; the total last."""
    key = ["stage", "kind", "task", "architecture"]
    theirs = {_key(row, key): row for _, row in study.iterrows()}
    rows = []
    for _, row in here.iterrows():
        marked = theirs.pop(_key(row, key), None)
        pieces = int(row["pieces"])
        what = _PIECES[row["stage"]] + ("" if pieces == 1 else "s")
        rows.append({"title": f"{_title(row)} ({count(pieces)} {what})", "bar": row, "mark": marked})
    alone = [{"title": f"{_title(row)} (the study only)", "bar": None, "mark": row} for row in theirs.values()]
    return [*rows[:-1], *alone, rows[-1]]


def _key(row: pd.Series, names: list[str]) -> tuple:
    return tuple(None if pd.isna(row[name]) else row[name] for name in names)


def _title(row: pd.Series) -> str:
    if row["stage"] == ALL:
        return "All together"
    parts = {SCORING: ["Scoring"], SEARCH: ["Search"]}.get(row["stage"], [_KINDS.get(row["kind"], str(row["kind"]))])
    parts += [str(row["architecture"])] if not pd.isna(row["architecture"]) else []
    return " ".join(parts) + ("" if pd.isna(row["task"]) else f", {row['task']}")


def _draw_bars(panel: "Axes", rows: list[dict], column: str) -> None:
    for place, row in enumerate(rows):
        bar, mark = row["bar"], row["mark"]
        if bar is not None and np.isfinite(bar[column]) and bar[column] > 0:
            panel.barh(place, bar[column], color=_COLOURS[bar["stage"]], height=0.62, label=_legend(bar["stage"]))
        if mark is not None and np.isfinite(mark[column]):
            panel.plot(mark[column], place, "D", color="#d9480f", markeredgecolor="white", markersize=8, label=_MARK)


def _legend(stage: str) -> str:
    return "all together" if stage == ALL else f"{stage} (sum)"
