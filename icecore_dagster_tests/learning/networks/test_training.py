from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from icecore_dagster.learning.networks.architectures import run_network
from icecore_dagster.learning.networks.training import (
    LabelledDataError,
    TrainedNetwork,
    TrainingConfig,
    run_on_rows,
    select_rows,
    train_network,
)
from icecore_dagster.learning.networks.transforms import TransformSpec
from icecore_dagster.learning.trees.boosting import feature_matrix
from icecore_dagster.particles.labels import TASKS, Task
from icecore_dagster.particles.properties import FEATURES
from icecore_dagster_tests.learning.drawn_shapes import DrawnSet, measured

SHAPES = Task("shapes", ("disc", "bar"), {"dust": "disc", "camp": "bar"})
CONFIG = TrainingConfig(epochs=5, patience=5, batch_size=8, seed=1, threads=1, device="cpu")


def _train(drawn: DrawnSet, **changes: object) -> TrainedNetwork:
    config = TrainingConfig(**{**CONFIG.__dict__, **changes})
    return train_network(drawn.tensors, drawn.labels, drawn.splits, SHAPES, "A4", config)


@pytest.fixture(scope="module")
def trained(drawn: DrawnSet) -> TrainedNetwork:
    return _train(drawn)


def test_discs_and_bars_are_told_apart(trained: TrainedNetwork) -> None:
    assert trained.test.accuracy >= 0.9
    assert trained.test.particles == 20
    assert trained.test.classes == ("disc", "bar")


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(drawn: DrawnSet, trained: TrainedNetwork) -> None:
    torch.rand(5)
    again = _train(drawn)
    assert all(torch.equal(trained.state[name], again.state[name]) for name in trained.state)
    pd.testing.assert_frame_equal(trained.history.drop(columns="seconds"), again.history.drop(columns="seconds"))
    other = _train(drawn, seed=2, epochs=1)
    assert not torch.equal(trained.state["output.weight"], other.state["output.weight"])


