"""Figures of what trees lean on: importance, and SHAP values of many particles and of single ones."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from icecore_dagster.learning.features.sets import feature_title
from icecore_dagster.particles.properties import BY_COLUMN
from icecore_dagster.reports.figures.drawing import (
    FAINT,
    INK,
    LABEL_POINTS,
    NOTE_POINTS,
    TICK_POINTS,
    TITLE_POINTS,
    class_colour,
    class_title,
    message_figure,
    new_figure,
    plain_axes,
    png_of,
    short_class_title,
)
from icecore_dagster.reports.wording import count, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection

    from icecore_dagster.learning.trees.explanation import Explanation

_SHOWN_FEATURES = 20
_SHOWN_IN_SWARM, _SHOWN_OF_PARTICLE = 8, 8
_TOWARDS, _AGAINST = "#c92a2a", "#1971c2"


def importance_figure(importance: pd.DataFrame, shown: int = _SHOWN_FEATURES) -> bytes:
    """Which features LightGBM leans on: share of the total gain, and how often each was split on.

    Args:
        importance: feature, gain, split.
        shown: so many features at most, highest gain first.

    Returns:
        PNG.
    """
    total = importance["gain"].sum()
    if importance.empty or total <= 0:
        return message_figure("The trees never split on any feature.")
    first = importance.sort_values("gain", ascending=False).head(shown)
    titles = [feature_title(str(feature)) for feature in first["feature"]]
    figure = new_figure(9.6, 1.5 + 0.27 * len(first))
    left, right = figure.subplots(1, 2, sharey=True)
    left.barh(titles, 100 * first["gain"] / total, color="#1971c2")
    right.barh(titles, first["split"], color=FAINT)
    plain_axes(left, "Share of the total gain (%)", "")
    plain_axes(right, "Splits on the feature (count)", "")
    left.invert_yaxis()
    left.set_ylim(len(first) - 0.4, -0.6)
    if len(importance) > len(first):
        share = f"{100 * first['gain'].sum() / total:.0f} %"
        said = f"The first {len(first)} of {count(len(importance))} features, with {share} of the gain"
        figure.suptitle(said, fontsize=LABEL_POINTS, color=INK)
    for panel in (left, right):
        panel.grid(False, axis="y")
    return png_of(figure)


def influence_figure(explanation: "Explanation", shown: int = _SHOWN_FEATURES) -> bytes:
    """Which properties moved the scores, and of which classes: mean absolute SHAP values, classes side by side.

    Args:
        explanation: SHAP values of some particles.
        shown: so many properties at most, the most influential first.

    Returns:
        PNG.
    """
    influence = explanation.mean_influence().head(shown)
    if explanation.features.empty or influence.to_numpy().sum() <= 0:
        return message_figure("The trees never split on any feature.")
    figure = new_figure(9.6, 1.6 + 0.28 * len(influence))
    axes = figure.subplots()
    titles, left = [feature_title(str(name)) for name in influence.index], np.zeros(len(influence))
    for key in influence.columns:
        axes.barh(titles, influence[key], left=left, color=class_colour(str(key)), label=class_title(str(key)))
        left += influence[key].to_numpy()
    plain_axes(axes, "Mean |SHAP value| over the particles, classes added up (log-odds)", "")
    axes.grid(False, axis="y")
    axes.invert_yaxis()
    axes.set_ylim(len(influence) - 0.4, -0.6)
    axes.legend(frameon=False, fontsize=TICK_POINTS, loc="lower right", title=_of_particles(explanation))
    return png_of(figure)


def swarm_figure(explanation: "Explanation", shown: int = _SHOWN_IN_SWARM) -> bytes:
    """What high and low values of a property speak for, class by class: one point a particle, coloured by the value.

    Args:
        explanation: SHAP values of some particles.
        shown: so many properties a class at most, the most influential on the class first.

    Returns:
        PNG.
    """
    classes = explanation.classes
    if explanation.features.empty or not np.any(explanation.values):
        return message_figure("The trees never split on any feature.")
    columns = min(3, len(classes))
    lines = -(-len(classes) // columns)
    figure = new_figure(5.2 * columns, (1.0 + 0.32 * shown) * lines + 0.5)
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    # By rank, because a few huge particles would leave all others in one colour.
    height = explanation.features.rank(pct=True).to_numpy()
    for place, (axes, key) in enumerate(zip(panels, classes, strict=False)):
        influence = explanation.mean_influence()[key].sort_values(ascending=False, kind="stable").head(shown)
        rows = [explanation.features.columns.get_loc(name) for name in influence.index]
        for line, column in enumerate(rows):
            drawn = _draw_swarm(axes, line, explanation.values[:, column, place], height[:, column])
        axes.set_yticks(range(len(rows)), [feature_title(str(name)) for name in influence.index])
        plain_axes(axes, "SHAP value (log-odds)", "", class_title(key))
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.axvline(0, color=FAINT, linewidth=0.8)
        axes.tick_params(axis="y", labelsize=NOTE_POINTS)
    for axes in panels[len(classes) :]:
        axes.set_axis_off()
    bar = figure.colorbar(drawn, ax=list(panels), shrink=0.6, aspect=30, ticks=[0, 1])
    bar.set_ticklabels(["lowest", "highest"])
    bar.set_label(f"Value of the property, by rank among {_of_particles(explanation)}", fontsize=LABEL_POINTS)
    return png_of(figure)


def reasons_figure(particles: pd.DataFrame, explanation: "Explanation", shown: int = _SHOWN_OF_PARTICLE) -> bytes:
    """Which properties made single particles what they were taken for: one panel a particle.

    Args:
        particles: particle_id, predicted_class, and rank where known, in the order of `explanation`.
        explanation: SHAP values of the same particles.
        shown: so many properties a particle at most, the strongest first.

    Returns:
        PNG.
    """
    if particles.empty:
        return message_figure("There is no particle to explain.")
    columns = min(3, len(particles))
    lines = -(-len(particles) // columns)
    figure = new_figure(5.4 * columns, (1.2 + 0.27 * shown) * lines + 0.4)
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for row, axes in enumerate(panels[: len(particles)]):
        particle = particles.iloc[row]
        key = str(particle["predicted_class"])
        strongest = explanation.for_class(row, key).head(shown)
        values = explanation.features.iloc[row][strongest.index]
        titles = [_with_value(str(name), float(value)) for name, value in values.items()]
        places = np.arange(len(titles))
        axes.barh(places, strongest, color=np.where(strongest > 0, _TOWARDS, _AGAINST))
        axes.set_yticks(places, titles)
        rank = f"#{particle['rank']}  " if "rank" in particle else ""
        plain_axes(axes, "SHAP value (log-odds)", "")
        axes.set_title(
            f"{rank}{short_class_title(key)}\n{particle['particle_id']}",
            fontsize=LABEL_POINTS,
            color=class_colour(key),
            loc="left",
        )
        axes.grid(False, axis="y")
        axes.axvline(0, color=FAINT, linewidth=0.8)
        axes.tick_params(axis="y", labelsize=NOTE_POINTS)
        axes.set_ylim(len(titles) - 0.4, -0.6)
    for axes in panels[len(particles) :]:
        axes.set_axis_off()
    said = ("What spoke for the predicted class (red)", "and against it (blue), by LightGBM")
    figure.suptitle((" " if columns > 1 else "\n").join(said), fontsize=TITLE_POINTS, color=INK)
    return png_of(figure)


def _draw_swarm(axes: "Axes", line: int, values: np.ndarray, height: np.ndarray) -> "PathCollection":
    """One property's points, spread across its line where many have nearly the same SHAP value."""
    low, high = float(values.min()), float(values.max())
    bins = np.floor((values - low) / max(high - low, 1e-12) * 60).astype(int)
    spread = np.zeros(len(values))
    fullest = np.bincount(bins).max()
    for members in (np.flatnonzero(bins == one) for one in np.unique(bins)):
        ordered = members[np.argsort(height[members], kind="stable")]
        places = np.arange(len(ordered)) - (len(ordered) - 1) / 2
        spread[ordered] = places / max(fullest, 12) * 0.8
    return axes.scatter(values, line + spread, c=height, cmap="coolwarm", vmin=0, vmax=1, s=6, linewidths=0)


def _of_particles(explanation: "Explanation") -> str:
    return f"{count(len(explanation.features))} test particles"


def _with_value(column: str, value: float) -> str:
    """A feature's name and a particle's value of it: "Area (ABD) = 123 µm²"."""
    known = BY_COLUMN.get(column)
    name, unit = (known.flowcam_name, known.unit) if known else (feature_title(column), "")
    if np.isnan(value):
        return f"{name}: missing"
    return f"{name} = {number(value)}{'' if unit in ('', '°') else ' '}{unit}"
