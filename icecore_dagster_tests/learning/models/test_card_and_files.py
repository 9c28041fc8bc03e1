import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from upath import UPath

from icecore_dagster.learning.anomaly.forest import ForestConfig, TrainedForest, train_forest
from icecore_dagster.learning.energy import EnergyUse
from icecore_dagster.learning.maps import FittedMap, MapConfig
from icecore_dagster.learning.models import files as model_files
from icecore_dagster.learning.models.card import (
    ModelCard,
    ModelMismatchError,
    ModelNotFoundError,
    Provenance,
    check_fits,
    current_hash,
    load_exported,
    load_model,
    save_model,
)
from icecore_dagster.learning.networks.architectures import build_network
from icecore_dagster.learning.networks.training import TrainedNetwork, TrainingConfig, train_network
from icecore_dagster.learning.networks.transforms import TransformSpec
from icecore_dagster.learning.trees.boosting import TrainedTrees, TreesConfig, feature_matrix, train_trees
from icecore_dagster.particles.labels import TASKS
from icecore_dagster.particles.properties import FEATURES
from icecore_dagster_tests.learning.drawn_shapes import DrawnSet

TASK = TASKS["three_class"]
PROVENANCE = Provenance({"synthetic_tensors": "v1"}, "by run", EnergyUse(1.0, 1e-3, 0.2, 0.001, "estimate"))


@dataclass(frozen=True)
class Models:
    network: TrainedNetwork
    trees: TrainedTrees
    forest: TrainedForest
    particles: pd.DataFrame


@pytest.fixture(scope="module")
def models(drawn: DrawnSet) -> Models:
    known = (drawn.labels, drawn.splits)
    return Models(
        train_network(drawn.tensors, *known, TASK, "K1", TrainingConfig(epochs=1, threads=1, device="cpu")),
        train_trees(drawn.particles, *known, TASK, TreesConfig(rounds=5, smallest_leaf=5, threads=1)),
        train_forest(drawn.particles, *known, ForestConfig(trees=10)),
        drawn.particles,
    )


