"""Which image network is best at which task: the cards of all saved networks, side by side.

Validation decides. The test figures of the best alone are shown, so that nobody chooses by them.
"""

from collections.abc import Iterable
from enum import StrEnum

import numpy as np
import pandas as pd

from icecore_dagster.learning.labelled_set import SplitKind
from icecore_dagster.learning.metrics import MEASURES, ClassificationMetrics
from icecore_dagster.learning.models.card import ModelCard, ModelNotFoundError, current_hash, load_card
from icecore_dagster.learning.networks.architectures import ARCHITECTURES, parameter_count
from icecore_dagster.particles.labels import TASKS
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.tables.schemas import NETWORK_LEADERBOARD
from icecore_dagster.particles.tables.store import write_table


class DecidedBy(StrEnum):
    """The figure on the validation particles by which the best network of a task is chosen."""

    BALANCED_ACCURACY = "balanced_accuracy"
    MACRO_F1 = "macro_f1"
    ACCURACY = "accuracy"


def keep_leaderboard(lab: Laboratory, decided_by: DecidedBy = DecidedBy.BALANCED_ACCURACY) -> pd.DataFrame:
    """Compare the current network of every task and architecture, and keep the table.

    Args:
        lab: the laboratory.
        decided_by: figure on the validation particles that decides.

    Returns:
        `schemas.NETWORK_LEADERBOARD`.

    Raises:
        ModelNotFoundError: no network was saved.
        ModelMismatchError: a card is of another version.
    """
    folders = [lab.store.models / "cnn_model" / task / architecture for task in TASKS for architecture in ARCHITECTURES]
    cards = [load_card(folder, "network") for folder in folders if current_hash(folder) is not None]
    if not cards:
        raise ModelNotFoundError(f"no network in {lab.store.models / 'cnn_model'}: train one first (asset cnn_model)")
    table = rank_networks(cards, decided_by)
    write_table(lab.store.table(NETWORK_LEADERBOARD.name), table, NETWORK_LEADERBOARD)
    return table


def rank_networks(cards: Iterable[ModelCard], decided_by: DecidedBy = DecidedBy.BALANCED_ACCURACY) -> pd.DataFrame:
    """Compare networks by their cards.

    Only networks that were validated on the same particles, and on whole runs, can be compared: those divided by run
    whose labelled particles are those of the one of them that was trained last, and whose validation particles were not
    thinned out.

    Args:
        cards: of networks.
        decided_by: figure on the validation particles that decides; of equals the smaller network is better.

    Returns:
        `schemas.NETWORK_LEADERBOARD`.
    """
    by_task: dict[str, list[ModelCard]] = {}
    for card in cards:
        by_task.setdefault(str(card.task), []).append(card)
    rows = []
    for of_task in by_task.values():
        comparable = _comparable(of_task)
        others = [card for card in of_task if card not in comparable]
        ranked = [*_best_first(comparable, decided_by), *_best_first(others, decided_by)]
        rows += [_row(card, card in comparable, best=card is ranked[0] and card in comparable) for card in ranked]
    return pd.DataFrame(rows)


def _comparable(cards: list[ModelCard]) -> list[ModelCard]:
    by_run = [card for card in cards if card.split_kind == SplitKind.BY_RUN]
    if not by_run:
        return []
    newest = max(by_run, key=lambda card: card.created_at)
    of_newest = [card for card in by_run if card.training_data == newest.training_data]
    most = max(_validated_on(card) for card in of_newest)
    return [card for card in of_newest if _validated_on(card) == most]


def _validated_on(card: ModelCard) -> int:
    return card.metrics["validation"]["particles"]


def _best_first(cards: list[ModelCard], decided_by: DecidedBy) -> list[ModelCard]:
    return sorted(cards, key=lambda card: (-card.metrics["validation"][decided_by], _parameters(card)))


def _parameters(card: ModelCard) -> int:
    return parameter_count(str(card.architecture), len(card.classes))


def _row(card: ModelCard, comparable: bool, *, best: bool) -> dict[str, object]:
    validation = ClassificationMetrics.model_validate(card.metrics["validation"])
    test = ClassificationMetrics.model_validate(card.metrics["test"]) if best else None
    return {
        "task": card.task,
        "architecture": card.architecture,
        "parameters": _parameters(card),
        "split": card.split_kind,
        "learnt_from": card.training_data.get("synthetic_particles"),
        "comparable": comparable,
        "best": best,
        "epochs": len(card.metrics["history"]),
        "best_epoch": card.metrics["best_epoch"],
        "seconds": card.energy.seconds if card.energy else np.nan,
        "kwh": card.energy.kwh if card.energy else np.nan,
        "validation_particles": validation.particles,
        **_judged("validation", validation),
        **_judged("test", test),
        "version": card.content_hash,
    }


def _judged(side: str, metrics: ClassificationMetrics | None) -> dict[str, float]:
    """Each measure and the ends of its interval; NaN where the side is not shown or the runs were not told."""
    shown: dict[str, float] = {}
    for name in MEASURES:
        interval = metrics.intervals.get(name) if metrics else None
        shown[f"{side}_{name}"] = getattr(metrics, name) if metrics else np.nan
        shown[f"{side}_{name}_low"] = interval.low if interval else np.nan
        shown[f"{side}_{name}_high"] = interval.high if interval else np.nan
    return shown
