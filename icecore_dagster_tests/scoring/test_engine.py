import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from icecore_dagster.learning.anomaly.reconstruction import AutoencoderConfig, train_autoencoder
from icecore_dagster.learning.models import files as model_files
from icecore_dagster.learning.models.autoencoder_file import save_autoencoder
from icecore_dagster.learning.models.card import ModelMismatchError, ModelNotFoundError, Provenance
from icecore_dagster.learning.models.for_scoring import load_scoring_network, on_torch
from icecore_dagster.learning.networks.tensors import to_network_input
from icecore_dagster.learning.trees.boosting import TreesConfig, feature_matrix, train_trees
from icecore_dagster.particles.labels import TASKS
from icecore_dagster.particles.properties import FEATURES
from icecore_dagster.scoring.engine import (
    AUTOENCODER,
    ScoredBlock,
    ScoringModels,
    background_classes,
    load_scoring_models,
    score_blocks,
)
from icecore_dagster_tests.scoring.conftest import SavedModels

CLASSES = ("dust", "ash", "pollen")


@pytest.fixture(scope="module")
def models(saved: SavedModels) -> ScoringModels:
    return load_scoring_models(saved.root, "three_class", "A3")


def _blocks(saved: SavedModels, size: int) -> Iterator[tuple[pd.DataFrame, list[np.ndarray]]]:
    for start in range(0, 90, size):
        yield saved.drawn.particles.iloc[start : start + size], saved.drawn.crops[start : start + size]


def _joined(blocks: Iterator[ScoredBlock]) -> ScoredBlock:
    parts = list(blocks)
    return ScoredBlock(*(pd.concat([getattr(part, name) for part in parts], ignore_index=True) for name in TABLES))


TABLES = ("predictions", "anomaly", "embedding")


@pytest.fixture(scope="module")
def whole(saved: SavedModels, models: ScoringModels) -> ScoredBlock:
    return _joined(score_blocks(_blocks(saved, 90), models))


@pytest.mark.parametrize("block", [1, 13, 64, 89])
def test_scores_do_not_depend_on_the_block(
    saved: SavedModels, models: ScoringModels, whole: ScoredBlock, block: int
) -> None:
    found = _joined(score_blocks(_blocks(saved, block), models))
    for name in TABLES:
        pd.testing.assert_frame_equal(
            getattr(found, name), getattr(whole, name), check_exact=False, rtol=1e-4, atol=1e-5
        )


def test_network_columns_equal_plain_eager_torch(saved: SavedModels, whole: ScoredBlock) -> None:
    network = model_files.load_network(saved.root / "cnn_model" / "three_class" / "A3").network
    inputs = np.stack([to_network_input(crop) for crop in saved.drawn.crops])
    with torch.no_grad():
        grey = (torch.from_numpy(inputs).float().unsqueeze(1) - 60) / 30
        expected = torch.softmax(network(grey), dim=1).numpy()
        embedded = network.embed(grey).numpy()
    np.testing.assert_allclose(whole.predictions[[f"p_cnn_{c}" for c in CLASSES]], expected, atol=1e-5)
    np.testing.assert_allclose(whole.embedding[[f"e_{i:02d}" for i in range(64)]], embedded, rtol=1e-4, atol=1e-5)


def test_tree_and_forest_columns_are_those_of_the_models(saved: SavedModels, whole: ScoredBlock) -> None:
    particles = saved.drawn.particles
    booster = model_files.load_trees(saved.root / "lightgbm_model" / "three_class" / "properties").booster
    expected = booster.predict(feature_matrix(particles, FEATURES))
    np.testing.assert_allclose(whole.predictions[[f"p_lightgbm_{c}" for c in CLASSES]], expected)
    forest = model_files.load_forest(saved.root / "isolation_forest").forest
    np.testing.assert_allclose(whole.anomaly["anomaly_score"], forest.score(particles))
    assert whole.anomaly["dust_share_more_anomalous"].between(0, 1).all()


