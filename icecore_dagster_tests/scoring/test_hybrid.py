"""Scoring with a network that reads properties beside the image."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from icecore_dagster.learning.models import files as model_files
from icecore_dagster.learning.models.card import ModelMismatchError, Provenance
from icecore_dagster.learning.networks.architectures import run_network
from icecore_dagster.learning.networks.training import TrainingConfig, train_network
from icecore_dagster.learning.trees.boosting import feature_matrix
from icecore_dagster.particles.labels import TASKS
from icecore_dagster.particles.properties import FEATURES
from icecore_dagster.scoring.engine import ScoringModels, load_scoring_models, score_blocks
from icecore_dagster_tests.scoring.conftest import SavedModels

COLUMNS = [f"p_cnn_{name}" for name in ("dust", "ash", "pollen")]


@pytest.fixture(scope="module", params=["hybrid", "hybrid_strided"])
def key(request: pytest.FixtureRequest) -> str:
    """One architecture for each kind of trunk."""
    return request.param


@pytest.fixture(scope="module")
def root(key: str, saved: SavedModels, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every saved model, and a hybrid."""
    root, drawn = tmp_path_factory.mktemp("hybrid") / "models", saved.drawn
    shutil.copytree(saved.root, root)
    hybrid = train_network(
        drawn.tensors,
        drawn.labels,
        drawn.splits,
        TASKS["three_class"],
        key,
        TrainingConfig(epochs=1, batch_size=8, threads=1, device="cpu"),
        properties=feature_matrix(drawn.particles, FEATURES),
    )
    card = model_files.save_network(
        root / "cnn_model" / "three_class" / key, hybrid, Provenance({"synthetic_tensors": "v1"}, "by run")
    )
    assert card.features == FEATURES
    assert card.config["start"] == "random"
    return root


@pytest.fixture(scope="module")
def models(key: str, root: Path) -> ScoringModels:
    return load_scoring_models(root, "three_class", key, embedding=False)


@pytest.fixture(scope="module")
def network(key: str, root: Path) -> model_files.NetworkModel:
    return model_files.load_network(root / "cnn_model" / "three_class" / key)


def test_scores_are_the_networks_own_with_each_particles_own_properties(
    saved: SavedModels, models: ScoringModels, network: model_files.NetworkModel
) -> None:
    particles, crops = saved.drawn.particles, list(saved.drawn.crops)
    crops[4] = None
    (found,) = score_blocks([(particles, crops)], models, embedding=False)
    expected = run_network(
        network.network,
        saved.drawn.tensors.images,
        network.card.transform,
        feature_matrix(particles, FEATURES),
    ).probabilities
    expected[4] = np.nan
    np.testing.assert_allclose(found.predictions[COLUMNS], expected, atol=1e-5)


def test_a_missing_value_is_scored_and_a_missing_column_is_named(saved: SavedModels, models: ScoringModels) -> None:
    particles, crops = saved.drawn.particles.copy(), saved.drawn.crops
    particles.loc[2, "width_um"] = np.nan
    (found,) = score_blocks([(particles, crops)], models, embedding=False)
    assert found.predictions[COLUMNS].notna().all(axis=None)
    network_alone = replace(models, trees=None)
    with pytest.raises(ModelMismatchError, match=r"network model needs the properties.*circle_fit"):
        next(
            score_blocks([(particles.drop(columns="circle_fit"), crops)], network_alone, anomaly=False, embedding=False)
        )


def test_an_empty_block_and_a_block_without_images_are_scored(saved: SavedModels, models: ScoringModels) -> None:
    (empty,) = score_blocks([(saved.drawn.particles.head(0), [])], models, embedding=False)
    assert len(empty.predictions) == 0
    (bare,) = score_blocks([(saved.drawn.particles.head(3), None)], models, embedding=False)
    assert bare.predictions[COLUMNS].isna().all(axis=None)


def test_a_hybrid_read_back_keeps_the_scale_of_its_training_particles(
    saved: SavedModels, network: model_files.NetworkModel
) -> None:
    drawn = saved.drawn
    training = feature_matrix(drawn.particles, FEATURES)[np.array(drawn.splits) == "train"]
    place = FEATURES.index("aspect_ratio")
    mean = float(network.network.measured.mean[place])
    assert mean == pytest.approx(training[:, place].mean(), rel=1e-4)
