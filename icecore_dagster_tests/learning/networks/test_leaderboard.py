from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from icecore_dagster.learning.energy import EnergyUse
from icecore_dagster.learning.metrics import evaluate
from icecore_dagster.learning.models.card import ModelCard, ModelNotFoundError, save_model
from icecore_dagster.learning.networks.leaderboard import DecidedBy, keep_leaderboard, rank_networks
from icecore_dagster.particles.labels import TASKS
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.tables.schemas import NETWORK_LEADERBOARD
from icecore_dagster.particles.tables.store import read_table

PARTICLES = 60


def _judged(classes: tuple[str, ...], wrong: int) -> dict:
    """Metrics with so many particles of the first class called the second; runs of ten particles."""
    targets = np.arange(PARTICLES) % len(classes)
    predicted = targets.copy()
    predicted[np.flatnonzero(targets == 0)[:wrong]] = 1
    probabilities = np.eye(len(classes))[predicted] * 0.8 + 0.2 / len(classes)
    runs = [f"run_{t}_{i // 20}" for i, t in enumerate(targets)]
    return evaluate(targets, probabilities, classes, runs).model_dump(mode="json")


def _card(architecture: str, wrong: int, day: int = 1, *, task: str = "three_class", **changes: object) -> ModelCard:
    classes = TASKS[task].classes
    fields: dict[str, object] = {
        "kind": "network",
        "task": task,
        "classes": classes,
        "architecture": architecture,
        "training_data": {"synthetic_particles": "v1"},
        "split_kind": "by run",
        "metrics": {
            "validation": _judged(classes, wrong),
            "test": _judged(classes, wrong + 1),
            "best_epoch": 2,
            "history": [{"epoch": 1}, {"epoch": 2}, {"epoch": 3}],
        },
        "config": {},
        "energy": EnergyUse(61.0, 0.002, 1.0, 0.01, "estimate"),
        "library_versions": {},
        "created_at": datetime(2026, 1, day, tzinfo=UTC),
        "content_hash": f"{architecture}-{task}",
    }
    return ModelCard(**(fields | changes))


def test_the_best_of_each_task_is_the_best_on_validation_and_alone_shows_its_test() -> None:
    cards = [
        _card("A1", 5),
        _card("A3", 2),
        _card("A4", 9),
        _card("A1", 0, task="pollen"),
        _card("A3", 4, task="pollen"),
    ]
    table = rank_networks(cards)
    assert table[["task", "architecture"]].to_numpy().tolist() == [
        ["three_class", "A3"],
        ["three_class", "A1"],
        ["three_class", "A4"],
        ["pollen", "A1"],
        ["pollen", "A3"],
    ]
    assert table["best"].tolist() == [True, False, False, True, False]
    assert table["test_accuracy"].notna().tolist() == table["best"].tolist()
    first = table.iloc[0]
    assert first["validation_accuracy"] == pytest.approx(58 / 60)
    assert first["test_accuracy"] == pytest.approx(57 / 60)
    for measure in ("accuracy", "balanced_accuracy", "macro_f1", "calibration_error"):
        assert first[f"validation_{measure}_low"] <= first[f"validation_{measure}"]
        assert first[f"validation_{measure}"] <= first[f"validation_{measure}_high"]
    assert (first["epochs"], first["best_epoch"], first["seconds"], first["kwh"]) == (3, 2, 61.0, 0.002)
    assert first["parameters"] == 304_131


def test_of_equals_the_smaller_is_better() -> None:
    assert rank_networks([_card("A1", 3), _card("A4", 3), _card("A3", 3)])["architecture"].tolist() == [
        "A4",
        "A3",
        "A1",
    ]


def test_a_split_by_image_or_older_particles_are_listed_and_not_compared() -> None:
    table = rank_networks(
        [
            _card("A1", 0, split_kind="by image", day=9),
            _card("A2", 1, training_data={"synthetic_particles": "v0"}),
            _card("A3", 8, day=3),
            _card("A4", 9, day=2),
        ]
    )
    assert table["architecture"].tolist() == ["A3", "A4", "A1", "A2"]
    assert table["comparable"].tolist() == [True, True, False, False]
    assert table["best"].tolist() == [True, False, False, False]


def test_a_network_validated_on_a_part_of_the_particles_is_not_compared() -> None:
    thinned = _card("A1", 0, day=9)
    validation = {**thinned.metrics["validation"], "particles": PARTICLES // 2}
    thinned = thinned.model_copy(update={"metrics": {**thinned.metrics, "validation": validation}})
    table = rank_networks([thinned, _card("A3", 4)])
    assert table["architecture"].tolist() == ["A3", "A1"]
    assert table["comparable"].tolist() == table["best"].tolist() == [True, False]


def test_nothing_is_best_where_every_network_was_divided_by_image() -> None:
    assert not rank_networks([_card("A1", 0, split_kind="by image")])["best"].any()


def test_another_figure_may_decide() -> None:
    # Many of a common class wrong, or few of a rare one: the order of the two figures differs.
    classes = TASKS["three_class"].classes

    def judged(called: list[int]) -> dict:
        targets = np.array([0] * 40 + [1] * 4 + [2] * 16)
        probabilities = np.eye(3)[called] * 0.8 + 0.2 / 3
        return evaluate(targets, probabilities, classes, ["a"] * 60).model_dump(mode="json")

    common = judged([1] * 6 + [0] * 34 + [1] * 4 + [2] * 16)
    rare = judged([0] * 40 + [0] * 3 + [1] + [2] * 16)
    history = {"best_epoch": 1, "history": [{"epoch": 1}]}
    cards = [
        _card("A1", 0, metrics={"validation": common, "test": common, **history}),
        _card("A3", 0, metrics={"validation": rare, "test": rare, **history}),
    ]
    assert rank_networks(cards)["architecture"].iloc[0] == "A1"
    assert rank_networks(cards, DecidedBy.ACCURACY)["architecture"].iloc[0] == "A3"


def test_the_leaderboard_is_kept_as_declared(tmp_path: Path) -> None:
    lab = Laboratory.at(tmp_path)
    with pytest.raises(ModelNotFoundError, match="train one first"):
        keep_leaderboard(lab)
    for card in (_card("A1", 5), _card("hybrid", 2, energy=None)):
        save_model(lab.store.models / "cnn_model" / "three_class" / str(card.architecture), card, b"weights")
    table = keep_leaderboard(lab)
    stored = read_table(lab.store.table(NETWORK_LEADERBOARD.name))
    assert NETWORK_LEADERBOARD.violations(stored).empty
    assert stored["architecture"].tolist() == table["architecture"].tolist() == ["hybrid", "A1"]
    assert stored["seconds"].isna().tolist() == [True, False]