def test_probability_is_the_mean_and_interest_what_is_not_dust(whole: ScoredBlock) -> None:
    table = whole.predictions
    for name in CLASSES:
        np.testing.assert_allclose(table[f"p_{name}"], (table[f"p_cnn_{name}"] + table[f"p_lightgbm_{name}"]) / 2)
    np.testing.assert_allclose(table["interest"], 1 - table["p_dust"])
    best = table[[f"p_{c}" for c in CLASSES]].to_numpy().argmax(axis=1)
    assert table["predicted_class"].tolist() == [CLASSES[i] for i in best]
    assert table["particle_id"].is_unique


def test_a_labelled_particle_lands_on_its_place_of_the_map(whole: ScoredBlock) -> None:
    table = whole.embedding
    np.testing.assert_allclose(table[["map_x", "map_y"]], table[["e_00", "e_01"]], atol=1e-3)
    assert (table.drop(columns="particle_id").dtypes == np.float32).all()


def test_a_particle_without_image_is_scored_by_the_trees_alone(
    saved: SavedModels, models: ScoringModels, whole: ScoredBlock
) -> None:
    crops = [None if i == 4 else crop for i, crop in enumerate(saved.drawn.crops)]
    found = _joined(score_blocks([(saved.drawn.particles, crops)], models))
    row = found.predictions.iloc[4]
    assert row[[f"p_cnn_{c}" for c in CLASSES]].isna().all()
    assert row[[f"p_{c}" for c in CLASSES]].tolist() == row[[f"p_lightgbm_{c}" for c in CLASSES]].tolist()
    assert found.embedding.iloc[4].drop("particle_id").isna().all()
    rest = [i for i in range(90) if i != 4]
    pd.testing.assert_frame_equal(
        found.predictions.iloc[rest], whole.predictions.iloc[rest], check_exact=False, atol=1e-5
    )


def test_a_block_without_any_images_is_scored(saved: SavedModels, models: ScoringModels) -> None:
    (found,) = score_blocks([(saved.drawn.particles.head(3), None)], models)
    assert found.predictions["p_dust"].notna().all()
    assert found.embedding["map_x"].isna().all()


def test_an_empty_block_gives_empty_tables_with_every_column(
    saved: SavedModels, models: ScoringModels, whole: ScoredBlock
) -> None:
    (found,) = score_blocks([(saved.drawn.particles.head(0), [])], models)
    for name in TABLES:
        assert list(getattr(found, name).columns) == list(getattr(whole, name).columns)
        assert len(getattr(found, name)) == 0


@pytest.mark.parametrize("wanted", TABLES)
def test_each_result_can_be_had_alone(saved: SavedModels, whole: ScoredBlock, wanted: str) -> None:
    switches = {name: name == wanted for name in TABLES}
    models = load_scoring_models(saved.root, "three_class", "A3", **switches)
    (found,) = score_blocks(_blocks(saved, 90), models, **switches)
    assert [getattr(found, name) is not None for name in TABLES] == list(switches.values())
    pd.testing.assert_frame_equal(getattr(found, wanted), getattr(whole, wanted))


def test_identity_columns_are_carried_over(saved: SavedModels, models: ScoringModels) -> None:
    particles = saved.drawn.particles.assign(run="GRIP_3046_0_20_1", core="GRIP_3046", segment="0_20", replicate=1)
    (found,) = score_blocks([(particles, saved.drawn.crops)], models)
    for name in TABLES:
        assert list(getattr(found, name).columns[:5]) == ["particle_id", "run", "core", "segment", "replicate"]


def test_blocks_are_taken_three_ahead_at_most(saved: SavedModels, models: ScoringModels) -> None:
    taken = []

    def source() -> Iterator[tuple[pd.DataFrame, list[np.ndarray]]]:
        for number, block in enumerate(_blocks(saved, 10)):
            taken.append(number)
            yield block

    scored = score_blocks(source(), models)
    for done in range(1, 7):
        next(scored)
        assert len(taken) <= done + 2
    scored.close()
    assert len(taken) < 9


