"""What the scores of a segment look like as a whole, counted block by block: a segment may hold a million particles."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np
import pandas as pd

from icecore_dagster.particles.tables.schemas import SEGMENT_ANOMALY_SCORES, SEGMENT_EMBEDDING, SEGMENT_PREDICTIONS
from icecore_dagster.reports.figures.drawing import (
    ANOMALY_AXIS,
    FAINT,
    INK,
    TICK_POINTS,
    class_colour,
    class_title,
    message_figure,
    new_figure,
    ordered_classes,
    plain_axes,
    png_of,
)
from icecore_dagster.reports.figures.maps import map_density
from icecore_dagster.reports.wording import count

SCORES_SHOWN: dict[str, list[str]] = {
    SEGMENT_PREDICTIONS.name: ["predicted_class", "interest"],
    SEGMENT_ANOMALY_SCORES.name: ["anomaly_score", "dust_share_more_anomalous"],
    SEGMENT_EMBEDDING.name: ["map_x", "map_y"],
}
"""Columns that `score_figure` needs of each table of scores."""

_INTEREST_EDGES = np.linspace(0, 1, 51)
_ANOMALY_EDGES = np.linspace(-1, 1, 401)
"""An isolation forest's scores, less the threshold that lies among them, lie between -1 and 1."""
_SHARES = np.geomspace(1e-4, 1, 60)
_PLACE = 0.02
"""Particles nearer than this on the map are counted in one place; a hexagon of the picture is ten times as wide."""


def score_figure(table: str, blocks: Iterable[pd.DataFrame], classes: Sequence[str]) -> bytes:
    """What one table of a segment's scores looks like as a whole.

    Args:
        table: segment_predictions, segment_anomaly_scores or segment_embedding.
        blocks: the columns `SCORES_SHOWN` of that table, some rows at a time; each block is read once.
        classes: that could be predicted.

    Returns:
        PNG; the same whatever the blocks' sizes.

    Raises:
        ValueError: another table.
    """
    figures: dict[str, Callable[[Iterable[pd.DataFrame]], bytes]] = {
        SEGMENT_PREDICTIONS.name: partial(_prediction_figure, classes=classes),
        SEGMENT_ANOMALY_SCORES.name: _anomaly_figure,
        SEGMENT_EMBEDDING.name: _embedding_figure,
    }
    if table not in figures:
        raise ValueError(f"there is no figure for table {table!r}")
    return figures[table](blocks)


def _nothing() -> bytes:
    return message_figure("This segment holds no particle.")


def _prediction_figure(blocks: Iterable[pd.DataFrame], classes: Sequence[str]) -> bytes:
    """Particles predicted to be of each class, and how far from dust and contamination the rest is."""
    predicted: Counter[str] = Counter()
    interest = np.zeros(len(_INTEREST_EDGES) - 1, np.int64)
    for block in blocks:
        predicted.update(block["predicted_class"].tolist())
        interest += np.histogram(block["interest"], _INTEREST_EDGES)[0]
    if not predicted.total():
        return _nothing()
    figure = new_figure(10, 3.8)
    left, right = figure.subplots(1, 2)
    ordered = ordered_classes(classes)
    counts = [predicted[key] for key in ordered]
    left.barh([class_title(c) for c in ordered], counts, color=[class_colour(c) for c in ordered])
    for place, n in enumerate(counts):
        left.annotate(
            count(n), (max(n, 1), place), (4, 0), textcoords="offset points", va="center", fontsize=TICK_POINTS
        )
    plain_axes(left, "Particles predicted to be of the class", "")
    left.set_xscale("log")
    left.set_xlim(0.8, max(*counts, 10) * 4)
    left.invert_yaxis()
    left.grid(False, axis="y")
    right.stairs(interest, _INTEREST_EDGES, fill=True, color=FAINT)
    plain_axes(right, "Interest: 1 − p(dust) − p(contamination)", "Particles")
    right.set_yscale("log")
    return png_of(figure)


def _anomaly_figure(blocks: Iterable[pd.DataFrame]) -> bytes:
    """Anomaly scores, and how many particles are as strange as so small a share of the held-out dust."""
    scores = np.zeros(len(_ANOMALY_EDGES) - 1, np.int64)
    at_or_below = np.zeros(len(_SHARES), np.int64)
    particles = 0
    for block in blocks:
        particles += len(block)
        scores += np.histogram(block["anomaly_score"], _ANOMALY_EDGES)[0]
        at_or_below += np.searchsorted(np.sort(block["dust_share_more_anomalous"].to_numpy()), _SHARES, side="right")
    if not particles:
        return _nothing()
    figure = new_figure(10, 3.8)
    left, right = figure.subplots(1, 2)
    occupied = np.flatnonzero(scores)
    first, last = occupied[0], occupied[-1] + 1
    left.stairs(scores[first:last], _ANOMALY_EDGES[first : last + 1], fill=True, color=FAINT)
    plain_axes(left, ANOMALY_AXIS, "Particles")
    left.set_yscale("log")
    right.plot(_SHARES, at_or_below, color=INK, linewidth=1.6, label="these particles")
    right.plot(_SHARES, _SHARES * particles, color=FAINT, linewidth=1.2, linestyle="--", label="if all were dust")
    plain_axes(right, "Share of held-out dust at least as anomalous (no unit)", "Particles at or below that share")
    right.set_xscale("log")
    right.set_yscale("symlog", linthresh=1)
    right.set_ylim(0, 2 * particles)
    right.legend(frameon=False, fontsize=TICK_POINTS)
    return png_of(figure)


def _embedding_figure(blocks: Iterable[pd.DataFrame]) -> bytes:
    """How many particles lie where on the labelled map."""
    places = pd.DataFrame({"map_x": [], "map_y": [], "particles": []})
    for block in blocks:
        rounded = (block.dropna() / _PLACE).round() * _PLACE
        every = pd.concat([places, rounded.assign(particles=1)])
        places = every.groupby(["map_x", "map_y"], as_index=False).sum()
    return map_density(places)
