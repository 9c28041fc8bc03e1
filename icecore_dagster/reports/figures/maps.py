"""Maps of particles: UMAP coordinates coloured by class and by anomaly, legible from a hundred to 100,000 points."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from icecore_dagster.reports.figures.drawing import (
    LABEL_POINTS,
    TICK_POINTS,
    class_colour,
    class_title,
    message_figure,
    new_figure,
    ordered_classes,
    plain_axes,
    png_of,
)
from icecore_dagster.reports.wording import count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

_X_TITLE, _Y_TITLE = "UMAP 1 (no unit)", "UMAP 2 (no unit)"
_NOTHING = "No particle has a place on the map."
_MAP_IN, _LEFT_IN, _BOTTOM_IN, _TOP_IN = 6.6, 0.8, 0.6, 0.2
_LEGEND_IN, _COLOUR_BAR_IN = 2.9, 1.5
_REFERENCE_COLOURS, _OWN_COLOURS = "Blues", "Greys"
_RARE_SHARE = 0.02
"""Classes below this share of all points are drawn larger and on top."""
_BLOT_POINTS = 5_000
_PANELS_A_ROW, _PANEL_IN, _MARGIN = 4, 2.9, 0.5
_MOST_ANOMALOUS = 200
_MOST_ANOMALOUS_SHARE = 0.01
"""This share of the points, the most anomalous, is drawn larger."""


def map_by_class(
    points: pd.DataFrame, reference: pd.DataFrame | None = None, titles: tuple[str, str] = (_X_TITLE, _Y_TITLE)
) -> bytes:
    """Particles on the map, coloured by class; rare classes lie on top.

    Args:
        points: `class`, `map_x` and `map_y`, one row a particle; rows without a place are left out.
        reference: map_x and map_y of other particles (the labelled ones, say), drawn as blue density behind.
        titles: of the axes.

    Returns:
        PNG.
    """
    placed = _placed(points)
    if placed.empty:
        return message_figure(_NOTHING)
    extent = placed if reference is None else pd.concat([placed, _placed(reference)])
    figure, axes = _map_axes(extent, _LEGEND_IN, titles)
    if reference is not None:
        _draw_density(axes, _placed(reference), _REFERENCE_COLOURS)
    frequent, rare, blot = _by_frequency(placed)
    _draw_density(axes, blot, _OWN_COLOURS)
    shuffled = frequent.sample(frac=1, random_state=0)
    axes.scatter(
        shuffled["map_x"],
        shuffled["map_y"],
        s=_point_size(len(placed)),
        c=[class_colour(c) for c in shuffled["class"]],
        alpha=_opacity(len(placed)),
        linewidths=0,
    )
    for key in rare:
        of_class = placed[placed["class"] == key]
        colour, size = class_colour(key), max(14.0, 2 * _point_size(len(placed)))
        axes.scatter(of_class["map_x"], of_class["map_y"], s=size, c=colour, edgecolors="white", linewidths=0.5)
    _class_legend(figure, axes, placed["class"].value_counts(), reference is not None)
    return png_of(figure)


def map_by_anomaly(points: pd.DataFrame, reference: pd.DataFrame | None = None) -> bytes:
    """Particles on the map, coloured by anomaly score; the most anomalous lie on top.

    Args:
        points: `anomaly_score`, `map_x` and `map_y`, one row a particle; rows without a place or a score are left out.
        reference: as in `map_by_class`.

    Returns:
        PNG.
    """
    placed = _placed(points).dropna(subset="anomaly_score").sort_values("anomaly_score", ascending=False)
    if placed.empty:
        return message_figure(_NOTHING)
    extent = placed if reference is None else pd.concat([placed, _placed(reference)])
    figure, axes = _map_axes(extent, _COLOUR_BAR_IN)
    if reference is not None:
        _draw_density(axes, _placed(reference), _REFERENCE_COLOURS)
    low, high = np.percentile(placed["anomaly_score"], [1, 99])
    sizes = np.full(len(placed), _point_size(len(placed)))
    most = round(_MOST_ANOMALOUS_SHARE * len(placed))
    sizes[len(placed) - most :] = np.maximum(sizes[len(placed) - most :], 9)
    drawn = axes.scatter(
        placed["map_x"],
        placed["map_y"],
        s=sizes,
        c=placed["anomaly_score"],
        cmap=_anomaly_colours(),
        vmin=low,
        vmax=max(high, low + 1e-6),
        linewidths=0,
    )
    _colour_bar(figure, axes, drawn, "Anomaly score (no unit)\nmore negative = more anomalous", "both")
    return png_of(figure)


def map_of_each_class(points: pd.DataFrame, reference: pd.DataFrame | None = None) -> bytes:
    """Where the particles of each class lie, a panel each, as density: for millions of particles.

    Args:
        points: `class`, `map_x` and `map_y`, one row a particle; rows without a place are left out.
        reference: `class`, `map_x` and `map_y` of labelled particles; those of the panel's class are drawn as outlined
            dots, all of them as a pale field.

    Returns:
        PNG.
    """
    placed = _placed(points)
    if placed.empty:
        return message_figure(_NOTHING)
    known = None if reference is None else _placed(reference)
    classes = ordered_classes(placed["class"].dropna())
    columns = min(_PANELS_A_ROW, len(classes))
    lines = -(-len(classes) // columns)
    extent = placed if known is None else pd.concat([placed, known])
    across, upwards = (np.ptp(extent[column]) + 2 * _MARGIN for column in ("map_x", "map_y"))
    height_in = float(np.clip((_PANEL_IN - 0.4) * upwards / across, 1.4, 4)) + 0.3
    figure = new_figure(max(_PANEL_IN * columns + 1.4, 6.5), height_in * lines + 1.0)
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    drawn = [
        _draw_class_density(panel, placed[placed["class"] == key], known, key, extent)
        for panel, key in zip(panels.flat, classes, strict=False)
    ]
    for panel in panels.flat[len(classes) :]:
        panel.set_axis_off()
    for panel in panels.flat[len(classes) - columns : len(classes)]:
        panel.tick_params(labelbottom=True)
    bar = figure.colorbar(drawn[0], ax=list(panels.flat), shrink=0.7, aspect=25)
    bar.set_label("Particles per hexagon", fontsize=TICK_POINTS)
    bar.ax.tick_params(labelsize=TICK_POINTS)
    behind = "" if known is None else "; behind: labelled particles, rings where they are of the panel's class"
    figure.suptitle(f"Particles by class{behind}", fontsize=LABEL_POINTS)
    figure.supxlabel(_X_TITLE, fontsize=LABEL_POINTS)
    figure.supylabel(_Y_TITLE, fontsize=LABEL_POINTS)
    return png_of(figure)


def _draw_class_density(
    panel: "Axes", of_class: pd.DataFrame, known: pd.DataFrame | None, key: str, extent: pd.DataFrame
) -> "ScalarMappable":
    """One class's density, on one scale for all classes, over the labelled particles."""
    from matplotlib.colors import LogNorm

    low, high = extent[["map_x", "map_y"]].min() - _MARGIN, extent[["map_x", "map_y"]].max() + _MARGIN
    plain_axes(panel, "", "")
    panel.set_title(f"{class_title(key)} ({count(len(of_class))})", fontsize=TICK_POINTS, loc="left")
    panel.grid(False)
    panel.set_aspect("equal")
    panel.set_xlim(low["map_x"], high["map_x"])
    panel.set_ylim(low["map_y"], high["map_y"])
    if known is not None:
        same = known[known["class"] == key]
        panel.scatter(known["map_x"], known["map_y"], s=2, c="#ced4da", linewidths=0)
        panel.scatter(same["map_x"], same["map_y"], s=6, c="none", edgecolors=class_colour(key), linewidths=0.4)
    return panel.hexbin(
        of_class["map_x"],
        of_class["map_y"],
        gridsize=45,
        extent=(low["map_x"], high["map_x"], low["map_y"], high["map_y"]),
        norm=LogNorm(1, max(len(extent) / 20, 10)),
        mincnt=1,
        cmap=_count_colours(),
        linewidths=0,
        zorder=3,
    )