def test_what_goes_wrong_while_reading_ahead_is_raised(saved: SavedModels, models: ScoringModels) -> None:
    def source() -> Iterator[tuple[pd.DataFrame, list[np.ndarray]]]:
        yield next(_blocks(saved, 10))
        raise ValueError("the disk is gone")

    with pytest.raises(ValueError, match="the disk is gone"):
        list(score_blocks(source(), models))


def test_a_missing_property_is_named(saved: SavedModels, models: ScoringModels) -> None:
    particles = saved.drawn.particles.drop(columns="circle_fit")
    with pytest.raises(ModelMismatchError, match="circle_fit"):
        next(score_blocks([(particles, saved.drawn.crops)], models))


def test_crops_that_do_not_match_the_particles_are_refused(saved: SavedModels, models: ScoringModels) -> None:
    with pytest.raises(ValueError, match="89 crops for 90 particles"):
        next(score_blocks([(saved.drawn.particles, saved.drawn.crops[1:])], models))


def test_what_was_not_loaded_cannot_be_asked_for(saved: SavedModels) -> None:
    models = load_scoring_models(saved.root, "three_class", "A3", embedding=False, anomaly=False)
    with pytest.raises(ModelMismatchError, match="anomaly scores need the forest; the embedding needs"):
        next(score_blocks(_blocks(saved, 90), models))


def test_a_map_of_another_network_is_refused(saved: SavedModels, tmp_path: Path) -> None:
    root = tmp_path / "models"
    shutil.copytree(saved.root, root)
    fitted = model_files.load_map(root / "synthetic_umap").fitted
    other = model_files.load_network(root / "cnn_model" / "three_class" / "A3").card.model_copy(
        update={"content_hash": "0" * 64}
    )
    model_files.save_map(root / "synthetic_umap", fitted, other, Provenance({}, "by run"))
    with pytest.raises(ModelMismatchError, match="fit the map again"):
        load_scoring_models(root, "three_class", "A3")
    assert load_scoring_models(root, "three_class", "A3", embedding=False).map is None


def test_models_in_the_wrong_place_are_refused(saved: SavedModels, tmp_path: Path) -> None:
    root = tmp_path / "models"
    shutil.copytree(saved.root, root)
    shutil.copytree(root / "lightgbm_model" / "three_class", root / "lightgbm_model" / "six_class")
    shutil.copytree(root / "cnn_model" / "three_class" / "A3", root / "cnn_model" / "six_class" / "A3")
    with pytest.raises(ModelMismatchError, match="trained for task three_class, not six_class"):
        load_scoring_models(root, "six_class", "A3")


def test_an_autoencoder_scores_where_one_was_trained_and_nothing_fails_without(
    saved: SavedModels, whole: ScoredBlock, tmp_path: Path
) -> None:
    assert whole.anomaly[["reconstruction_error", "dust_share_worse_drawn"]].isna().all(axis=None)
    root, drawn = tmp_path / "models", saved.drawn
    shutil.copytree(saved.root, root)
    config = AutoencoderConfig(epochs=2, batch_size=8, threads=1)
    trained = train_autoencoder(drawn.tensors.images, drawn.labels, drawn.splits, AUTOENCODER, config)
    card = save_autoencoder(
        root / "autoencoder" / AUTOENCODER, trained, Provenance({"synthetic_tensors": "v1"}, "by run")
    )
    models = load_scoring_models(root, "three_class", "A3")
    assert models.versions["autoencoder"] == card.content_hash
    crops = [None if i == 4 else crop for i, crop in enumerate(drawn.crops)]
    found = _joined(score_blocks([(drawn.particles, crops)], models)).anomaly
    expected = trained.model.reconstruct(drawn.tensors.images).errors
    np.testing.assert_allclose(found["reconstruction_error"].drop(4), np.delete(expected, 4), rtol=1e-4)
    assert found.loc[4, ["reconstruction_error", "dust_share_worse_drawn"]].isna().all()
    assert found["dust_share_worse_drawn"].drop(4).between(0, 1).all()
    (alone,) = score_blocks([(drawn.particles, None)], models)
    assert alone.anomaly["reconstruction_error"].isna().all()


