"""Figures of models that know dust only: what a threshold trades, what an autoencoder draws, and where it errs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from icecore_dagster.learning.anomaly.augmentation import AugmentationEffect
from icecore_dagster.learning.anomaly.separation import Curves
from icecore_dagster.reports.figures.drawing import (
    FAINT,
    INK,
    LABEL_POINTS,
    NOTE_POINTS,
    TICK_POINTS,
    class_title,
    colours_of,
    message_figure,
    new_figure,
    ordered_classes,
    plain_axes,
    png_of,
)
from icecore_dagster.reports.figures.maps import map_by_class
from icecore_dagster.reports.wording import count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CURVE_COLOURS = ("#1971c2", "#d9480f", "#2f9e44")
_ERROR_BINS = 50
_THUMB_IN, _LABEL_IN = 0.95, 2.0
_CONTRAST_SHOWN = (-0.8, 0.4)
"""Darkest and lightest contrast of redrawn particles that is told apart."""


def separation_figure(curves: Mapping[str, Curves]) -> bytes:
    """Receiver operating characteristic, and precision against recall, a line for each kind of particle to find.

    Args:
        curves: what a threshold on anomaly trades, by what is held against the dust.

    Returns:
        PNG.
    """
    if not curves:
        return message_figure("No particle but dust was held out: there is nothing to tell dust from.")
    figure = new_figure(10, 4.2)
    left, right = figure.subplots(1, 2)
    for (name, curve), colour in zip(curves.items(), _CURVE_COLOURS, strict=False):
        area = float(np.trapezoid(np.r_[0, curve.found_share], np.r_[0, curve.dust_share]))
        precise = float(np.sum(np.diff(np.r_[0, curve.found_share]) * curve.precision))
        left.plot(
            np.r_[0, curve.dust_share],
            np.r_[0, curve.found_share],
            color=colour,
            linewidth=1.6,
            label=f"{name}: area {area:.3f}",
        )
        right.plot(
            curve.found_share,
            curve.precision,
            color=colour,
            linewidth=1.6,
            label=f"{name}: average precision {precise:.3f}",
        )
        right.axhline(curve.other_share, color=colour, linewidth=1, linestyle=":")
    left.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=":")
    plain_axes(left, "Share of held-out dust above the threshold", "Share of the others above it", "ROC")
    plain_axes(right, "Recall: share of the others above the threshold", "Precision: share of others above it", "")
    right.set_title("Precision and recall", fontsize=LABEL_POINTS + 1, color=INK, loc="left")
    for panel, place in ((left, "lower right"), (right, "lower left")):
        panel.set_xlim(-0.01, 1.01)
        panel.set_ylim(-0.01, 1.03)
        panel.legend(frameon=False, fontsize=TICK_POINTS, loc=place, title="dotted: chance", title_fontsize=NOTE_POINTS)
    return png_of(figure)


def error_histogram(scores: pd.DataFrame) -> bytes:
    """Reconstruction errors of each class on a logarithmic axis, every class scaled to itself.

    Args:
        scores: label and reconstruction_error (above 0), one row a particle.

    Returns:
        PNG.
    """
    known = scores[scores["reconstruction_error"] > 0]
    if known.empty:
        return message_figure("No particle has been reconstructed.")
    groups = ordered_classes(known["label"])
    colours = colours_of(groups)
    errors = known["reconstruction_error"]
    edges = np.geomspace(0.95 * errors.min(), 1.05 * errors.max(), _ERROR_BINS + 1)
    figure = new_figure(9.6, 1 + 0.75 * len(groups))
    rows = figure.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0]
    for axes, group in zip(rows, groups, strict=True):
        of_group = errors[known["label"] == group].to_numpy()
        axes.hist(
            of_group, edges, weights=np.full(len(of_group), 100 / len(of_group)), color=colours[group], alpha=0.75
        )
        axes.axvline(float(np.median(of_group)), color=INK, linewidth=1.2)
        plain_axes(axes, "", "")
        axes.set_xscale("log")
        axes.set_ylabel(
            f"{class_title(group)}\n({count(len(of_group))})", rotation=0, ha="right", va="center", fontsize=TICK_POINTS
        )
    rows[-1].set_xlabel(
        "Reconstruction error (squared contrast, no unit; larger = more anomalous)", fontsize=LABEL_POINTS, color=INK
    )
    rows[0].set_title("Particles of the class per bin (%); line: median", fontsize=LABEL_POINTS, color=INK, loc="left")
    return png_of(figure)


def reconstruction_figure(redrawn: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> bytes:
    """Particles beside what an autoencoder draws of them, a row a class.

    Args:
        redrawn: by class, what was shown and what was drawn: float (k, h, w) each, contrast to the background.

    Returns:
        PNG.
    """
    classes = ordered_classes(redrawn)
    if not classes:
        return message_figure("No particle has been reconstructed.")
    most = max(len(redrawn[key][0]) for key in classes)
    height_in = 0.5 + (_THUMB_IN + 0.08) * len(classes) + 0.35
    figure = new_figure(_LABEL_IN + most * (2 * _THUMB_IN + 0.25) + 0.1, height_in)
    figure.set_layout_engine("none")
    width_in = figure.get_size_inches()[0]
    for row, key in enumerate(classes):
        bottom_in = height_in - 0.5 - (row + 1) * (_THUMB_IN + 0.08)
        middle = (bottom_in + _THUMB_IN / 2) / height_in
        figure.text(
            (_LABEL_IN - 0.12) / width_in, middle, class_title(key), ha="right", va="center", fontsize=TICK_POINTS
        )
        for place, pair in enumerate(zip(*redrawn[key], strict=True)):
            for step, image in enumerate(pair):
                left_in = _LABEL_IN + place * (2 * _THUMB_IN + 0.25) + step * (_THUMB_IN + 0.03)
                _thumb(
                    figure.add_axes(
                        (left_in / width_in, bottom_in / height_in, _THUMB_IN / width_in, _THUMB_IN / height_in)
                    ),
                    image,
                )
    figure.text(
        _LABEL_IN / width_in,
        1 - 0.14 / height_in,
        "Each pair: the particle as the autoencoder is shown it (squashed to a square), and as it draws it",
        va="top",
        fontsize=NOTE_POINTS,
        color=INK,
    )
    figure.text(
        _LABEL_IN / width_in,
        0.12 / height_in,
        f"grey: contrast to the background, {_CONTRAST_SHOWN[0]:g} (black) to {_CONTRAST_SHOWN[1]:g} (white)",
        fontsize=NOTE_POINTS,
        color=FAINT,
    )
    return png_of(figure)


def loss_figure(history: pd.DataFrame, best_epoch: int) -> bytes:
    """Loss by epoch, with the epoch whose weights were kept.

    Args:
        history: epoch, train_loss, validation_loss.
        best_epoch: epoch whose weights were kept.

    Returns:
        PNG.
    """
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(6.4, 3.8)
    axes = figure.subplots()
    marker = "o" if len(history) < 40 else None
    for column, colour, name in (("train_loss", FAINT, "training"), ("validation_loss", "#1971c2", "validation")):
        axes.plot(history["epoch"], history[column], color=colour, marker=marker, markersize=3.5, label=name)
    axes.axvline(best_epoch, color="#d9480f", linestyle="--", linewidth=1.2, label=f"kept: epoch {best_epoch}")
    plain_axes(axes, "Epoch (passes over the training dust)", "Loss (squared contrast, no unit)")
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize=TICK_POINTS)
    return png_of(figure)


def code_map(scores: pd.DataFrame, shares: tuple[float, float]) -> bytes:
    """Particles by the two directions in which an autoencoder's codes vary most.

    Args:
        scores: label, component_1 and component_2, one row a particle.
        shares: shares of the codes' variance along the two.

    Returns:
        PNG.
    """
    first, second = (
        f"Component {i} of the code (no unit; {100 * share:.0f} % of variance)" for i, share in enumerate(shares, 1)
    )
    points = scores.rename(columns={"label": "class", "component_1": "map_x", "component_2": "map_y"})
    return map_by_class(points, titles=(first, second))


def _thumb(axes: "Axes", image: np.ndarray) -> None:
    axes.imshow(image, cmap="gray", vmin=_CONTRAST_SHOWN[0], vmax=_CONTRAST_SHOWN[1], interpolation="nearest")
    _bare(axes)


def augmentation_figure(effect: AugmentationEffect) -> bytes:
    """Real and drawn images of a rare class, and what a network reaches without and with the drawn ones.

    Args:
        effect: of drawn images.

    Returns:
        PNG.
    """
    shown = {"real": effect.examples, "drawn": effect.drawn}
    columns = max(len(images) for images in shown.values())
    figure = new_figure(10, 5.2)
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=(2.4, 2.8))[:, 0]
    thumbs = above.subplots(2, columns, squeeze=False)
    for line, (name, images) in zip(thumbs, shown.items(), strict=True):
        for panel, image in zip(line, images, strict=False):
            panel.imshow(image, cmap="gray", vmin=0, vmax=255)
        for panel in line:
            _bare(panel)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=TICK_POINTS)
    above.suptitle(f"{class_title(effect.label)}: images as the network takes them", fontsize=LABEL_POINTS, color=INK)
    axes = below.subplots()
    for offset, name, colour, result in (
        (0.12, "real images only", FAINT, effect.without),
        (-0.12, "with drawn images", "#d9480f", effect.with_drawn),
    ):
        measured = [result.accuracy, result.balanced_accuracy, result.macro_f1, result.by_class[effect.label].f1]
        places = np.arange(len(measured))[::-1] + offset
        axes.plot(measured, places, "o", color=colour, label=name, markersize=5)
        for key, place in zip(("accuracy", "balanced_accuracy", "macro_f1"), places, strict=False):
            if key in result.intervals:
                axes.hlines(place, result.intervals[key].low, result.intervals[key].high, color=colour, linewidth=1.6)
    names = ["accuracy", "balanced accuracy", "macro F1", f"F1 of {class_title(effect.label)}"]
    axes.set_yticks(range(len(names)), names[::-1])
    plain_axes(axes, "On real test particles (share; lines: 95 % interval by run)", "")
    axes.legend(frameon=False, fontsize=TICK_POINTS, loc="center left", bbox_to_anchor=(1, 0.5))
    return png_of(figure)


def _bare(axes: "Axes") -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
