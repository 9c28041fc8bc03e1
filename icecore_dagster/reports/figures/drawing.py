"""How every figure of the product looks: canvas, axes, colours and names of classes. No figure is drawn here."""

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING

from icecore_dagster.particles.labels import BY_KEY, LABEL_KEYS
from icecore_dagster.particles.properties import BY_COLUMN

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOTS_PER_INCH = 140
INK, FAINT, GRID = "#212529", "#6c757d", "#e9ecef"
TITLE_POINTS, LABEL_POINTS, TICK_POINTS, NOTE_POINTS = 11, 10, 9, 8.5

_GROUPS = {
    "ash": ("Tephra", "#d9480f"),
    "pollen": ("Pollen", "#2f9e44"),
    "unknown": ("No known class (drawn)", "#c2255c"),
}
"""Classes that are no single label: what a task calls several labels together, and what no label covers."""

_OTHER_COLOURS = ("#1864ab", "#e8590c", "#2b8a3e", "#862e9c", "#c92a2a", "#0b7285", "#5c940d", "#a61e4d", "#495057")

ANOMALY_AXIS = "Anomaly score (no unit; more negative = more anomalous)"


def new_figure(width_in: float, height_in: float) -> "Figure":
    """An empty figure on its own canvas, laid out so that nothing is cut off; no global state is touched."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), dpi=DOTS_PER_INCH, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def png_of(figure: "Figure") -> bytes:
    """The figure as PNG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def message_figure(message: str) -> bytes:
    """A small figure that says why there is nothing to draw."""
    figure = new_figure(7, 1.2)
    figure.text(0.5, 0.5, message, ha="center", va="center", color=FAINT, fontsize=TITLE_POINTS)
    return png_of(figure)


def plain_axes(axes: "Axes", x_title: str, y_title: str, title: str = "") -> None:
    """Name the axes, draw a light grid behind the data, and leave out what carries no meaning."""
    axes.set_xlabel(x_title, fontsize=LABEL_POINTS, color=INK)
    axes.set_ylabel(y_title, fontsize=LABEL_POINTS, color=INK)
    if title:
        axes.set_title(title, fontsize=TITLE_POINTS, color=INK, loc="left")
    axes.tick_params(labelsize=TICK_POINTS, colors=INK)
    axes.grid(True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)


def class_title(key: str) -> str:
    """What people call a class; the key itself if it is not one of the product's."""
    if key in BY_KEY:
        return BY_KEY[key].title
    return _GROUPS[key][0] if key in _GROUPS else key


def short_class_title(key: str) -> str:
    """The name of a class where room is short: without what stands in brackets or after a stroke."""
    return class_title(key).split(" (")[0].split(" / ")[0]


def class_colour(key: str) -> str:
    """The colour of a class, the same in every figure; grey if it is not one of the product's."""
    if key in BY_KEY:
        return BY_KEY[key].colour
    return _GROUPS[key][1] if key in _GROUPS else FAINT


def ordered_classes(keys: Iterable[str]) -> list[str]:
    """Every class once: dust first, then in the order of the labels, then whatever else by name."""
    known = [*LABEL_KEYS[:1], "ash", "pollen", *LABEL_KEYS[1:]]
    present = {str(key) for key in keys}
    return [key for key in known if key in present] + sorted(present - set(known))


def colours_of(groups: Iterable[str]) -> dict[str, str]:
    """A colour for each of some groups: the class's own where it is one, else one after another."""
    groups = list(groups)
    others = [group for group in groups if group not in BY_KEY and group not in _GROUPS]
    spare = {group: _OTHER_COLOURS[i % len(_OTHER_COLOURS)] for i, group in enumerate(others)}
    return {group: spare.get(group) or class_colour(group) for group in groups}


def property_title(column: str) -> str:
    """VisualSpreadsheet's name of a property with its unit; the column itself if it is none."""
    return BY_COLUMN[column].title if column in BY_COLUMN else column
