import json
import shutil
from pathlib import Path

import pytest

from icecore_dagster.learning.models.card import load_card
from icecore_dagster.scoring.readiness import why_not_ready
from icecore_dagster_tests.learning.saved_again import save_again
from icecore_dagster_tests.scoring.conftest import SavedModels

PLACES = {
    "network": "cnn_model/three_class/A3",
    "trees": "lightgbm_model/three_class/properties",
    "forest": "isolation_forest",
}


@pytest.fixture
def models(saved: SavedModels, tmp_path: Path) -> Path:
    """A copy of the saved models, each of them good."""
    root = tmp_path / "models"
    shutil.copytree(saved.root, root)
    _say(root, "forest", "separation", "roc_auc", 0.99)
    _say(root, "trees", "validation", "balanced_accuracy", 0.9)
    _say(root, "network", "validation", "balanced_accuracy", 0.9)
    digest = json.loads((root / PLACES["network"] / "current.json").read_text())["content_hash"]
    save_again(root / "synthetic_umap", "map", built_on={"network": digest})
    return root


def _say(root: Path, kind: str, group: str, metric: str, value: float) -> None:
    metrics = load_card(root / PLACES[kind], kind).metrics
    save_again(root / PLACES[kind], kind, metrics={**metrics, group: {**(metrics[group] or {}), metric: value}})


def test_good_models_that_belong_together_are_ready(models: Path):
    assert why_not_ready(models, "three_class", "A3") == ""


@pytest.mark.parametrize("place", [*PLACES.values(), "synthetic_umap"])
def test_a_missing_model_is_named(models: Path, place: str):
    shutil.rmtree(models / place)
    assert place in why_not_ready(models, "three_class", "A3")


@pytest.mark.parametrize(
    ("kind", "group", "metric"),
    [
        ("network", "validation", "balanced_accuracy"),
        ("trees", "validation", "balanced_accuracy"),
        ("forest", "separation", "roc_auc"),
    ],
)
def test_a_model_no_better_than_guessing_is_not_scored_with(models: Path, kind: str, group: str, metric: str):
    _say(models, kind, group, metric, 0.34)
    assert f"the {kind} model is not good enough" in why_not_ready(models, "three_class", "A3")


def test_a_map_of_another_network_is_not_used(models: Path):
    _say(models, "network", "validation", "accuracy", 0.123)
    assert "another network" in why_not_ready(models, "three_class", "A3")
