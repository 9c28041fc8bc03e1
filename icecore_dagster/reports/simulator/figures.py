"""Figures of the simulator's page: drawn beside real particles, edges, noise, and distributions beside the study's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from icecore_dagster.learning.realism.validation import COMPARED, RealParticle, Sample
from icecore_dagster.particles.labels import LABEL_KEYS
from icecore_dagster.particles.segment import border_grey
from icecore_dagster.reports.figures.drawing import (
    FAINT,
    INK,
    LABEL_POINTS,
    NOTE_POINTS,
    TICK_POINTS,
    class_colour,
    class_title,
    new_figure,
    plain_axes,
    png_of,
    property_title,
)
from icecore_dagster.reports.figures.gallery import scale_bar
from icecore_dagster.simulation.likeness import PROFILE_PX, border_noise, edge_profile

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BESIDE = 12
"""Drawn particles shown beside each real one."""
IN_FOCUS_UM = 5.0
"""Depth up to which a drawn particle counts as in focus."""
_FEWEST_PROFILES = 5
"""Drawn particles that reach a depth, below which no spread is shown there."""
_GAP_PX, _INCH_PX = 10, 130
_ROW_PX = 900


@dataclass(frozen=True)
class PublishedHistogram:
    """What the study's histogram of a property shows.

    Attributes:
        mode: where it is highest.
        low: where it begins.
        high: where it ends.
        humps: further humps.
    """

    mode: float | None
    low: float
    high: float
    humps: tuple[float, ...] = ()


PUBLISHED_HISTOGRAMS = {
    "intensity_grey": PublishedHistogram(87, 20, 170),
    "sigma_intensity_grey": PublishedHistogram(20, 0, 60),
    "edge_gradient_grey": PublishedHistogram(43, 0, 125),
    "sum_intensity_grey": PublishedHistogram(None, 0, 1e5, (0.5e6,)),
}
"""Read off the histograms of the study's 136,022 particles; of the sum, most lie below 1e5, with a hump at 0.5e6."""


def side_by_side(real: RealParticle | None, drawn: Sequence[Sample], um_per_px: float) -> bytes:
    """A real particle and drawn ones of its label at one scale; the real one has a frame.

    Args:
        real: the real particle; None shows drawn ones alone.
        drawn: drawn particles of the label; those nearest in size to the real one are shown.
        um_per_px: calibration of all of them.

    Returns:
        PNG.
    """
    crops = [sample.crop for sample in drawn]
    if real is not None:
        size = max(real.crop.shape)
        crops.sort(key=lambda crop: abs(np.log(max(crop.shape) / size)))
    # Every other of the nearest, so that they are not all of one size.
    chosen = crops[: 2 * BESIDE : 2]
    rows = _rows([*([real.crop] if real is not None else []), *chosen])
    widest = max(sum(crop.shape[1] + _GAP_PX for crop in row) for row in rows)
    heights = [max(crop.shape[0] for crop in row) + _GAP_PX for row in rows]
    # Small crops are enlarged, so that the sheet is never narrower than it can be read.
    enlarge = max(1.0, _ROW_PX / widest)
    width_px, height_px = widest, sum(heights) + 26 / enlarge
    figure = new_figure(width_px * enlarge / _INCH_PX, height_px * enlarge / _INCH_PX)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width_px), ylim=(height_px, 0))
    axes.axis("off")
    top = 0.0
    for number, (row, height) in enumerate(zip(rows, heights, strict=True)):
        left = _GAP_PX / 2
        for place, crop in enumerate(row):
            h, w = crop.shape
            box = (left, left + w, top + _GAP_PX / 2 + h, top + _GAP_PX / 2)
            axes.imshow(crop, cmap="gray", vmin=0, vmax=255, interpolation="bilinear", extent=box, aspect="auto")
            if real is not None and number == place == 0:
                axes.plot(
                    [box[0], box[1], box[1], box[0], box[0]],
                    [box[2], box[2], box[3], box[3], box[2]],
                    color="#d9480f",
                    linewidth=2.5,
                )
            left += w + _GAP_PX
        top += height
    axes.set(xlim=(0, width_px), ylim=(height_px, 0))
    bar = scale_bar(min(width_px / 2, 160), um_per_px)
    y = height_px - 11 / enlarge
    axes.plot([_GAP_PX, _GAP_PX + bar.length_px], [y, y], color=INK, linewidth=3, solid_capstyle="butt")
    axes.text(_GAP_PX * 2 + bar.length_px, y, bar.text, va="center", fontsize=TICK_POINTS, color=INK)
    return png_of(figure)


def _rows(crops: list[np.ndarray]) -> list[list[np.ndarray]]:
    """Crops in rows of about equal width."""
    total = sum(crop.shape[1] + _GAP_PX for crop in crops)
    widest = max(_ROW_PX, max(crop.shape[1] for crop in crops) + _GAP_PX) if total > _ROW_PX else total
    rows: list[list[np.ndarray]] = [[]]
    used = 0
    for crop in crops:
        if used + crop.shape[1] + _GAP_PX > widest and rows[-1]:
            rows.append([])
            used = 0
        rows[-1].append(crop)
        used += crop.shape[1] + _GAP_PX
    return rows


