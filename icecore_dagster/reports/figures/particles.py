"""Figures of what was measured and counted: class distribution, sizes, scores of a segment."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from icecore_dagster.particles.tables.schemas import SEGMENT_ANOMALY_SCORES, SEGMENT_EMBEDDING, SEGMENT_PREDICTIONS
from icecore_dagster.reports.figures.drawing import (
    ANOMALY_AXIS,
    FAINT,
    INK,
    LABEL_POINTS,
    NOTE_POINTS,
    TICK_POINTS,
    class_colour,
    class_title,
    colours_of,
    message_figure,
    new_figure,
    ordered_classes,
    plain_axes,
    png_of,
    property_title,
)
from icecore_dagster.reports.figures.maps import map_density
from icecore_dagster.reports.wording import count, depth_range, number
from icecore_dagster.scoring.core.abundance import poisson_interval
from icecore_dagster.scoring.core.rollup import depth_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE_COLUMNS = ("diameter_esd_um", "length_um")
_SIZE_BINS = 24
"""Wide enough that lengths of small particles, which come in whole pixels, leave none empty in between."""
_PANELS_A_ROW = 4


def class_distribution_figure(distribution: pd.DataFrame) -> bytes:
    """How many particles of each class each segment holds, by replicate and over all replicates.

    One panel a class on one logarithmic scale, so that a handful of tephra shows beside thousands of dust. Dots are
    replicates, boxes all replicates together; bars and boxes span the 95 % Poisson interval. Concentrations are shown
    where the imaged volume of every run is known, else counts.

    Args:
        distribution: a `class_distribution` table of one core.

    Returns:
        PNG.
    """
    if distribution.empty:
        return message_figure("No particle of this core has been scored yet.")
    rows, y_title = _scaled(distribution)
    classes = ordered_classes(rows["class"])
    segments = sorted(rows["segment"].unique(), key=depth_of)
    columns = min(_PANELS_A_ROW if len(segments) <= 4 else 2, len(classes))
    lines = -(-len(classes) // columns)
    figure = new_figure(11, 2.7 * lines + 0.9)
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    floor = _floor(rows)
    for panel, key in zip(panels.flat, classes, strict=False):
        _draw_class(panel, rows[rows["class"] == key], segments, class_colour(key), floor)
        plain_axes(panel, "", "", class_title(key))
        panel.set_yscale("log")
        panel.minorticks_off()
        panel.set_ylim(floor, rows["high"].max() * 2)
        panel.set_xlim(-0.5, len(segments) - 0.5)
        panel.set_xticks(
            range(len(segments)), [depth_range(s) for s in segments], rotation=30 if len(segments) > 3 else 0
        )
        panel.grid(False, axis="x")
        panel.tick_params(labelbottom=True)
    for panel in panels.flat[len(classes) :]:
        panel.set_axis_off()
    figure.supylabel(y_title, fontsize=LABEL_POINTS, color=INK)
    figure.supxlabel("Depth within the bag (cm)", fontsize=LABEL_POINTS, color=INK)
    figure.legend(
        handles=_distribution_legend(), loc="outside upper center", ncols=3, frameon=False, fontsize=TICK_POINTS
    )
    return png_of(figure)


def _scaled(distribution: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The table with value, low and high in what the axis shows, and the axis's title."""
    if distribution["volume_imaged_ml"].notna().all():
        named = {"per_ml": "value", "per_ml_low": "low", "per_ml_high": "high"}
        return distribution.rename(columns=named), "Particles per ml of melt water (1/ml)"
    low, high = poisson_interval(distribution["count"].to_numpy())
    title = "Particles (count; imaged volume unknown)"
    return distribution.assign(value=distribution["count"].astype(float), low=low, high=high), title


def _floor(rows: pd.DataFrame) -> float:
    """Lower end of the axis: below every interval that does not reach zero."""
    positive = rows.loc[rows["low"] > 0, "low"]
    return float(min(positive.min() if len(positive) else np.inf, rows["high"].min())) / 2


