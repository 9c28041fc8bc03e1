"""Our figures beside published ones."""

from collections.abc import Sequence
from dataclasses import dataclass

from icecore_dagster.reports.figures.drawing import (
    FAINT,
    INK,
    NOTE_POINTS,
    TICK_POINTS,
    message_figure,
    new_figure,
    plain_axes,
    png_of,
)

_OURS, _THEIRS = "#1864ab", "#d9480f"


@dataclass(frozen=True)
class Compared:
    """One figure of ours and the published one.

    Attributes:
        title: what it is.
        ours: a share, 0 to 1.
        low: lower end of its 95 % interval, or None.
        high: upper end, or None.
        published: a share, 0 to 1.
    """

    title: str
    ours: float
    low: float | None
    high: float | None
    published: float


def comparison_figure(rows: Sequence[Compared]) -> bytes:
    """Ours with its interval, and the published figure, one line each; best read from top to bottom.

    Args:
        rows: in order.

    Returns:
        PNG.
    """
    if not rows:
        return message_figure("Nothing here has a published counterpart.")
    figure = new_figure(9.6, 1.1 + 0.28 * len(rows))
    axes = figure.subplots()
    for place, row in enumerate(rows):
        axes.plot([row.ours, row.published], [place, place], color=FAINT, linewidth=1, zorder=1)
        if row.low is not None and row.high is not None:
            axes.plot([row.low, row.high], [place, place], color=_OURS, linewidth=4, alpha=0.35, zorder=2)
    places = range(len(rows))
    axes.scatter([row.published for row in rows], places, marker="D", s=26, color=_THEIRS, zorder=3, label="published")
    axes.scatter([row.ours for row in rows], places, s=30, color=_OURS, zorder=4, label="ours (bar: 95 % interval)")
    plain_axes(axes, "Share (no unit)", "")
    axes.set_yticks(list(places), [row.title for row in rows], fontsize=NOTE_POINTS, color=INK)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.margins(x=0.03)
    figure.legend(loc="outside upper right", ncols=2, frameon=False, fontsize=TICK_POINTS)
    return png_of(figure)
