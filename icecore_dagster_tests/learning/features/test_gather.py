import shutil
from pathlib import Path

import numpy as np
import pytest

from icecore_dagster.learning.dense.fit import fit_dense
from icecore_dagster.learning.dense.training import DenseConfig
from icecore_dagster.learning.features.gather import gather_features
from icecore_dagster.learning.features.imagenet import FEATURE_COUNT, build_imagenet_network, image_features
from icecore_dagster.learning.features.sets import FEATURE_SETS, feature_set_of
from icecore_dagster.learning.features.transfer import COLUMNS, FeaturesError, TransferKept, read_transfer_features
from icecore_dagster.learning.labelled_set import SplitKind, keep_split, keep_tensors, open_labelled_set
from icecore_dagster.learning.models.files import load_trees
from icecore_dagster.learning.networks.fit import fit_network
from icecore_dagster.learning.networks.training import TrainingConfig
from icecore_dagster.learning.trees.boosting import TreesConfig
from icecore_dagster.learning.trees.fit import fit_trees
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.properties import FEATURES
from icecore_dagster.particles.tables.schemas import SYNTHETIC_PARTICLES, TRANSFER_FEATURES
from icecore_dagster.particles.tables.store import read_table, write_table

TASK, ARCHITECTURE = "three_class", "A4"
FEW_ROUNDS = TreesConfig(rounds=3, smallest_leaf=3, threads=1)


@pytest.fixture(scope="session")
def with_network(labelled_laboratory: Laboratory, kept: TransferKept) -> Laboratory:
    config = TrainingConfig(epochs=1, threads=1, device="cpu")
    fit_network(labelled_laboratory, TASK, ARCHITECTURE, config)
    return labelled_laboratory


@pytest.fixture
def copy(with_network: Laboratory, tmp_path: Path) -> Laboratory:
    """That laboratory, to change at will."""
    shutil.copytree(with_network.data, tmp_path / "data")
    return Laboratory.at(tmp_path / "data")


def gathered(lab: Laboratory, key: str, **more):
    chosen = feature_set_of(key)
    return gather_features(lab, open_labelled_set(lab), chosen, task=TASK, architecture=ARCHITECTURE, **more)


def test_the_kept_features_are_those_of_the_stored_images(with_network: Laboratory, kept: TransferKept) -> None:
    labelled = open_labelled_set(with_network)
    table, version = read_transfer_features(with_network, labelled)
    assert version == kept.version
    assert table.shape == (kept.particles, FEATURE_COUNT)
    rows = [0, 17, len(table) - 1]
    again = image_features(build_imagenet_network(with_network.scratch), labelled.tensors.images[rows])
    np.testing.assert_allclose(table.iloc[rows], again, atol=1e-4)
    assert TRANSFER_FEATURES.violations(read_table(with_network.store.table(TRANSFER_FEATURES.name))).empty


def test_the_picture_has_no_more_particles_than_asked_for_and_every_class(kept: TransferKept) -> None:
    assert 50 < len(kept.components) <= 100
    assert kept.components["class"].nunique() >= 5
    assert 0 < kept.shares[1] <= kept.shares[0] < 1


@pytest.mark.parametrize(
    ("key", "columns"),
    [
        ("properties", 34),
        ("no_raw_grey", 32),
        ("transfer", FEATURE_COUNT),
        ("learned", 40),
        ("properties_transfer", 34 + FEATURE_COUNT),
    ],
)
def test_every_set_gives_its_columns_for_every_labelled_particle(with_network: Laboratory, key, columns) -> None:
    features = gathered(with_network, key)
    assert features.table.shape == (len(open_labelled_set(with_network).table), columns)
    assert not features.table.columns.duplicated().any()
    assert len(np.unique(features.table.to_numpy()[:, -1])) > 1


def test_properties_can_be_left_out_beside_images(with_network: Laboratory) -> None:
    assert gathered(with_network, "properties_transfer", left_out=FEATURES[:30]).columns == (*FEATURES[30:], *COLUMNS)


@pytest.mark.parametrize("key", FEATURE_SETS)
def test_trees_learn_from_every_set_and_say_from_what(with_network: Laboratory, key: str) -> None:
    fitted = fit_trees(with_network, TASK, FEW_ROUNDS, features=key, architecture=ARCHITECTURE)
    model = load_trees(with_network.store.models / "lightgbm_model" / TASK / key)
    features = gathered(with_network, key)
    assert model.card.features == features.columns
    assert set(model.card.training_data) == {"synthetic_particles", *features.versions}
    assert ("network" in model.card.built_on) == (key == "learned")
    assert (fitted.explanation is not None) == feature_set_of(key).is_measured
    assert model.probabilities(features.table.head(5)).shape == (5, 3)


def test_a_dense_network_learns_from_images_alone(with_network: Laboratory) -> None:
    config = DenseConfig(hidden=(16,), epochs=3, threads=1)
    fitted = fit_dense(with_network, "ash", config, features="transfer")
    assert fitted.card.classes == ("camp", "grim")
    assert fitted.card.features == COLUMNS
    assert (with_network.store.models / "dense_model" / "ash" / "transfer").exists()


def test_features_that_are_not_there_are_named(copy: Laboratory) -> None:
    copy.store.table(TRANSFER_FEATURES.name).unlink()
    with pytest.raises(FeaturesError, match="materialise transfer_features first"):
        gathered(copy, "transfer")
    shutil.rmtree(str(copy.store.models / "cnn_model"))
    with pytest.raises(FeaturesError, match=r"train cnn_model, partition A4\|three_class first"):
        gathered(copy, "learned")


def test_features_of_other_particles_are_refused(copy: Laboratory) -> None:
    source = copy.store.table(SYNTHETIC_PARTICLES.name)
    write_table(source, read_table(source), SYNTHETIC_PARTICLES, {"fingerprint": "of other runs"})
    keep_split(copy)
    keep_tensors(copy)
    with pytest.raises(FeaturesError, match="materialise transfer_features again"):
        gathered(copy, "transfer")
    with pytest.raises(FeaturesError, match="learnt from other particles"):
        gathered(copy, "learned")


def test_a_network_that_may_know_what_is_held_out_gives_no_features(with_network: Laboratory) -> None:
    with pytest.raises(FeaturesError, match="split other than by image"):
        gathered(with_network, "learned", split=SplitKind.BY_IMAGE)