def _card(**changes: object) -> ModelCard:
    fields: dict[str, object] = {
        "kind": "trees",
        "training_data": {},
        "split_kind": "by run",
        "metrics": {},
        "config": {},
        "library_versions": {},
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return ModelCard(**(fields | changes))


@pytest.fixture(params=["local", "remote"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> UPath:
    return UPath(tmp_path / "model") if request.param == "local" else UPath(f"memory://models{tmp_path}")


def test_a_network_comes_back_with_its_answers(models: Models, root: UPath) -> None:
    saved = model_files.save_network(root, models.network, PROVENANCE)
    loaded = model_files.load_network(root)
    assert loaded.card == saved
    assert (loaded.card.classes, loaded.card.task, loaded.card.architecture) == (TASK.classes, "three_class", "K1")
    assert loaded.card.transform == TransformSpec(grey_mean=0.0, grey_sd=255.0)
    images = torch.rand(2, 1, 128, 128)
    with torch.no_grad():
        assert torch.equal(loaded.network(images), models.network.network()(images))


def test_weights_of_another_version_of_the_architecture_are_refused(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_files.save_network(tmp_path / "model", models.network, PROVENANCE)
    monkeypatch.setattr(model_files, "build_network", lambda _key, classes: build_network("A3", classes))
    with pytest.raises(ModelMismatchError, match="not the weights that K1 has in this version; train it again"):
        model_files.load_network(tmp_path / "model")


def test_trees_come_back_with_their_answers(models: Models, root: UPath) -> None:
    model_files.save_trees(root, models.trees, PROVENANCE)
    loaded = model_files.load_trees(root)
    matrix = feature_matrix(models.particles, FEATURES)
    np.testing.assert_array_equal(loaded.booster.predict(matrix), models.trees.booster().predict(matrix))
    assert loaded.card.metrics["test"]["accuracy"] == models.trees.test.accuracy


def test_a_forest_comes_back_with_its_answers(models: Models, root: UPath) -> None:
    model_files.save_forest(root, models.forest, PROVENANCE)
    loaded = model_files.load_forest(root).forest
    scores = models.forest.model.score(models.particles)
    np.testing.assert_array_equal(loaded.score(models.particles), scores)
    np.testing.assert_array_equal(
        loaded.dust_share_more_anomalous(scores), models.forest.model.dust_share_more_anomalous(scores)
    )


def test_a_map_comes_back_and_names_its_network(models: Models, root: UPath, tmp_path: Path) -> None:
    network = model_files.save_network(tmp_path / "network", models.network, PROVENANCE)
    fitted = FittedMap(np.ones((4, 2), np.float32), np.eye(4, dtype=np.float32), MapConfig(), seed=9)
    model_files.save_map(root, fitted, network, PROVENANCE)
    loaded = model_files.load_map(root)
    np.testing.assert_array_equal(loaded.fitted.vectors, fitted.vectors)
    assert (loaded.fitted.config, loaded.fitted.seed) == (fitted.config, 9)
    assert loaded.card.built_on == {"network": network.content_hash}


def test_the_same_training_has_the_same_hash_whatever_it_cost(models: Models, tmp_path: Path) -> None:
    dearer = Provenance(PROVENANCE.training_data, "by run", EnergyUse(99.0, None, None, None, "none"))
    for save, trained in (
        (model_files.save_network, models.network),
        (model_files.save_trees, models.trees),
        (model_files.save_forest, models.forest),
    ):
        first = save(tmp_path / "a", trained, PROVENANCE)
        assert save(tmp_path / "b", trained, dearer).content_hash == first.content_hash
        other = Provenance({"synthetic_tensors": "v2"}, "by run")
        assert save(tmp_path / "c", trained, other).content_hash != first.content_hash


def test_a_forest_grown_again_has_the_same_bytes(models: Models, drawn: DrawnSet, tmp_path: Path) -> None:
    again = train_forest(drawn.particles, drawn.labels, drawn.splits, models.forest.config)
    first = model_files.save_forest(tmp_path / "a", models.forest, PROVENANCE)
    assert model_files.save_forest(tmp_path / "b", again, PROVENANCE).weights_sha256 == first.weights_sha256


def test_an_exported_network_that_is_missing_or_changed_is_refused(models: Models, tmp_path: Path) -> None:
    card = model_files.save_network(tmp_path, models.network, PROVENANCE)
    read, exported = load_exported(tmp_path, "network")
    file = tmp_path / card.content_hash / "network.onnx"
    assert (read, exported) == (card, file.read_bytes())
    file.write_bytes(exported + b" ")
    with pytest.raises(ModelMismatchError, match=r"network\.onnx was changed after saving"):
        load_exported(tmp_path, "network")
    file.unlink()
    with pytest.raises(ModelNotFoundError, match=r"network\.onnx is missing.*train the network model again"):
        load_exported(tmp_path, "network")


def test_a_failure_while_saving_leaves_the_former_model_current(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "model"
    former = save_model(root, _card(), b"first")
    replaced = []
    original = Path.replace

    def cut_off(self: Path, target: Path) -> Path:
        # The power fails once the weights are in place, before the card and the pointer are.
        if replaced:
            raise OSError("power failure")
        replaced.append(target)
        return original(self, target)

    monkeypatch.setattr(Path, "replace", cut_off)
    with pytest.raises(OSError, match="power failure"):
        save_model(root, _card(), b"second")
    monkeypatch.undo()
    assert len(replaced) == 1
    card, weights = load_model(root, "trees")
    assert (card, weights) == (former, b"first")


def test_a_former_model_stays_beside_the_current_one(tmp_path: Path) -> None:
    first = save_model(tmp_path, _card(), b"first")
    second = save_model(tmp_path, _card(), b"second")
    assert current_hash(tmp_path) == second.content_hash
    assert (tmp_path / first.content_hash / "trees.txt").read_bytes() == b"first"


def test_nothing_saved_says_so(tmp_path: Path) -> None:
    assert current_hash(tmp_path) is None
    with pytest.raises(ModelNotFoundError, match="train it first"):
        load_model(tmp_path, "network")


def test_weights_changed_on_disk_are_refused(tmp_path: Path) -> None:
    card = save_model(tmp_path, _card(), b"weights")
    (tmp_path / card.content_hash / "trees.txt").write_bytes(b"weighty")
    with pytest.raises(ModelMismatchError, match="changed after saving"):
        load_model(tmp_path, "trees")


def test_a_card_changed_on_disk_is_refused(tmp_path: Path) -> None:
    card = save_model(tmp_path, _card(classes=("dust", "ash")), b"weights")
    file = tmp_path / card.content_hash / "card.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"classes": ["ash", "dust"]}))
    with pytest.raises(ModelMismatchError, match="changed after saving"):
        load_model(tmp_path, "trees")


def test_another_kind_or_format_is_refused(tmp_path: Path) -> None:
    save_model(tmp_path / "a", _card(), b"")
    with pytest.raises(ModelMismatchError, match="trees model where a forest is expected"):
        load_model(tmp_path / "a", "forest")
    save_model(tmp_path / "b", _card(format_version=99), b"")
    with pytest.raises(ModelMismatchError, match="format 99"):
        load_model(tmp_path / "b", "trees")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"task": "pollen"}, "trained for task three_class, not pollen; train the trees model again"),
        ({"classes": ("dust", "pollen", "ash")}, "tells apart"),
        ({"architecture": "A3"}, "architecture None, not A3"),
        ({"available": ["width_um"]}, r"needs the properties \['length_um'\]"),
        ({"transform": TransformSpec(version=TransformSpec().version + 1)}, "prepared by"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_with_what_to_do(asked: dict[str, object], message: str) -> None:
    card = _card(
        task="three_class",
        classes=("dust", "ash", "pollen"),
        features=("length_um", "width_um"),
        transform=TransformSpec(),
    )
    check_fits(card, task="three_class", classes=card.classes, available=[*card.features, "x"])
    with pytest.raises(ModelMismatchError, match=message):
        check_fits(card, **asked)


def test_no_saved_file_is_a_pickle(models: Models, tmp_path: Path) -> None:
    model_files.save_network(tmp_path / "n", models.network, PROVENANCE)
    model_files.save_trees(tmp_path / "t", models.trees, PROVENANCE)
    model_files.save_forest(tmp_path / "f", models.forest, PROVENANCE)
    names = {file.suffix for file in tmp_path.rglob("*") if file.is_file()}
    assert names == {".safetensors", ".onnx", ".txt", ".json"}
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert not file.read_bytes().startswith(b"\x80")
