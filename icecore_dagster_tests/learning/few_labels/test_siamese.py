from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from icecore_dagster.learning.few_labels.files import load_siamese, save_siamese
from icecore_dagster.learning.few_labels.siamese import (
    SiameseConfig,
    TrainedSiamese,
    embed_images,
    embed_rows,
    train_siamese,
)
from icecore_dagster.learning.models.card import Provenance
from icecore_dagster.learning.networks.training import LabelledDataError
from icecore_dagster_tests.learning.few_labels.conftest import HELD_OUT, ShapeSet

CONFIG = SiameseConfig(architecture="A4", held_out=HELD_OUT, epochs=3, a_class=6, threads=1, device="cpu", seed=1)


def _train(shapes: ShapeSet, **changes: object) -> TrainedSiamese:
    table = shapes.table
    return train_siamese(shapes.tensors, table["label"], table["split"], replace(CONFIG, **changes))


@pytest.fixture(scope="module")
def one_epoch(shapes: ShapeSet) -> TrainedSiamese:
    return _train(shapes, epochs=1)


@pytest.fixture(scope="module")
def trained(shapes: ShapeSet) -> TrainedSiamese:
    return _train(shapes)


def test_shapes_that_were_learnt_are_told_apart_by_distance(trained: TrainedSiamese) -> None:
    best = trained.history.set_index("epoch")["validation_auc"]
    assert best.max() > 0.9
    assert trained.best_epoch == best.idxmax()
    assert trained.classes == ("dust", "camp", "qrob")


def test_the_triplet_loss_teaches_too(shapes: ShapeSet) -> None:
    assert _train(shapes, loss="triplet", epochs=2).history["validation_auc"].max() > 0.9


def test_held_out_labels_and_test_particles_are_never_looked_at(shapes: ShapeSet, one_epoch: TrainedSiamese) -> None:
    unseen = shapes.table["label"].isin(HELD_OUT) | (shapes.table["split"] == "test")
    images = np.array(shapes.tensors.images)
    images[unseen.to_numpy()] = 255
    blinded = _train(ShapeSet(replace(shapes.tensors, images=images), shapes.table), epochs=1)
    assert all(torch.equal(one_epoch.state[name], blinded.state[name]) for name in one_epoch.state)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    shapes: ShapeSet, one_epoch: TrainedSiamese
) -> None:
    torch.rand(5)
    again, other = _train(shapes, epochs=1), _train(shapes, epochs=1, seed=2)
    assert all(torch.equal(one_epoch.state[name], again.state[name]) for name in one_epoch.state)
    pd.testing.assert_frame_equal(one_epoch.history.drop(columns="seconds"), again.history.drop(columns="seconds"))
    assert not torch.equal(one_epoch.state["output.weight"], other.state["output.weight"])


def test_places_have_length_one_and_do_not_depend_on_the_company(shapes: ShapeSet, trained: TrainedSiamese) -> None:
    network = trained.network()
    together = embed_rows(network, shapes.tensors, np.arange(40), trained.transform)
    alone = embed_images(network, shapes.tensors.images[7:8], trained.transform)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(together[7:8], alone)


def test_a_saved_network_gives_the_same_places(shapes: ShapeSet, trained: TrainedSiamese, tmp_path: Path) -> None:
    card = save_siamese(tmp_path, trained, {"few_shot": []}, Provenance({"synthetic_particles": "v1"}, "by run"))
    loaded = load_siamese(tmp_path)
    assert loaded.card == card
    assert (card.kind, card.classes, card.config["held_out"]) == ("siamese", trained.classes, list(HELD_OUT))
    rows = np.arange(20)
    before = embed_rows(trained.network(), shapes.tensors, rows, trained.transform)
    np.testing.assert_array_equal(before, embed_rows(loaded.network, shapes.tensors, rows, trained.transform))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"held_out": ("grim", "cont")}, r"no labelled particles of \['cont'\]"),
        ({"held_out": ("grim",)}, "at least two of each"),
        ({"held_out": ("grim", "corylus", "dust", "camp")}, "at least two of each"),
    ],
)
def test_labels_that_cannot_be_held_out_are_refused(shapes: ShapeSet, changes: dict, message: str) -> None:
    with pytest.raises(LabelledDataError, match=message):
        _train(shapes, **changes)


def test_an_architecture_that_reads_properties_is_refused(shapes: ShapeSet) -> None:
    with pytest.raises(ValueError, match="takes images alone"):
        _train(shapes, architecture="hybrid")