def _draw_class(panel: "Axes", rows: pd.DataFrame, segments: Sequence[str], colour: str, floor: float) -> None:
    """A box for all replicates of a segment together, and a dot with its interval for each replicate."""
    pooled, single = rows[rows["replicate"].isna()], rows[rows["replicate"].notna()]
    x, value, low, high = _drawn(pooled, segments, floor)
    panel.bar(x, high - low, width=0.8, bottom=low, color=colour, alpha=0.18, linewidth=0)
    found = value > 0
    panel.hlines(value[found], x[found] - 0.4, x[found] + 0.4, color=colour, linewidth=1.6)
    x, value, low, high = _drawn(single, segments, floor)
    order = single.groupby("segment")["replicate"].rank("first").to_numpy(dtype=float)
    of = single.groupby("segment")["replicate"].transform("size").to_numpy(dtype=float)
    x += (order - (of + 1) / 2) * np.minimum(0.22, 0.64 / of)
    found = value > 0
    panel.vlines(x, low, high, color=colour, linewidth=1.2)
    panel.plot(x[found], value[found], "o", color=colour, markersize=4.5)
    panel.plot(x[~found], high[~found], "v", color=colour, markerfacecolor="white", markersize=5)


def _drawn(rows: pd.DataFrame, segments: Sequence[str], floor: float) -> tuple[np.ndarray, ...]:
    """Place on the axis, value, and the ends of the interval, the lower one not below the axis."""
    x = np.array([segments.index(segment) for segment in rows["segment"]], dtype=float)
    value, low, high = rows[["value", "low", "high"]].to_numpy(dtype=float).T
    return x, value, np.maximum(low, floor), high


def _distribution_legend() -> list:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    return [
        Line2D(
            [], [], color=INK, marker="o", markersize=4.5, linewidth=1.2, label="one replicate, 95 % Poisson interval"
        ),
        Line2D([], [], color=INK, marker="v", markerfacecolor="white", linewidth=1.2, label="none found: upper limit"),
        Patch(color=INK, alpha=0.18, label="all replicates together, 95 % interval"),
    ]


def size_distributions(particles: pd.DataFrame, by: str, columns: Sequence[str] = SIZE_COLUMNS) -> bytes:
    """Size distributions of groups of particles, on logarithmic axes so that few large particles show.

    Args:
        particles: sizes in µm (missing where no calibration is known) and the column `by`.
        by: column that says which group a particle belongs to: a class, or a run.
        columns: sizes to show, a panel each; those that the table lacks are left out.

    Returns:
        PNG.
    """
    shown = [column for column in columns if column in particles and (particles[column] > 0).any()]
    if not shown:
        return message_figure("No size in µm: the calibration of these particles is not known.")
    sized = particles[particles[shown[0]] > 0]
    groups = ordered_classes(sized[by].dropna())
    colours = colours_of(groups)
    figure = new_figure(max(5.2 * len(shown), 8), 4.4)
    panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for panel, column in zip(panels, shown, strict=True):
        positive = particles[particles[column] > 0]
        edges = _log_edges(positive[column])
        for group in groups:
            sizes_um = positive.loc[positive[by] == group, column].to_numpy()
            panel.hist(sizes_um, edges, histtype="step", color=colours[group], linewidth=1.6)
        plain_axes(panel, property_title(column), "")
        panel.set_xscale("log")
        panel.set_yscale("log")
        _plain_log_ticks(panel, edges)
    # Only now: a limit set earlier would hold for the panels that are still to come.
    panels[0].set_ylim(bottom=0.7)
    panels[0].set_ylabel(f"Particles per bin ({_SIZE_BINS} bins)", fontsize=LABEL_POINTS, color=INK)
    handles = _size_legend(sized.groupby(by)[shown[0]].agg(["size", "median"]), groups, colours)
    title = f"Particles, median {property_title(shown[0]).split(' (µm)')[0]}"
    figure.legend(
        handles=handles, loc="outside right upper", frameon=False, fontsize=NOTE_POINTS, title=title, alignment="left"
    )
    return png_of(figure)


def _size_legend(of_group: pd.DataFrame, groups: Sequence[str], colours: dict[str, str]) -> list:
    from matplotlib.lines import Line2D

    return [
        Line2D(
            [],
            [],
            color=colours[group],
            linewidth=2,
            label=f"{class_title(group)}\n{count(of_group['size'][group])}, {number(of_group['median'][group])} µm",
        )
        for group in groups
    ]


def _log_edges(sizes_um: pd.Series) -> np.ndarray:
    low, high = float(sizes_um.min()) * 0.95, float(sizes_um.max()) * 1.05
    return np.geomspace(low, high, _SIZE_BINS + 1)


