import lightgbm
import numpy as np
import pytest

from icecore_dagster.learning.models.card import Provenance
from icecore_dagster.learning.models.files import load_trees, save_trees
from icecore_dagster.learning.trees.boosting import Loss, TrainedTrees, TreesConfig, class_probabilities, train_trees
from icecore_dagster.learning.trees.focal import FocalLoss
from icecore_dagster.particles.labels import TASKS
from icecore_dagster_tests.learning.drawn_shapes import LABELS, measured

RAW = np.linspace(-6, 6, 49)
STEP = 1e-4


@pytest.fixture(scope="module")
def labelled():
    labels = [LABELS[i % 3] for i in range(600)]
    return measured(labels, np.random.default_rng(0)), labels, ["train", "train", "train", "validation", "test"] * 120


@pytest.fixture(scope="module")
def trained(labelled) -> TrainedTrees:
    config = TreesConfig(rounds=60, patience=10, smallest_leaf=5, threads=1, loss=Loss.FOCAL)
    return train_trees(*labelled, TASKS["three_class"], config)


@pytest.mark.parametrize("is_class", [True, False])
@pytest.mark.parametrize(("alpha", "gamma"), [(0.75, 2.0), (0.25, 0.5), (0.5, 0.0)])
def test_gradient_and_hessian_are_the_slopes_of_the_loss(is_class, alpha, gamma) -> None:
    loss, truth = FocalLoss(alpha, gamma), np.full(len(RAW), is_class)
    below, here, above = (loss.terms(RAW + step, truth) for step in (-STEP, 0.0, STEP))
    np.testing.assert_allclose(here.gradient, (above.loss - below.loss) / (2 * STEP), atol=1e-8)
    np.testing.assert_allclose(here.hessian, (above.gradient - below.gradient) / (2 * STEP), atol=1e-8)


def test_without_focus_it_is_half_the_cross_entropy() -> None:
    truth = RAW > 1
    terms = FocalLoss(alpha=0.5, gamma=0).terms(RAW, truth)
    p = 1 / (1 + np.exp(-RAW))
    np.testing.assert_allclose(terms.loss, -0.5 * np.log(np.where(truth, p, 1 - p)))


def test_an_easy_particle_counts_far_less_than_a_hard_one() -> None:
    easy, hard = FocalLoss().terms(np.array([3.0, -1.0]), np.array([True, True])).loss
    plain_easy, plain_hard = FocalLoss(gamma=0).terms(np.array([3.0, -1.0]), np.array([True, True])).loss
    assert easy / hard < 0.01 * plain_easy / plain_hard


def test_scores_far_out_stay_finite() -> None:
    for is_class in (True, False):
        for part in FocalLoss().terms(np.array([-800.0, 800.0]), np.array([is_class, is_class])):
            assert np.isfinite(part).all()


def test_trees_grown_by_it_tell_the_classes_apart(trained: TrainedTrees) -> None:
    assert trained.test.accuracy > 0.8
    assert trained.booster().num_trees() == 3 * trained.best_round


def test_saved_trees_score_by_the_same_path(labelled, trained: TrainedTrees, tmp_path) -> None:
    save_trees(tmp_path, trained, Provenance({}, "by run"))
    model = load_trees(tmp_path)
    some = labelled[0].tail(50)
    probabilities = model.probabilities(some)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    expected = class_probabilities(trained.booster(), some[list(trained.features)].to_numpy(), Loss.FOCAL)
    np.testing.assert_array_equal(probabilities, expected)
    right = np.mean([model.card.classes[i] for i in probabilities.argmax(axis=1)] == truth_of(labelled[1][-50:]))
    assert right > 0.8


def truth_of(labels: list[str]) -> np.ndarray:
    return np.array([TASKS["three_class"].class_of[label] for label in labels])


def test_a_particle_of_twice_the_weight_pulls_twice_as_much() -> None:
    labels, raw = np.array([0.0, 1.0]), np.array([[0.3, -1.2], [0.8, 2.0]])
    plain, heavy = particles(labels), particles(labels, weight=[2.0, 1.0])
    for of_heavy, of_plain in zip(
        FocalLoss().derivatives(raw, heavy), FocalLoss().derivatives(raw, plain), strict=True
    ):
        np.testing.assert_allclose(of_heavy, of_plain * [[2.0], [1.0]])
    assert FocalLoss().measure(raw, heavy)[1] > FocalLoss().measure(raw, plain)[1]


def test_lightgbm_is_never_given_a_hessian_below_zero() -> None:
    data = particles(np.array([0.0]))
    raw = np.array([[-5.0, 5.0]])
    assert (FocalLoss().terms(raw, np.array([[True, False]])).hessian < 0).all()
    assert (FocalLoss().derivatives(raw, data)[1] > 0).all()


def particles(labels: np.ndarray, weight: list[float] | None = None) -> lightgbm.Dataset:
    return lightgbm.Dataset(np.zeros((len(labels), 1)), labels, weight=weight, params={"verbosity": -1}).construct()