def test_absent_models_unknown_tasks_and_architectures_say_so(saved: SavedModels) -> None:
    with pytest.raises(ModelNotFoundError, match="train it first"):
        load_scoring_models(saved.root, "pollen", "A3")
    with pytest.raises(ValueError, match="no task 'nine'"):
        load_scoring_models(saved.root, "nine", "A3")
    with pytest.raises(ValueError, match="no architecture 'B7'"):
        load_scoring_models(saved.root, "three_class", "B7")


def test_models_of_different_training_data_are_pointed_out(
    saved: SavedModels, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root, drawn = tmp_path / "models", saved.drawn
    shutil.copytree(saved.root, root)
    config = TreesConfig(rounds=2, smallest_leaf=3)
    trees = train_trees(drawn.particles, drawn.labels, drawn.splits, TASKS["three_class"], config)
    model_files.save_trees(
        root / "lightgbm_model" / "three_class" / "properties", trees, Provenance({"synthetic_tensors": "v2"}, "by run")
    )
    with caplog.at_level(logging.WARNING):
        load_scoring_models(root, "three_class", "A3")
    assert "different versions of synthetic_tensors" in caplog.text


@pytest.mark.parametrize(
    ("task", "expected"),
    [("three_class", ("dust",)), ("seven_class", ("dust", "cont")), ("pollen", ()), ("six_class", ("dust",))],
)
def test_background_is_dust_and_contamination(task: str, expected: tuple[str, ...]) -> None:
    assert background_classes(TASKS[task]) == expected


def test_a_block_of_one_scores_as_in_company(saved: SavedModels, models: ScoringModels, whole: ScoredBlock) -> None:
    (found,) = score_blocks([(saved.drawn.particles.iloc[[7]], saved.drawn.crops[7:8])], models)
    for name in TABLES:
        expected = getattr(whole, name).iloc[[7]].reset_index(drop=True)
        pd.testing.assert_frame_equal(getattr(found, name), expected, check_exact=False, rtol=1e-4, atol=1e-5)


def test_torch_scores_the_same_where_there_is_a_graphics_card(
    saved: SavedModels, models: ScoringModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawer = saved.root / "cnn_model" / "three_class" / "A3"
    monkeypatch.setattr("icecore_dagster.learning.models.for_scoring.has_gpu", lambda: True)
    asked = []
    monkeypatch.setattr(
        "icecore_dagster.learning.models.for_scoring.on_torch", lambda root, device: asked.append((root, device))
    )
    load_scoring_network(drawer)
    assert asked == [(drawer, "cuda")]
    images = saved.drawn.tensors.images[:70]
    assert models.network is not None
    by_graph, by_torch = (m.run(images, np.empty((70, 0))) for m in (models.network, on_torch(drawer, "cpu")))
    np.testing.assert_allclose(by_torch.probabilities, by_graph.probabilities, atol=1e-5)
    np.testing.assert_allclose(by_torch.embeddings, by_graph.embeddings, rtol=1e-4, atol=1e-4)


def test_scoring_imports_neither_torch_nor_scikit_learns_forest(saved: SavedModels) -> None:
    program = (
        "import sys\n"
        "from icecore_dagster.scoring.engine import load_scoring_models\n"
        f"load_scoring_models(__import__('pathlib').Path({str(saved.root)!r}), 'three_class', 'A3')\n"
        "print([name for name in ('torch', 'umap', 'shap', 'sklearn.ensemble._iforest') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
