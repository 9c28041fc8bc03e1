from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from icecore_dagster.learning.anomaly.forest import ForestConfig, train_forest
from icecore_dagster.learning.maps import FittedMap, MapConfig
from icecore_dagster.learning.models import files as model_files
from icecore_dagster.learning.models.card import Provenance
from icecore_dagster.learning.networks.training import TrainingConfig, run_on_rows, train_network
from icecore_dagster.learning.trees.boosting import TreesConfig, train_trees
from icecore_dagster.particles.labels import TASKS
from icecore_dagster_tests.learning.drawn_shapes import DrawnSet, draw_set


@dataclass(frozen=True)
class SavedModels:
    """Every model of the three-class task, trained on drawn shapes and saved below `root`."""

    root: Path
    drawn: DrawnSet


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> SavedModels:
    drawn = draw_set(tmp_path_factory.mktemp("drawn") / "tensors", particles=90, seed=5)
    root, task = tmp_path_factory.mktemp("models"), TASKS["three_class"]
    provenance, known = Provenance({"synthetic_tensors": "v1"}, "by run"), (drawn.labels, drawn.splits)
    network = train_network(
        drawn.tensors, *known, task, "A3", TrainingConfig(epochs=2, batch_size=8, threads=1, device="cpu")
    )
    card = model_files.save_network(root / "cnn_model" / task.key / "A3", network, provenance)
    trees = train_trees(drawn.particles, *known, task, TreesConfig(rounds=10, smallest_leaf=3, threads=1))
    model_files.save_trees(root / "lightgbm_model" / task.key / "properties", trees, provenance)
    forest = train_forest(drawn.particles, *known, ForestConfig(trees=20))
    model_files.save_forest(root / "isolation_forest", forest, provenance)
    vectors = run_on_rows(network.network(), drawn.tensors, np.arange(90), network.transform).embeddings
    fitted = FittedMap(np.ascontiguousarray(vectors[:, :2]), vectors, MapConfig(), seed=0)
    model_files.save_map(root / "synthetic_umap", fitted, card, provenance)
    return SavedModels(root, drawn)
