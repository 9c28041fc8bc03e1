"""Figures of a search: results trial by trial, and which parameters made the difference."""

from pathlib import Path

import numpy as np
import pandas as pd
from upath import UPath

from icecore_dagster.particles.tables.store import atomic_file
from icecore_dagster.reports.figures.drawing import (
    FAINT,
    LABEL_POINTS,
    NOTE_POINTS,
    TICK_POINTS,
    colours_of,
    message_figure,
    new_figure,
    plain_axes,
    png_of,
)

_PARAMETERS = {
    "architecture": "Network",
    "learning_rate": "Learning rate",
    "batch_size": "Batch size",
    "balanced": "Balanced drawing",
}


def search_history_figure(trials: pd.DataFrame) -> bytes:
    """Validation balanced accuracy of each trial, coloured by network, with the best so far; and by learning rate.

    Args:
        trials: `schemas.SEARCH_TRIALS`.

    Returns:
        PNG.
    """
    from matplotlib.ticker import MaxNLocator

    done = trials[trials["validation_balanced_accuracy"].notna()].sort_values("trial")
    if done.empty:
        return message_figure("No trial has led to a result.")
    colours = colours_of(sorted(done["architecture"].unique()))
    figure = new_figure(10.5, 4.2)
    left, right = figure.subplots(1, 2, sharey=True)
    best = np.maximum.accumulate(done["validation_balanced_accuracy"])
    left.step(done["trial"] + 1, best, where="post", color=FAINT, linewidth=1.4, label="best so far")
    for architecture, colour in colours.items():
        of_one = done[done["architecture"] == architecture]
        accuracy, size = of_one["validation_balanced_accuracy"], 18 + 7 * np.log2(of_one["batch_size"].astype(float))
        left.scatter(of_one["trial"] + 1, accuracy, color=colour, s=38, zorder=3, label=architecture)
        right.scatter(of_one["learning_rate"], accuracy, color=colour, s=size, zorder=3)
    refused = trials[trials["state"] == "pruned"]
    if len(refused):
        floor = np.full(len(refused), done["validation_balanced_accuracy"].min())
        left.scatter(refused["trial"] + 1, floor, marker="x", color=FAINT, s=38, label="loss no number")
        right.scatter(refused["learning_rate"].astype(float), floor, marker="x", color=FAINT, s=38)
    plain_axes(left, "Trial (number)", "Balanced accuracy on validation runs (share)")
    plain_axes(right, "Learning rate of Adam (logarithmic; larger dots: larger batches)", "")
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.set_xscale("log")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=9, columnspacing=1.1, frameon=False, fontsize=NOTE_POINTS
    )
    return png_of(figure)


def search_importance_figure(importance: dict[str, float]) -> bytes:
    """Share of the spread between trials that each parameter explains (fANOVA).

    Args:
        importance: parameter -> share.

    Returns:
        PNG.
    """
    if not importance:
        return message_figure("Too few different results to say which parameter matters.")
    ordered = sorted(importance.items(), key=lambda pair: pair[1])
    figure = new_figure(7.5, 1.1 + 0.42 * len(ordered))
    axes = figure.add_subplot()
    shares = [100 * share for _, share in ordered]
    bars = axes.barh([_PARAMETERS.get(name, name) for name, _ in ordered], shares, color="#1971c2", height=0.62)
    axes.bar_label(bars, [f"{share:.0f} %" for share in shares], padding=4, fontsize=TICK_POINTS)
    plain_axes(axes, "Share of the spread of validation balanced accuracy (%)", "")
    axes.set_xlim(0, max(shares) * 1.15 + 1)
    axes.tick_params(axis="y", labelsize=LABEL_POINTS)
    axes.grid(False, axis="y")
    return png_of(figure)


def write_search_figures(folder: UPath | Path, study: str, trials: pd.DataFrame, importance: dict[str, float]) -> list:
    """Write both figures into a folder as `search_<study>_history.png` and `..._importance.png`; returns where."""
    figures = {"history": search_history_figure(trials), "importance": search_importance_figure(importance)}
    written = []
    for name, png in figures.items():
        target = folder / f"search_{study}_{name}.png"
        with atomic_file(target) as path:
            path.write_bytes(png)
        written.append(target)
    return written