def edge_profiles(samples: Mapping[str, Sequence[Sample]], real: Sequence[RealParticle]) -> bytes:
    """Grey across the edge of drawn particles in focus, label by label, with the real ones over them.

    Args:
        samples: drawn particles by label.
        real: real particles.

    Returns:
        PNG.
    """
    figure = new_figure(11, 5.6)
    panels = figure.subplots(2, 4, sharex=True, sharey=True).ravel()
    for panel, label in zip(panels, LABEL_KEYS, strict=False):
        sharp = [s.crop for s in samples[label] if abs(s.defocus_um) <= IN_FOCUS_UM]
        profiles = np.array([edge_profile(crop) for crop in sharp]).reshape(-1, len(PROFILE_PX))
        known = (~np.isnan(profiles)).sum(axis=0) >= _FEWEST_PROFILES
        if known.any():
            low, middle, high = np.nanquantile(profiles[:, known], (0.1, 0.5, 0.9), axis=0)
            panel.fill_between(PROFILE_PX[known], low, high, color=class_colour(label), alpha=0.2, linewidth=0)
            panel.plot(PROFILE_PX[known], middle, color=class_colour(label), linewidth=1.8)
        for particle in real:
            if particle.label == label:
                panel.plot(PROFILE_PX, edge_profile(particle.crop), color=INK, linewidth=1.4, linestyle="--")
        plain_axes(panel, "", "", class_title(label).split(" (")[0])
        panel.axvline(0, color=FAINT, linewidth=0.8)
    _key_to_profiles(panels[-1], bool(real))
    figure.supxlabel("Distance from the outline (px, negative inside)", fontsize=LABEL_POINTS, color=INK)
    figure.supylabel("Grey minus background (grey levels)", fontsize=LABEL_POINTS, color=INK)
    return png_of(figure)


def _key_to_profiles(panel: "Axes", with_real: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list = [
        Line2D([], [], color=FAINT, linewidth=1.8, label="drawn in focus: median"),
        Patch(color=FAINT, alpha=0.3, label="drawn in focus: 10–90 %"),
    ]
    if with_real:
        handles.append(Line2D([], [], color=INK, linestyle="--", label="one real particle"))
    panel.axis("off")
    panel.legend(handles=handles, loc="center", frameon=False, fontsize=NOTE_POINTS)


def borders(samples: Mapping[str, Sequence[Sample]], real: Sequence[RealParticle]) -> bytes:
    """Background grey and noise of the crops' borders, drawn and real.

    Args:
        samples: drawn particles by label.
        real: real particles.

    Returns:
        PNG.
    """
    figure = new_figure(10, 3.4)
    crops = [sample.crop for label in LABEL_KEYS for sample in samples[label]]
    measured: tuple[tuple[str, Callable[[np.ndarray], float], np.ndarray], ...] = (
        (
            "Background: median grey of the border (grey levels)",
            lambda crop: float(border_grey(crop)),
            np.arange(110, 160),
        ),
        ("Noise: standard deviation of the border (grey levels)", border_noise, np.arange(0, 15.1, 0.25)),
    )
    for panel, (title, measure, edges) in zip(figure.subplots(1, 2), measured, strict=True):
        panel.hist([measure(crop) for crop in crops], edges, color=FAINT, alpha=0.7, label=f"{len(crops):,} drawn")
        for i, particle in enumerate(real):
            panel.axvline(
                measure(particle.crop), color="#d9480f", linewidth=1.3, label=f"{len(real)} real" if i == 0 else None
            )
        plain_axes(panel, title, "Particles")
        panel.legend(frameon=False, fontsize=TICK_POINTS)
    return png_of(figure)


def property_histograms(properties: pd.DataFrame) -> bytes:
    """Distributions of the four grey properties over all drawn particles, with what the study's histograms show.

    Args:
        properties: label and the columns `COMPARED`.

    Returns:
        PNG.
    """
    figure = new_figure(11, 6.4)
    for panel, column in zip(figure.subplots(2, 2).ravel(), COMPARED, strict=True):
        of_all, published = properties[column], PUBLISHED_HISTOGRAMS[column]
        is_sum = column == "sum_intensity_grey"
        edges = np.linspace(0, 2e6, 81) if is_sum else np.linspace(0, float(of_all.quantile(0.999)), 81)
        of_label = [properties.loc[properties["label"] == label, column] for label in LABEL_KEYS]
        panel.hist(of_label, edges, stacked=True, color=[class_colour(label) for label in LABEL_KEYS])
        panel.axvspan(published.low, published.high, color="#d9480f", alpha=0.08, linewidth=0)
        if published.mode is not None:
            panel.axvline(published.mode, color="#d9480f", linewidth=1.5)
        for hump in published.humps:
            panel.axvline(hump, color="#d9480f", linewidth=1.5, linestyle=":")
        plain_axes(panel, property_title(column), "Particles")
        if is_sum:
            panel.set_yscale("log")
            panel.set_xticks(np.arange(0, 2.1e6, 0.5e6), ["0", "0.5 million", "1 million", "1.5 million", "2 million"])
    _key_to_histograms(figure)
    return png_of(figure)


def _key_to_histograms(figure: object) -> None:
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    assert isinstance(figure, Figure)
    handles: list = [Patch(color=class_colour(label), label=class_title(label).split(" (")[0]) for label in LABEL_KEYS]
    handles += [
        Line2D([], [], color="#d9480f", label="study: mode"),
        Line2D([], [], color="#d9480f", linestyle=":", label="study: second hump"),
        Patch(color="#d9480f", alpha=0.15, label="study: range (of the sum: where most lie)"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False, fontsize=NOTE_POINTS)
