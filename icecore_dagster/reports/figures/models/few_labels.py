"""Figures of learning from few labels: accuracy against the number of examples, questions without any, and the loss."""

import pandas as pd

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
from icecore_dagster.reports.wording import count

_METHOD_COLOURS = ("#1971c2", "#d9480f", "#2b8a3e", "#862e9c")
_MARKERS = ("o", "s", "^", "D")


def few_shot_figure(few_shot: pd.DataFrame) -> bytes:
    """Accuracy against examples a label, one panel a setting, one line a method, with intervals and chance.

    Args:
        few_shot: method, setting, ways, shots, accuracy, low, high, episodes, chance, saw_held_out.

    Returns:
        PNG.
    """
    if few_shot.empty:
        return message_figure("No label has enough held-out particles for an episode.")
    panels = list(few_shot.groupby(["setting", "ways"], sort=False))
    shots = sorted(few_shot["shots"].unique())
    figure = new_figure(1.2 + 3.5 * len(panels), 4.2)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    looks = _looks(few_shot)
    spread = 0.09
    for panel, ((setting, ways), of_panel) in zip(axes, panels, strict=True):
        for place, (method, of_method) in enumerate(of_panel.groupby("method", sort=False)):
            colour, marker, label = looks[str(method)]
            x = [shots.index(k) + spread * (place - (len(looks) - 1) / 2) for k in of_method["shots"]]
            error = [
                100 * (of_method["accuracy"] - of_method["low"]),
                100 * (of_method["high"] - of_method["accuracy"]),
            ]
            panel.errorbar(
                x, 100 * of_method["accuracy"], error, color=colour, marker=marker, markersize=5, capsize=3, label=label
            )
        chance = 100 * float(of_panel["chance"].iloc[0])
        panel.axhline(chance, color=FAINT, linestyle="--", linewidth=1.2)
        panel.annotate(
            "chance",
            (1, chance),
            xycoords=("axes fraction", "data"),
            xytext=(-2, 3),
            textcoords="offset points",
            ha="right",
            fontsize=NOTE_POINTS,
            color=FAINT,
        )
        plain_axes(panel, "Examples a label (k)", "", f"{str(setting).capitalize()}, {ways} ways")
        panel.set_xticks(range(len(shots)), [str(k) for k in shots])
        panel.set_xlim(-0.5, len(shots) - 0.5)
        panel.set_ylim(0, 103)
        panel.tick_params(labelleft=True)
    axes[0].set_ylabel("Queries given to the right label (%)", color=INK)
    handles, labels = axes[0].get_legend_handles_labels()
    note = f"bars: 95 % interval over {count(few_shot['episodes'].max())} episodes"
    figure.legend(
        handles,
        labels,
        loc="outside upper center",
        ncols=max(1, len(looks)),
        frameon=False,
        fontsize=TICK_POINTS,
        title=note,
        title_fontsize=NOTE_POINTS,
    )
    return png_of(figure)


def zero_shot_figure(zero_shot: pd.DataFrame) -> bytes:
    """ROC AUC of each question that needs no example, by method, with intervals and chance.

    Args:
        zero_shot: method, question, roc_auc, low, high, saw_held_out.

    Returns:
        PNG.
    """
    if zero_shot.empty:
        return message_figure("No question could be asked of the held-out labels.")
    looks = _looks(zero_shot)
    questions = list(zero_shot.groupby("question", sort=False))
    figure = new_figure(8.6, 1.3 + 0.42 * len(zero_shot))
    axes = figure.subplots(len(questions), 1, sharex=True, squeeze=False)[:, 0]
    for panel, (question, of_question) in zip(axes, questions, strict=True):
        values = of_question[["roc_auc", "low", "high"]].to_numpy(dtype=float)
        for place, (method, (value, low, high)) in enumerate(zip(of_question["method"], values, strict=True)):
            colour, marker, _ = looks[str(method)]
            error = [[max(0.0, value - low)], [max(0.0, high - value)]]
            panel.errorbar([value], [place], xerr=error, color=colour, marker=marker, markersize=6, capsize=3)
        plain_axes(panel, "", "", str(question).capitalize())
        panel.set_yticks(range(len(of_question)), [looks[str(method)][2] for method in of_question["method"]])
        panel.set_ylim(len(of_question) - 0.5, -0.5)
        panel.axvline(0.5, color=FAINT, linestyle="--", linewidth=1.2)
    axes[0].annotate(
        "chance",
        (0.5, 1),
        xycoords=("data", "axes fraction"),
        xytext=(4, -11),
        textcoords="offset points",
        fontsize=NOTE_POINTS,
        color=FAINT,
    )
    axes[-1].set_xlabel("ROC AUC (no unit); bars: 95 % interval by the bootstrap by run", color=INK)
    axes[-1].set_xlim(min(0.45, float(zero_shot["low"].min()) - 0.03), 1.02)
    return png_of(figure)


def siamese_curve_figure(history: pd.DataFrame, best_epoch: int) -> bytes:
    """Loss and validation ROC AUC by epoch, with the epoch whose weights were kept.

    Args:
        history: epoch, train_loss, validation_loss, validation_auc.
        best_epoch: epoch whose weights were kept.

    Returns:
        PNG.
    """
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(9.6, 3.8)
    left, right = figure.subplots(1, 2)
    for column, colour, label in (
        ("train_loss", FAINT, "training"),
        ("validation_loss", _METHOD_COLOURS[0], "validation"),
    ):
        left.plot(history["epoch"], history[column], color=colour, marker="o", markersize=3.5, label=label)
    right.plot(history["epoch"], history["validation_auc"], color=_METHOD_COLOURS[0], marker="o", markersize=3.5)
    plain_axes(left, "Epoch (passes over the training particles)", "Loss of a batch (mean)")
    plain_axes(right, "Epoch (passes over the training particles)", "ROC AUC of validation pairs (no unit)")
    right.set_ylim(min(0.5, float(history["validation_auc"].min())) - 0.02, 1.005)
    for panel in (left, right):
        panel.axvline(
            best_epoch, color=_METHOD_COLOURS[1], linestyle="--", linewidth=1.2, label=f"kept: epoch {best_epoch}"
        )
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.legend(frameon=False, fontsize=TICK_POINTS)
    return png_of(figure)


def _looks(table: pd.DataFrame) -> dict[str, tuple[str, str, str]]:
    """Colour, marker and name of each method; a method that knows the held-out labels says so."""
    first = table.drop_duplicates("method")
    return {
        str(row.method): (
            _METHOD_COLOURS[i % len(_METHOD_COLOURS)],
            _MARKERS[i % len(_MARKERS)],
            f"{row.method}, has learnt these labels" if row.saw_held_out else str(row.method),
        )
        for i, row in enumerate(first.itertuples())
    }