def map_of_anomaly(points: pd.DataFrame, reference: pd.DataFrame | None = None) -> bytes:
    """How anomalous particles are where on the map: a colour a hexagon, for millions of particles.

    Args:
        points: `anomaly_score`, `map_x` and `map_y`, one row a particle; rows without a place or a score are left out.
        reference: map_x and map_y of labelled particles, drawn as blue density behind.

    Returns:
        PNG.
    """
    placed = _placed(points).dropna(subset="anomaly_score")
    if placed.empty:
        return message_figure(_NOTHING)
    extent = placed if reference is None else pd.concat([placed, _placed(reference)])
    figure, axes = _map_axes(extent, _COLOUR_BAR_IN)
    if reference is not None:
        _draw_density(axes, _placed(reference), _REFERENCE_COLOURS)
    low, high = np.percentile(placed["anomaly_score"], [1, 99])
    shown = {"cmap": _anomaly_colours(), "vmin": low, "vmax": max(high, low + 1e-6)}
    hexagons = axes.hexbin(
        placed["map_x"],
        placed["map_y"],
        C=placed["anomaly_score"],
        reduce_C_function=np.median,
        gridsize=70,
        extent=(*axes.get_xlim(), *axes.get_ylim()),
        linewidths=0,
        **shown,
    )
    most = placed.nsmallest(min(_MOST_ANOMALOUS, len(placed) // 100), "anomaly_score")
    axes.scatter(
        most["map_x"], most["map_y"], s=14, c=most["anomaly_score"], edgecolors="white", linewidths=0.5, **shown
    )
    title = f"Anomaly score (no unit), median of a hexagon;\ndots: the {count(len(most))} most anomalous particles"
    _colour_bar(figure, axes, hexagons, title, "both")
    return png_of(figure)


def map_density(points: pd.DataFrame) -> bytes:
    """How many particles lie where on the map.

    Args:
        points: `map_x`, `map_y` and how many `particles` lie there, one row a place.

    Returns:
        PNG.
    """
    if points.empty:
        return message_figure(_NOTHING)
    figure, axes = _map_axes(points, _COLOUR_BAR_IN)
    hexagons = axes.hexbin(
        points["map_x"],
        points["map_y"],
        C=points["particles"],
        reduce_C_function=np.sum,
        gridsize=60,
        bins="log",
        cmap="Blues",
        linewidths=0,
    )
    _colour_bar(figure, axes, hexagons, "Particles per hexagon")
    return png_of(figure)


def _placed(points: pd.DataFrame) -> pd.DataFrame:
    return points[points["map_x"].notna() & points["map_y"].notna()]


def _by_frequency(placed: pd.DataFrame) -> tuple[pd.DataFrame, list[str], pd.DataFrame]:
    """Points of frequent classes, the rare classes from the more to the less frequent, and what only density can show.

    A class that is most of many points would be a blot if it were drawn as points.
    """
    counts = placed["class"].value_counts()
    is_blot = placed["class"].isin(counts[(counts > _BLOT_POINTS) & (counts > len(placed) / 2)].index)
    rare = [str(key) for key, n in counts.items() if n < _RARE_SHARE * len(placed)]
    return placed[~placed["class"].isin(rare) & ~is_blot], rare, placed[is_blot]


def _point_size(points: int) -> float:
    """Area of a point in square points: smaller as they become more."""
    return float(np.clip(30_000 / max(points, 1), 1.6, 16))


def _opacity(points: int) -> float:
    return float(np.clip(20_000 / max(points, 1), 0.45, 0.9))


def _anomaly_colours() -> "Colormap":
    """From dark (anomalous) to pale; never so pale that it vanishes on white."""
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("anomaly", colormaps["inferno"](np.linspace(0.05, 0.86, 64)))


def _count_colours() -> "Colormap":
    """From green (one particle) to dark blue; never so pale that a single particle is overlooked."""
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("count", colormaps["viridis_r"](np.linspace(0.25, 1, 64)))


def _draw_density(axes: "Axes", points: pd.DataFrame, colours: str) -> None:
    """Density of points, on a logarithmic scale of pale colours, behind what is drawn later."""
    if len(points):
        axes.hexbin(
            points["map_x"],
            points["map_y"],
            gridsize=80,
            extent=(*axes.get_xlim(), *axes.get_ylim()),
            bins="log",
            vmin=0.2,  # below one, so that a hexagon with a single particle is not white
            mincnt=1,
            cmap=colours,
            alpha=0.5,
            linewidths=0,
        )


def _map_axes(
    points: pd.DataFrame, right_in: float, titles: tuple[str, str] = (_X_TITLE, _Y_TITLE)
) -> "tuple[Figure, Axes]":
    """A figure as high as the map needs at one scale for both axes, with room on the right."""
    low = points[["map_x", "map_y"]].min().to_numpy(dtype=float)
    high = points[["map_x", "map_y"]].max().to_numpy(dtype=float)
    span = 1.08 * np.maximum(high - low, 1.0)
    height_in = float(np.clip(_MAP_IN * span[1] / span[0], 0.5 * _MAP_IN, 1.2 * _MAP_IN))
    figure = new_figure(_LEFT_IN + _MAP_IN + right_in, _BOTTOM_IN + height_in + _TOP_IN)
    figure.set_layout_engine("none")
    width_all_in, height_all_in = figure.get_size_inches()
    axes = figure.add_axes(
        (_LEFT_IN / width_all_in, _BOTTOM_IN / height_all_in, _MAP_IN / width_all_in, height_in / height_all_in)
    )
    plain_axes(axes, *titles)
    axes.grid(False)
    half = max(span[0] / _MAP_IN, span[1] / height_in) * np.array([_MAP_IN, height_in]) / 2
    middle = (low + high) / 2
    axes.set_xlim(middle[0] - half[0], middle[0] + half[0])
    axes.set_ylim(middle[1] - half[1], middle[1] + half[1])
    return figure, axes


def _colour_bar(figure: "Figure", axes: "Axes", drawn: "ScalarMappable", title: str, extend: str = "neither") -> None:
    box, width_in = axes.get_position(), figure.get_size_inches()[0]
    place = figure.add_axes((box.x1 + 0.15 / width_in, box.y0 + 0.1 * box.height, 0.2 / width_in, 0.8 * box.height))
    bar = figure.colorbar(drawn, cax=place, extend=extend)
    bar.set_label(title, fontsize=TICK_POINTS)
    bar.ax.tick_params(labelsize=TICK_POINTS)


def _class_legend(figure: "Figure", axes: "Axes", counts: pd.Series, with_reference: bool) -> None:
    from matplotlib.artist import Artist
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Artist] = [
        Line2D(
            [],
            [],
            linestyle="",
            marker="o",
            markersize=7,
            color=class_colour(key),
            label=f"{class_title(key)} ({count(counts[key])})",
        )
        for key in ordered_classes(counts.index)
    ]
    if with_reference:
        handles.append(Patch(color="#9ecae1", alpha=0.7, label="density of labelled particles"))
    box = axes.get_position()
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(box.x1 + 0.005, box.y1 + 0.01),
        frameon=False,
        fontsize=TICK_POINTS,
        title="Class (particles)",
        title_fontsize=LABEL_POINTS,
        alignment="left",
    )