@pytest.mark.parametrize("able", [True, False])
def test_the_precision_is_what_the_processor_computes_in(drawn: DrawnSet, monkeypatch, able: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": able, "amx_bf16": False})
    assert _train(drawn, epochs=1).config.precision == ("bfloat16" if able else "float32")


def test_half_the_digits_teach_as_much_and_leave_whole_weights(drawn: DrawnSet) -> None:
    whole, half = _train(drawn, precision="float32"), _train(drawn, precision="bfloat16")
    assert half.test.accuracy >= 0.9
    assert {value.dtype for value in half.state.values() if value.is_floating_point()} == {torch.float32}
    assert half.history["train_loss"][0] == pytest.approx(whole.history["train_loss"][0], rel=0.02)
    assert half.history["train_loss"][0] != whole.history["train_loss"][0]


def test_images_can_be_prepared_otherwise_than_the_architecture_does(drawn: DrawnSet, trained: TrainedNetwork) -> None:
    mirrored = TransformSpec(horizontal_flip_probability=0.5, vertical_flip_probability=0.5)
    config = replace(CONFIG, epochs=1)
    other = train_network(drawn.tensors, drawn.labels, drawn.splits, SHAPES, "A4", config, transform=mirrored)
    assert other.transform == mirrored != trained.transform
    assert other.history["train_loss"][0] != trained.history["train_loss"][0]


def test_training_leaves_torchs_random_state_alone(drawn: DrawnSet) -> None:
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    _train(drawn, epochs=1)
    assert torch.equal(torch.rand(3), expected)


def test_the_weights_kept_are_those_of_the_lowest_validation_loss(trained: TrainedNetwork) -> None:
    losses = trained.history.set_index("epoch")["validation_loss"]
    assert trained.best_epoch == losses.idxmin()
    assert trained.validation.log_loss == losses.min()


def test_the_weights_kept_are_an_average_and_that_of_nothing_is_the_last_step(drawn: DrawnSet) -> None:
    one_step = {"epochs": 1, "batch_size": 10_000}
    averaged, last = _train(drawn, **one_step), _train(drawn, **one_step, averaging=0.0)
    for name, weights in last.state.items():
        # The first step is its own average.
        torch.testing.assert_close(averaged.state[name], weights)
    averaged, last = _train(drawn, epochs=1), _train(drawn, epochs=1, averaging=0.0)
    assert not torch.equal(averaged.state["output.weight"], last.state["output.weight"])
    assert averaged.history["train_loss"].tolist() == last.history["train_loss"].tolist()


def test_training_stops_when_patience_is_over(drawn: DrawnSet) -> None:
    # A step this large makes the validation loss worse at once.
    stopped = _train(drawn, epochs=30, patience=1, learning_rate=0.3)
    assert len(stopped.history) == stopped.best_epoch + 1 < 30


def test_a_cycle_goes_on_to_its_end_and_comes_to_rest_there(drawn: DrawnSet) -> None:
    asked = {"patience": 1, "learning_rate": 0.01, "averaging": 0.0}
    cycled, steady = _train(drawn, **asked, epochs=8, cycle=True), _train(drawn, **asked, epochs=8)
    assert len(cycled.history) == 8
    assert (cycled.config.cycle, steady.config.cycle) == (True, False)
    # The last epoch's steps are so small that the weights hardly move any more.
    moves = cycled.history["validation_loss"].diff().abs()
    assert moves.iloc[-1] < 0.2 * moves.max()


def test_validation_and_test_images_are_not_changed_at_random(drawn: DrawnSet, trained: TrainedNetwork) -> None:
    rows = np.flatnonzero(np.array(drawn.splits) == "test")
    network = trained.network()
    first = run_on_rows(network, drawn.tensors, rows, trained.transform)
    second = run_on_rows(network, drawn.tensors, rows, trained.transform)
    np.testing.assert_array_equal(first.probabilities, second.probabilities)
    one = run_network(network, drawn.tensors.images[rows[:1]], trained.transform)
    grey = (torch.from_numpy(drawn.tensors.images[rows[:1]].astype(np.float32)).unsqueeze(1) - 60) / 30
    with torch.no_grad():
        np.testing.assert_allclose(one.probabilities, torch.softmax(network(grey), 1).numpy(), atol=1e-5)


def test_balanced_training_learns_a_rare_class(drawn: DrawnSet) -> None:
    rare = [
        s if label != "camp" or s != "train" or i % 4 == 0 else "unused"
        for i, (s, label) in enumerate(zip(drawn.splits, drawn.labels, strict=True))
    ]
    config = TrainingConfig(**{**CONFIG.__dict__, "balanced": True, "epochs": 6})
    balanced = train_network(drawn.tensors, drawn.labels, rare, SHAPES, "A4", config)
    recall = balanced.test.by_class["bar"].recall
    assert recall is not None
    assert recall >= 0.8


def test_each_row_is_on_one_side_and_labels_outside_the_task_on_none() -> None:
    labels = ["dust", "camp", "corylus", "cont", "dust", "camp", "qrob", "grim", "qsub"]
    splits = ["train"] * 4 + ["validation", "test", "train", "train", "train"]
    rows = select_rows(labels, splits, TASKS["three_class"])
    assert rows.targets.tolist() == [0, 1, 2, -1, 0, 1, 2, 1, 2]
    assert rows.train.tolist() == [0, 1, 2, 6, 7, 8]
    assert (rows.validation.tolist(), rows.test.tolist()) == ([4], [5])


@pytest.mark.parametrize(
    ("labels", "splits", "message"),
    [
        (["dust", "camp"], ["train"], "2 labels but 1 splits"),
        (["dust", "dust", "dust"], ["train", "validation", "test"], r"no training particles of \['bar'\]"),
        (["dust", "camp", "dust"], ["train", "train", "test"], "validation side is empty"),
    ],
)
def test_labelled_particles_that_do_not_suffice_are_refused(labels: list[str], splits: list[str], message: str) -> None:
    with pytest.raises(LabelledDataError, match=message):
        select_rows(labels, splits, SHAPES)


@pytest.fixture(scope="module")
def told_by_properties(drawn: DrawnSet) -> tuple[list[str], np.ndarray]:
    """Labels that the images know nothing of, and properties that tell them, missing now and then."""
    rng = np.random.default_rng(4)
    labels = rng.choice(["dust", "camp"], len(drawn.labels)).tolist()
    properties = feature_matrix(measured(labels, rng), FEATURES)
    properties[rng.random(properties.shape) < 0.02] = np.nan
    return labels, properties


def test_a_hybrid_learns_from_properties_what_images_do_not_show(
    drawn: DrawnSet, told_by_properties: tuple[list[str], np.ndarray]
) -> None:
    labels, properties = told_by_properties
    config = TrainingConfig(**{**CONFIG.__dict__, "epochs": 6})
    hybrid = train_network(drawn.tensors, labels, drawn.splits, SHAPES, "hybrid", config, properties=properties)
    assert hybrid.test.accuracy >= 0.85
    assert (hybrid.features, hybrid.start) == (FEATURES, "random")
    again = run_on_rows(hybrid.network(), drawn.tensors, np.arange(30), hybrid.transform, properties)
    one = run_on_rows(hybrid.network(), drawn.tensors, np.array([7]), hybrid.transform, properties)
    np.testing.assert_allclose(one.embeddings[0], again.embeddings[7], atol=1e-5)


def test_the_scale_is_that_of_the_training_rows_alone(
    drawn: DrawnSet, told_by_properties: tuple[list[str], np.ndarray]
) -> None:
    labels, properties = told_by_properties
    config = TrainingConfig(**{**CONFIG.__dict__, "epochs": 1})
    hybrid = train_network(drawn.tensors, labels, drawn.splits, SHAPES, "hybrid", config, properties=properties)
    training = properties[select_rows(labels, drawn.splits, SHAPES).train]
    np.testing.assert_allclose(hybrid.state["measured.mean"], np.nanmean(training, axis=0), rtol=1e-4)
    np.testing.assert_allclose(hybrid.state["measured.sd"], np.nanstd(training, axis=0), rtol=1e-4)


def test_a_hybrid_is_not_trained_without_properties(drawn: DrawnSet) -> None:
    with pytest.raises(ValueError, match="needs 34 measured properties"):
        train_network(drawn.tensors, drawn.labels, drawn.splits, SHAPES, "hybrid", CONFIG)
