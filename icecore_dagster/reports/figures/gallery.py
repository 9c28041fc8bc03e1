"""Sheets of particle crops with scale bars: candidates with their scores, and examples of each label at one scale."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from icecore_dagster.reports.figures.drawing import (
    FAINT,
    INK,
    NOTE_POINTS,
    TICK_POINTS,
    class_colour,
    class_title,
    message_figure,
    new_figure,
    ordered_classes,
    png_of,
    short_class_title,
)
from icecore_dagster.reports.wording import is_known, number, size

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LONGEST_BAR_SHARE = 0.45
_LEAST_BOX_PX = 40
"""Crops smaller than this are not blown up to fill their box: they stay small beside the others."""

_CARD_IN, _CARD_HEIGHT_IN, _CROP_IN = 1.8, 2.62, 1.62
_SMALL_POINTS = 6.5

_SHEET_IN, _SHEET_LABEL_IN = 11.0, 2.3
_GAP_PX, _LEAST_ROW_IN, _ROW_GAP_IN, _BAR_ROW_IN = 8, 0.3, 0.12, 0.4


@dataclass(frozen=True)
class ScaleBar:
    """A scale bar of a round length.

    Attributes:
        length_px: length in pixels of the crop.
        text: its length for people: "10 µm", or "50 px" where the calibration is unknown.
    """

    length_px: float
    text: str


def scale_bar(width_px: float, um_per_px: float | None) -> ScaleBar:
    """The longest bar of 1, 2 or 5 times a power of ten that covers less than half of a width.

    Args:
        width_px: width to stay within, in pixels of the crop.
        um_per_px: calibration; None or NaN where it is unknown.

    Returns:
        The bar.
    """
    unit_px, unit = 1.0, "px"
    if um_per_px is not None and is_known(um_per_px) and um_per_px > 0:
        unit_px, unit = 1 / um_per_px, "µm"
    longest = _LONGEST_BAR_SHARE * width_px / unit_px
    steps = [step * 10.0**power for power in range(-3, 6) for step in (1, 2, 5)]
    length = max((step for step in steps if step <= longest), default=steps[0])
    return ScaleBar(length * unit_px, f"{length:g} {unit}")


def contact_sheet(particles: pd.DataFrame, crops: Mapping[str, np.ndarray], columns: int = 6) -> bytes:
    """Crops in a grid, each fitted to its place, with scale bar, id, class and scores below.

    Args:
        particles: rows of a ranking: particle_id, and rank, predicted_class, p_<class>, interest, anomaly_score,
            distance, diameter_esd_um, calibration_um_per_px where known.
        crops: crop of each particle by id, uint8 (h, w); where one is missing its place says so.
        columns: crops a row.

    Returns:
        PNG.
    """
    if particles.empty:
        return message_figure("There is no particle to show.")
    columns = min(columns, len(particles))
    lines = -(-len(particles) // columns)
    figure = new_figure(_CARD_IN * columns, _CARD_HEIGHT_IN * lines)
    figure.set_layout_engine("none")
    for place, (_, row) in enumerate(particles.iterrows()):
        line, column = divmod(place, columns)
        _draw_card(figure, row, crops.get(str(row["particle_id"])), column * _CARD_IN, line * _CARD_HEIGHT_IN)
    return png_of(figure)


def _draw_card(figure: "Figure", row: pd.Series, crop: np.ndarray | None, left_in: float, top_in: float) -> None:
    """One card with its upper left corner at a place on the sheet, in inches."""
    width_in, height_in = figure.get_size_inches()
    margin_in = (_CARD_IN - _CROP_IN) / 2

    def write(below_top_in: float, text: str, points: float, colour: str, weight: str = "normal") -> None:
        x, y = (left_in + margin_in) / width_in, 1 - (top_in + below_top_in) / height_in
        figure.text(x, y, text, fontsize=points, color=colour, weight=weight, va="top", linespacing=1.3)

    key = str(row.get("predicted_class", ""))
    rank = f"#{row['rank']}  " if "rank" in row else ""
    write(0.06, rank + short_class_title(key), NOTE_POINTS, class_colour(key), "bold")
    bottom_in = height_in - top_in - 0.24 - _CROP_IN
    box = ((left_in + margin_in) / width_in, bottom_in / height_in, _CROP_IN / width_in, _CROP_IN / height_in)
    axes = figure.add_axes(box)
    text_top_in = 0.24 + _CROP_IN + 0.04
    if crop is None:
        _empty_place(axes)
    else:
        bar = _draw_crop(axes, crop, row.get("calibration_um_per_px"))
        write(text_top_in, f"scale bar {bar.text}", _SMALL_POINTS, FAINT)
    write(text_top_in + 0.13, "\n".join(_card_lines(row, key)), _SMALL_POINTS, INK)


def _card_lines(row: pd.Series, key: str) -> list[str]:
    lines = [_shortened(str(row["particle_id"]), 30)]
    if is_known(row.get(f"p_{key}")):
        lines.append(f"probability {number(row[f'p_{key}'], 2)}, interest {number(row.get('interest'), 2)}")
    if is_known(row.get("anomaly_score")):
        lines.append(f"anomaly {number(row['anomaly_score'])}")
    if is_known(row.get("distance")):
        lines.append(f"distance {number(row['distance'])}")
    if is_known(row.get("diameter_esd_um")):
        lines.append(f"ESD {size(row['diameter_esd_um'])}")
    return lines


def _shortened(text: str, most: int) -> str:
    """Text that fits, cut in the middle where ids tell the fewest apart."""
    return text if len(text) <= most else f"{text[: most // 2 - 1]}…{text[-(most - most // 2) :]}"


def _draw_crop(axes: "Axes", crop: np.ndarray, um_per_px: float | None) -> ScaleBar:
    """A crop centred in a square box, with its scale bar in the lower left corner."""
    side_px = max(*crop.shape, _LEAST_BOX_PX)
    middle_x, middle_y = (crop.shape[1] - 1) / 2, (crop.shape[0] - 1) / 2
    axes.imshow(crop, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_xlim(middle_x - side_px / 2, middle_x + side_px / 2)
    axes.set_ylim(middle_y + side_px / 2, middle_y - side_px / 2)
    bar = scale_bar(side_px, um_per_px)
    share = bar.length_px / side_px
    for colour, width in (("white", 4.5), (INK, 2.2)):
        axes.plot([0.03, 0.03 + share], [0.04, 0.04], color=colour, linewidth=width, transform=axes.transAxes)
    _bare(axes)
    return bar


def crop_sheet(crops: Mapping[str, Sequence[np.ndarray]], um_per_px: float | None) -> bytes:
    """Crops of each label in a row of their own, all at one scale, so that sizes can be compared.

    Args:
        crops: crops by label, uint8 (h, w) each.
        um_per_px: calibration of all of them; None where it is unknown.

    Returns:
        PNG.
    """
    shown = {key: list(crops[key]) for key in ordered_classes(crops) if len(crops[key])}
    if not shown:
        return message_figure("There is no crop to show.")
    across_px = max(sum(crop.shape[1] + _GAP_PX for crop in row) for row in shown.values())
    in_a_px = (_SHEET_IN - _SHEET_LABEL_IN) / across_px
    heights_in = [max(max(c.shape[0] for c in row) * in_a_px, _LEAST_ROW_IN) + _ROW_GAP_IN for row in shown.values()]
    height_in = sum(heights_in) + _BAR_ROW_IN
    figure = new_figure(_SHEET_IN, height_in)
    figure.set_layout_engine("none")
    top_in = height_in
    for (key, row), row_in in zip(shown.items(), heights_in, strict=True):
        middle_in = top_in - row_in / 2
        label_x = (_SHEET_LABEL_IN - 0.12) / _SHEET_IN
        figure.text(label_x, middle_in / height_in, class_title(key), ha="right", va="center", fontsize=TICK_POINTS)
        _draw_row(figure, row, middle_in, in_a_px)
        top_in -= row_in
    bar = scale_bar(across_px / 2, um_per_px)
    axes = figure.add_axes((_SHEET_LABEL_IN / _SHEET_IN, 0, 1 - _SHEET_LABEL_IN / _SHEET_IN, _BAR_ROW_IN / height_in))
    axes.plot([0, bar.length_px / across_px], [0.5, 0.5], color=INK, linewidth=3, solid_capstyle="butt")
    axes.text(
        bar.length_px / across_px, 0.5, f"  {bar.text}, the same scale for all", va="center", fontsize=TICK_POINTS
    )
    axes.set(xlim=(0, 1), ylim=(0, 1))
    _bare(axes)
    return png_of(figure)


def _draw_row(figure: "Figure", crops: Sequence[np.ndarray], middle_in: float, in_a_px: float) -> None:
    """Crops side by side, centred on a height of the sheet."""
    width_in, height_in = figure.get_size_inches()
    left_in = _SHEET_LABEL_IN
    for crop in crops:
        high_in, wide_in = (n * in_a_px for n in crop.shape)
        box = (left_in / width_in, (middle_in - high_in / 2) / height_in, wide_in / width_in, high_in / height_in)
        axes = figure.add_axes(box)
        axes.imshow(crop, cmap="gray", vmin=0, vmax=255, aspect="auto", interpolation="nearest")
        _bare(axes)
        left_in += wide_in + _GAP_PX * in_a_px


def _empty_place(axes: "Axes") -> None:
    axes.text(0.5, 0.5, "no image", ha="center", va="center", color=FAINT, fontsize=TICK_POINTS)
    _bare(axes)


def _bare(axes: "Axes") -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
