import numpy as np
import pandas as pd
import pytest

from icecore_dagster.learning.dense.network import Scaling
from icecore_dagster.learning.dense.training import DenseConfig, TrainedDense, train_dense
from icecore_dagster.learning.models.card import Provenance
from icecore_dagster.learning.models.dense_file import load_dense, save_dense
from icecore_dagster.learning.networks.training import LabelledDataError
from icecore_dagster.particles.labels import TASKS
from icecore_dagster.particles.properties import FEATURES
from icecore_dagster_tests.learning.drawn_shapes import LABELS, measured

TASK = TASKS["three_class"]
CONFIG = DenseConfig(hidden=(16,), epochs=15, patience=5, batch_size=32, threads=1)


@pytest.fixture(scope="module")
def labelled() -> tuple[pd.DataFrame, list[str], list[str]]:
    labels = [LABELS[i % 3] for i in range(450)]
    table = measured(labels, np.random.default_rng(0))
    table.iloc[::7, 3] = np.nan
    table.iloc[::11, 5] = np.inf
    table["constant"] = 4.0
    return table, labels, ["train", "train", "train", "validation", "test"] * 90


@pytest.fixture(scope="module")
def trained(labelled) -> TrainedDense:
    return train_dense(*labelled, TASK, CONFIG)


def test_properties_tell_the_classes_apart(trained: TrainedDense) -> None:
    assert trained.test.accuracy > 0.8
    assert trained.features == (*FEATURES, "constant")


def test_the_epoch_with_the_lowest_validation_loss_is_kept(trained: TrainedDense) -> None:
    history = trained.history.set_index("epoch")["validation_loss"]
    assert trained.best_epoch == history.idxmin()
    assert trained.validation.log_loss == pytest.approx(history.min())


def test_training_stops_once_patience_is_out(labelled) -> None:
    hasty = DenseConfig(hidden=(16,), epochs=200, patience=2, learning_rate=0.02, threads=1)
    history = train_dense(*labelled, TASK, hasty).history
    assert len(history) < 200
    assert history["validation_loss"].idxmin() == len(history) - 3


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(labelled, trained: TrainedDense) -> None:
    again = train_dense(*labelled, TASK, CONFIG)
    other = train_dense(*labelled, TASK, DenseConfig(**{**CONFIG.__dict__, "seed": 1}))
    assert all((again.state[name] == value).all() for name, value in trained.state.items())
    assert any((other.state[name] != value).any() for name, value in trained.state.items())


def test_a_network_read_back_scores_single_unscaled_particles_alike(labelled, trained, tmp_path) -> None:
    save_dense(tmp_path, trained, Provenance({"synthetic_particles": "v1"}, "by run"), {"network": "abc"})
    model = load_dense(tmp_path)
    assert model.card.built_on == {"network": "abc"}
    some = labelled[0].tail(40)
    together = model.probabilities(some)
    alone = np.concatenate([model.probabilities(some.iloc[[i]]) for i in range(40)])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    truth = [TASK.class_of[label] for label in labelled[1][-40:]]
    assert np.mean([TASK.classes[i] == t for i, t in zip(together.argmax(axis=1), truth, strict=True)]) > 0.8
    assert model.probabilities(some.head(0)).shape == (0, 3)


def test_the_scaler_is_of_the_training_particles_alone(labelled, trained: TrainedDense) -> None:
    table, _, splits = labelled
    of_training = table[np.array(splits) == "train"]["length_um"]
    assert float(trained.state["scaler.mean"][FEATURES.index("length_um")]) == pytest.approx(of_training.mean())


def test_a_feature_without_any_value_is_refused() -> None:
    with pytest.raises(ValueError, match="feature 1 is missing"):
        Scaling.of(np.array([[1.0, np.nan], [2.0, np.nan]]))


def test_balancing_raises_the_recall_of_a_rare_class(labelled) -> None:
    table, labels, splits = labelled
    table = table + np.random.default_rng(5).normal(0, 2, table.shape)
    few = [
        s if label != "camp" or s != "train" or i % 10 == 1 else "unused"
        for i, (label, s) in enumerate(zip(labels, splits, strict=True))
    ]
    recalls = [
        train_dense(table, labels, few, TASK, DenseConfig(**{**CONFIG.__dict__, "balanced": balanced}))
        .test.by_class["ash"]
        .recall
        for balanced in (False, True)
    ]
    assert recalls[1] > recalls[0]


def test_labels_for_other_particles_are_refused(labelled) -> None:
    with pytest.raises(LabelledDataError, match="450 rows but 2 labels"):
        train_dense(labelled[0], ["dust", "camp"], ["train", "test"], TASK, CONFIG)
