"""Figures of what was measured and counted: class distribution and sizes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from icecore_dagster.reports.figures.drawing import (
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