def _plain_log_ticks(panel: "Axes", edges: np.ndarray) -> None:
    """Mark 1, 2, 5, 10, 20, ... µm in plain numbers."""
    from matplotlib.ticker import FixedLocator, NullFormatter

    ticks = [step * 10.0**power for power in range(-2, 5) for step in (1, 2, 5)]
    within = [tick for tick in ticks if edges[0] <= tick <= edges[-1]]
    panel.set_xticks(within, [f"{tick:g}" for tick in within])
    panel.xaxis.set_minor_locator(FixedLocator([]))
    panel.xaxis.set_minor_formatter(NullFormatter())


SCORES_SHOWN: dict[str, list[str]] = {
    SEGMENT_PREDICTIONS.name: ["predicted_class", "interest"],
    SEGMENT_ANOMALY_SCORES.name: ["anomaly_score", "dust_share_more_anomalous"],
    SEGMENT_EMBEDDING.name: ["map_x", "map_y"],
}
"""Columns that `score_figure` reads of each table of scores; there may be a million rows."""


def score_figure(table: str, scores: pd.DataFrame, classes: Sequence[str]) -> bytes:
    """What one table of a segment's scores looks like as a whole.

    Args:
        table: segment_predictions, segment_anomaly_scores or segment_embedding.
        scores: the columns `SCORES_SHOWN` of that table.
        classes: that could be predicted.

    Returns:
        PNG.

    Raises:
        ValueError: another table.
    """
    figures: dict[str, Callable[[pd.DataFrame], bytes]] = {
        SEGMENT_PREDICTIONS.name: partial(_prediction_figure, classes=classes),
        SEGMENT_ANOMALY_SCORES.name: _anomaly_figure,
        SEGMENT_EMBEDDING.name: map_density,
    }
    if table not in figures:
        raise ValueError(f"there is no figure for table {table!r}")
    return figures[table](scores) if len(scores) else message_figure("This segment holds no particle.")


def _prediction_figure(predictions: pd.DataFrame, classes: Sequence[str]) -> bytes:
    """Particles predicted to be of each class, and how far from dust and contamination the rest is."""
    figure = new_figure(10, 3.8)
    left, right = figure.subplots(1, 2)
    ordered = ordered_classes(classes)
    counts = predictions["predicted_class"].value_counts().reindex(ordered, fill_value=0)
    left.barh([class_title(c) for c in ordered], counts, color=[class_colour(c) for c in ordered])
    for place, n in enumerate(counts):
        left.annotate(
            count(n), (max(n, 1), place), (4, 0), textcoords="offset points", va="center", fontsize=TICK_POINTS
        )
    plain_axes(left, "Particles predicted to be of the class", "")
    left.set_xscale("log")
    left.set_xlim(0.8, max(counts.max(), 10) * 4)
    left.invert_yaxis()
    left.grid(False, axis="y")
    right.hist(predictions["interest"], np.linspace(0, 1, 51), color=FAINT)
    plain_axes(right, "Interest: 1 − p(dust) − p(contamination)", "Particles")
    right.set_yscale("log")
    return png_of(figure)


def _anomaly_figure(scores: pd.DataFrame) -> bytes:
    """Anomaly scores, and how many particles are as strange as so small a share of the held-out dust."""
    figure = new_figure(10, 3.8)
    left, right = figure.subplots(1, 2)
    left.hist(scores["anomaly_score"], 60, color=FAINT)
    plain_axes(left, ANOMALY_AXIS, "Particles")
    left.set_yscale("log")
    shares = np.geomspace(1e-4, 1, 60)
    ordered = np.sort(scores["dust_share_more_anomalous"].to_numpy())
    right.plot(
        shares, np.searchsorted(ordered, shares, side="right"), color=INK, linewidth=1.6, label="these particles"
    )
    right.plot(shares, shares * len(ordered), color=FAINT, linewidth=1.2, linestyle="--", label="if all were dust")
    plain_axes(right, "Share of held-out dust at least as anomalous (no unit)", "Particles at or below that share")
    right.set_xscale("log")
    right.set_yscale("symlog", linthresh=1)
    right.set_ylim(0, 2 * len(ordered))
    right.legend(frameon=False, fontsize=TICK_POINTS)
    return png_of(figure)
