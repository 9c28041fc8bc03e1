"""Figures of how well models learnt: confusion, learning curves, separation of dust from the rest."""

from typing import Protocol

import numpy as np
import pandas as pd

from icecore_dagster.reports.figures.drawing import (
    ANOMALY_AXIS,
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
from icecore_dagster.reports.wording import count

_ANOMALY_BINS = 50


class Confusion(Protocol):
    """What a confusion figure needs of a classifier's metrics."""

    @property
    def classes(self) -> tuple[str, ...]:
        """In the order of rows and columns."""

    @property
    def confusion(self) -> tuple[tuple[int, ...], ...]:
        """Counts, rows true, columns predicted."""


def confusion_figure(metrics: Confusion) -> bytes:
    """True against predicted classes: counts, coloured by the share of the true class.

    Args:
        metrics: classes and confusion counts (rows true, columns predicted).

    Returns:
        PNG.
    """
    counts = np.array(metrics.confusion, dtype=np.int64).reshape(len(metrics.classes), -1)
    of_class = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(of_class, 1)
    titles = [class_title(key) for key in metrics.classes]
    n = len(titles)
    figure = new_figure(3.6 + 0.95 * n, 2.3 + 0.72 * n)
    axes = figure.add_subplot()
    drawn = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(n, n):
        if counts[row, column]:
            colour = "white" if shares[row, column] > 0.55 else INK
            written = f"{count(int(counts[row, column]))}\n{100 * shares[row, column]:.1f} %"
            axes.text(column, row, written, ha="center", va="center", fontsize=NOTE_POINTS, color=colour)
    right, total = int(np.trace(counts)), int(counts.sum())
    plain_axes(
        axes,
        "Predicted class",
        "True class",
        f"{count(right)} of {count(total)} right ({100 * right / max(total, 1):.1f} %)",
    )
    axes.set_xticks(range(n), titles, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(n), [f"{title} ({count(k)})" for title, k in zip(titles, of_class[:, 0], strict=True)])
    axes.grid(False)
    axes.set_xticks(np.arange(n + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(n + 1) - 0.5, minor=True)
    axes.grid(True, which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="minor", length=0)
    bar = figure.colorbar(drawn, ax=axes, shrink=0.9)
    bar.set_label("Share of the true class (no unit)", fontsize=LABEL_POINTS)
    bar.ax.tick_params(labelsize=TICK_POINTS)
    return png_of(figure)


def learning_curve_figure(history: pd.DataFrame, best_epoch: int) -> bytes:
    """Loss and accuracy by epoch, with the epoch whose weights were kept.

    Args:
        history: epoch, train_loss, validation_loss, validation_accuracy.
        best_epoch: epoch whose weights were kept.

    Returns:
        PNG.
    """
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(9.6, 3.8)
    left, right = figure.subplots(1, 2)
    marker = "o" if len(history) < 40 else None
    left.plot(history["epoch"], history["train_loss"], color=FAINT, marker=marker, markersize=3.5, label="training")
    left.plot(
        history["epoch"], history["validation_loss"], color="#1971c2", marker=marker, markersize=3.5, label="validation"
    )
    right.plot(history["epoch"], history["validation_accuracy"], color="#1971c2", marker=marker, markersize=3.5)
    plain_axes(left, "Epoch (passes over the training particles)", "Loss (nats a particle)")
    plain_axes(right, "Epoch (passes over the training particles)", "Validation accuracy (share right)")
    right.set_ylim(min(0.5, 0.95 * float(history["validation_accuracy"].min())), 1.005)
    for panel in (left, right):
        panel.axvline(best_epoch, color="#d9480f", linestyle="--", linewidth=1.2, label=f"kept: epoch {best_epoch}")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.legend(frameon=False, fontsize=TICK_POINTS)
    return png_of(figure)


def anomaly_histogram(scores: pd.DataFrame, by: str = "label") -> bytes:
    """Anomaly scores of each class, every class scaled to itself so that few particles show beside many.

    Args:
        scores: anomaly_score and the column `by`.
        by: column that holds the class.

    Returns:
        PNG.
    """
    known = scores.dropna(subset=["anomaly_score", by])
    if known.empty:
        return message_figure("No particle has an anomaly score.")
    groups = ordered_classes(known[by])
    colours = colours_of(groups)
    edges = np.histogram_bin_edges(known["anomaly_score"], _ANOMALY_BINS)
    figure = new_figure(9.6, 1 + 0.75 * len(groups))
    rows = figure.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0]
    for axes, group in zip(rows, groups, strict=True):
        of_group = known.loc[known[by] == group, "anomaly_score"].to_numpy()
        share = np.full(len(of_group), 100 / len(of_group))
        axes.hist(of_group, edges, weights=share, color=colours[group], alpha=0.75)
        axes.axvline(float(np.median(of_group)), color=INK, linewidth=1.2)
        plain_axes(axes, "", "")
        axes.set_ylabel(
            f"{class_title(group)}\n({count(len(of_group))})", rotation=0, ha="right", va="center", fontsize=TICK_POINTS
        )
    rows[-1].set_xlabel(ANOMALY_AXIS, fontsize=LABEL_POINTS, color=INK)
    rows[0].set_title("Particles of the class per bin (%); line: median", fontsize=LABEL_POINTS, color=INK, loc="left")
    return png_of(figure)


def split_figure(counts: pd.DataFrame) -> bytes:
    """How the labelled particles are divided: particles of each label in each set, with the number of runs.

    Args:
        counts: label, split, runs, particles; a row a label and set.

    Returns:
        PNG.
    """
    labels = ordered_classes(counts["label"])
    figure = new_figure(7.5, 0.45 * len(labels) + 1.2)
    axes = figure.subplots()
    left = np.zeros(len(labels))
    for name, shade in (("train", "#495057"), ("validation", "#868e96"), ("test", "#ced4da")):
        of_set = counts[counts["split"] == name].set_index("label").reindex(labels)
        widths = of_set["particles"].fillna(0).to_numpy(dtype=float)
        bars = axes.barh([class_title(label) for label in labels], widths, left=left, color=shade, label=name)
        texts = [f"{int(n)} runs" if n == n else "" for n in of_set["runs"]]
        axes.bar_label(
            bars, texts, label_type="center", color="white" if name == "train" else INK, fontsize=NOTE_POINTS
        )
        left += widths
    plain_axes(axes, "Labelled particles", "")
    axes.invert_yaxis()
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=NOTE_POINTS)
    return png_of(figure)
