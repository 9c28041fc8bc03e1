"""Figures of image networks: learned filters, what they answer to example particles, and networks side by side."""

import io
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from PIL import Image

from icecore_dagster.reports.figures.drawing import (
    FAINT,
    INK,
    LABEL_POINTS,
    NOTE_POINTS,
    TICK_POINTS,
    class_title,
    message_figure,
    new_figure,
    plain_axes,
    png_of,
)
from icecore_dagster.reports.wording import count, interval, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SHOWN_FILTERS, _SHOWN_INPUTS, _SHOWN_MAPS = 32, 16, 16
_GREYS = 32
_LABEL_CHARACTERS = 15
_NO_CONVOLUTION = "The network has no convolution."
_BEST, _OTHER, _NOT_COMPARABLE = "#d9480f", "#1971c2", "#adb5bd"
_MEASURES = {
    "balanced_accuracy": "Balanced accuracy (mean recall)",
    "accuracy": "Accuracy (share right)",
    "macro_f1": "Macro F1 (no unit)",
    "calibration_error": "Calibration error (no unit)",
}


def filters_figure(filters: Mapping[str, np.ndarray]) -> bytes:
    """The weights of each convolution: a column a filter, a row an input of it, all on the layer's own scale.

    Args:
        filters: by name of the convolution, float (filters, inputs, side, side); at most 32 filters and 16 inputs of
            each are drawn.

    Returns:
        PNG.
    """
    if not filters:
        return message_figure(_NO_CONVOLUTION)
    shown = {name: weights[:_SHOWN_FILTERS, :_SHOWN_INPUTS] for name, weights in filters.items()}
    heights = [0.75 + 8.6 * max(w.shape[1], 1) / max(w.shape[0], 8) for w in shown.values()]
    figure = new_figure(10.5, sum(heights))
    rows = figure.subplots(len(shown), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (name, weights) in zip(rows, shown.items(), strict=True):
        limit = float(np.abs(weights).max()) or 1.0
        drawn = axes.imshow(_tiled(weights.transpose(1, 0, 2, 3)), cmap="RdBu_r", vmin=-limit, vmax=limit)
        axes.set_facecolor("white")
        filters_, inputs, side, _ = filters[name].shape
        drawn_of = "" if weights.shape[:2] == (filters_, inputs) else f" (first {weights.shape[0]}×{weights.shape[1]})"
        _bare(
            axes,
            f"{name}: {filters_} filters of {side}×{side} px on {inputs} input{'s' if inputs > 1 else ''}{drawn_of}",
            "Filter",
            "Input",
        )
        bar = figure.colorbar(drawn, ax=axes, fraction=0.03, pad=0.01)
        bar.set_label("Weight (no unit)", fontsize=TICK_POINTS)
        bar.ax.tick_params(labelsize=TICK_POINTS)
    return png_of(figure)


def feature_maps_figure(examples: Mapping[str, np.ndarray], maps: Mapping[str, np.ndarray]) -> bytes:
    """What each convolution gives for one particle of each class: a row a class, a column a convolution.

    Each map is drawn on its own scale, white where the filter answers most.

    Args:
        examples: by class, uint8 (size, size), the particles as the network sees them.
        maps: by name of the convolution, float (examples, filters, height, width); at most 16 filters are drawn.

    Returns:
        PNG.
    """
    if not maps or not examples:
        return message_figure(_NO_CONVOLUTION)
    shown = {name: values[:, :_SHOWN_MAPS] for name, values in maps.items()}
    shapes = {name: _grid(values.shape[1]) for name, values in shown.items()}
    widths = [1.0, *(across / down for down, across in shapes.values())]
    row_in = 1.0
    figure = new_figure(0.9 + 1.08 * row_in * sum(widths), 0.75 + row_in * len(examples))
    grid = figure.subplots(len(examples), 1 + len(shown), squeeze=False, width_ratios=widths)
    for row, (name, image) in enumerate(examples.items()):
        grid[row, 0].imshow(image, cmap="gray", vmin=0, vmax=255)
        _bare(grid[row, 0], f"{image.shape[1]}×{image.shape[0]} px" if row == 0 else "")
        grid[row, 0].set_ylabel(textwrap.fill(class_title(name), _LABEL_CHARACTERS), fontsize=TICK_POINTS)
        for column, (layer, values) in enumerate(shown.items(), start=1):
            down, across = shapes[layer]
            tiles = np.full((down * across, *values.shape[2:]), np.nan)
            tiles[: values.shape[1]] = [_stretched(one) for one in values[row]]
            axes = grid[row, column]
            axes.imshow(_tiled(tiles.reshape(down, across, *values.shape[2:])), cmap="gray", vmin=0, vmax=1)
            _bare(axes, _maps_title(layer, maps[layer].shape, values.shape[1]) if row == 0 else "")
    figure.supxlabel(
        "Left: the particle. Each map on its own scale: white where the filter answers most (no unit)",
        fontsize=NOTE_POINTS,
    )
    return _without_colour(png_of(figure))


def leaderboard_figure(table: pd.DataFrame) -> bytes:
    """Every network's figures on the validation particles with 95 % intervals, a row of panels a task.

    The best of each task is marked, with its test figures as hollow diamonds; networks that cannot be compared with it
    are pale.

    Args:
        table: the columns of `schemas.NETWORK_LEADERBOARD`.

    Returns:
        PNG.
    """
    if table.empty:
        return message_figure("No network has been trained.")
    tasks = {str(task): of_task for task, of_task in table.groupby("task", sort=False)}
    heights = [0.45 + 0.27 * len(of_task) for of_task in tasks.values()]
    figure = new_figure(12.5, 0.9 + sum(heights))
    grid = figure.subplots(len(tasks), len(_MEASURES), squeeze=False, sharex="col", height_ratios=heights)
    for row, (task, of_task) in enumerate(tasks.items()):
        for column, (measure, title) in enumerate(_MEASURES.items()):
            axes = grid[row, column]
            _dots(axes, of_task, measure)
            last, first = row == len(tasks) - 1, column == 0
            plain_axes(axes, title if last else "", "", task if first else "")
            names = [f"{a} ({count(p)})" for a, p in zip(of_task["architecture"], of_task["parameters"], strict=True)]
            axes.set_yticks(range(len(of_task)), names if first else [""] * len(of_task))
            axes.set_ylim(len(of_task) - 0.4, -0.6)
    figure.supxlabel(
        "Validation particles, bars: 95 % interval by run. In brackets: parameters. Orange: best of its task, with its "
        "test figure as hollow diamond.\nPale: not validated on the same particles.",
        fontsize=NOTE_POINTS,
    )
    return png_of(figure)


def readable_leaderboard(table: pd.DataFrame) -> pd.DataFrame:
    """The leaderboard as people read it: each figure with its interval, the test figure of the best beside it.

    Args:
        table: the columns of `schemas.NETWORK_LEADERBOARD`.

    Returns:
        Texts, a row a network: task, architecture, best, parameters, split, the four figures on validation, epochs,
        seconds, kWh.
    """
    rows = []
    for _, of_network in table.iterrows():
        judged = {
            title.split(" (")[0].lower(): _with_interval(of_network, measure) for measure, title in _MEASURES.items()
        }
        rows.append(
            {
                "task": of_network["task"],
                "architecture": of_network["architecture"],
                "best": "best" if of_network["best"] else "" if of_network["comparable"] else "not comparable",
                "parameters": count(of_network["parameters"]),
                "split": of_network["split"],
                **judged,
                "epochs": count(of_network["epochs"]),
                "seconds": count(of_network["seconds"]),
                "kWh": number(of_network["kwh"]),
            }
        )
    return pd.DataFrame(rows)


def _with_interval(of_network: pd.Series, measure: str) -> str:
    """`0.912 (0.880–0.941), test 0.905 (0.870–0.936)`."""
    written = []
    for side, word in (("validation", ""), ("test", "test ")):
        name = f"{side}_{measure}"
        if pd.notna(of_network[name]):
            bounds = interval(of_network[f"{name}_low"], of_network[f"{name}_high"])
            written.append(f"{word}{number(of_network[name])}" + (f" ({bounds})" if bounds else ""))
    return ", ".join(written)


def _dots(axes: "Axes", of_task: pd.DataFrame, measure: str) -> None:
    places = np.arange(len(of_task))
    values = of_task[f"validation_{measure}"].to_numpy(dtype=float)
    for place, value, low, high, best, comparable in zip(
        places,
        values,
        of_task[f"validation_{measure}_low"].to_numpy(dtype=float),
        of_task[f"validation_{measure}_high"].to_numpy(dtype=float),
        of_task["best"],
        of_task["comparable"],
        strict=True,
    ):
        colour = _BEST if best else _OTHER if comparable else _NOT_COMPARABLE
        axes.plot([low, high], [place, place], color=colour, linewidth=1.6, solid_capstyle="butt")
        axes.plot(value, place, "o", color=colour, markersize=5)
    test = of_task[f"test_{measure}"].to_numpy(dtype=float)
    axes.plot(test, places, "D", markerfacecolor="white", markeredgecolor=_BEST, markersize=5, linestyle="none")
    axes.grid(False, axis="y")


def _without_colour(png: bytes) -> bytes:
    """The same picture in a few greys alone: a third of the bytes, which lie in Dagster's records."""
    grey = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("L").quantize(_GREYS).save(grey, "PNG", optimize=True)
    return grey.getvalue()


def _tiled(tiles: np.ndarray, gap_px: int = 1) -> np.ndarray:
    """Tiles (rows, columns, height, width) as one image with gaps (NaN) between them."""
    rows, columns, height, width = tiles.shape
    sheet = np.full((rows * (height + gap_px) - gap_px, columns * (width + gap_px) - gap_px), np.nan)
    for row, column in np.ndindex(rows, columns):
        top, left = row * (height + gap_px), column * (width + gap_px)
        sheet[top : top + height, left : left + width] = tiles[row, column]
    return sheet


def _grid(tiles: int) -> tuple[int, int]:
    """Rows and columns that hold so many tiles, at most twice as wide as high."""
    down = max(1, int(np.sqrt(tiles / 2)))
    return down, -(-tiles // down)


def _stretched(values: np.ndarray) -> np.ndarray:
    """Values between 0 (least) and 1 (most); a flat map is 0 throughout."""
    low, high = float(values.min()), float(values.max())
    return (values - low) / (high - low) if high > low else np.zeros_like(values)


def _maps_title(layer: str, shape: tuple[int, ...], shown: int) -> str:
    first = "" if shown == shape[1] else f", first {shown}"
    return f"{layer}: {shape[1]} maps of {shape[3]}×{shape[2]} px{first}"


def _bare(axes: "Axes", title: str, x_title: str = "", y_title: str = "") -> None:
    """A picture without ticks: its pixels are the axes."""
    axes.set_title(title, fontsize=TICK_POINTS, color=INK, loc="left")
    axes.set_xlabel(x_title, fontsize=LABEL_POINTS, color=INK)
    axes.set_ylabel(y_title, fontsize=LABEL_POINTS, color=INK)
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_color(FAINT)
        side.set_linewidth(0.4)
