"""Autoencoders learn discs (the drawn set's dust), and draw bars and rings badly."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from icecore_dagster.learning.anomaly.autoencoders import (
    AUTOENCODERS,
    autoencoder_plan,
    build_autoencoder,
    contrast_of,
    redraw,
    run_autoencoder,
)
from icecore_dagster.learning.anomaly.reconstruction import AutoencoderConfig, TrainedAutoencoder, train_autoencoder
from icecore_dagster.learning.models.autoencoder_file import load_autoencoder, save_autoencoder
from icecore_dagster.learning.models.card import ModelMismatchError, Provenance, load_model, save_model
from icecore_dagster.learning.networks.training import LabelledDataError
from icecore_dagster_tests.learning.drawn_shapes import DrawnSet

CONFIG = AutoencoderConfig(epochs=15, patience=15, batch_size=8, seed=1, threads=1)


def _train(drawn: DrawnSet, kind: str, config: AutoencoderConfig = CONFIG) -> TrainedAutoencoder:
    unknown = np.array(drawn.tensors.images[1:9])
    return train_autoencoder(drawn.tensors.images, drawn.labels, drawn.splits, kind, config, unknown=unknown)


@pytest.fixture(scope="module")
def trained(drawn: DrawnSet) -> TrainedAutoencoder:
    return _train(drawn, "convolutional")


@pytest.mark.parametrize("kind", list(AUTOENCODERS))
def test_what_is_unlike_dust_is_drawn_worse(drawn: DrawnSet, kind: str) -> None:
    found = _train(drawn, kind, replace(CONFIG, epochs=50, patience=50))
    assert found.trained_on == 30
    assert found.history["train_loss"].iloc[-1] < found.history["train_loss"].iloc[0]
    assert found.separation is not None
    assert (found.separation.dust, found.separation.other) == (10, 20)
    assert found.separation.roc_auc > 0.8
    assert found.separation_from_unknown is not None
    assert found.separation_from_unknown.other == 8


def test_only_training_dust_is_learnt_from(drawn: DrawnSet, trained: TrainedAutoencoder) -> None:
    images = np.array(drawn.tensors.images)
    images[(np.array(drawn.labels) != "dust") | (np.array(drawn.splits) == "test")] = 0
    short = replace(CONFIG, epochs=2)
    first = train_autoencoder(drawn.tensors.images, drawn.labels, drawn.splits, "vanilla", short)
    again = train_autoencoder(images, drawn.labels, drawn.splits, "vanilla", short)
    for name, weights in first.state.items():
        np.testing.assert_array_equal(weights.numpy(), again.state[name].numpy())


def test_a_background_of_another_grey_is_nothing_strange() -> None:
    images = np.full((2, 128, 128), 100, np.uint8)
    images[:, 40:80, 40:80] = 50
    images[1] *= 2
    dark, light = contrast_of(images)
    np.testing.assert_allclose(dark, light)
    assert dark[0, 0] == 0
    assert dark[32, 32] == -0.5


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="128 x 128"):
        contrast_of(np.zeros((1, 64, 64), np.uint8))


def test_an_image_scores_the_same_alone_and_in_company(drawn: DrawnSet, trained: TrainedAutoencoder) -> None:
    images = drawn.tensors.images[:70]
    together, alone = trained.model.reconstruct(images), trained.model.reconstruct(images[66:67])
    np.testing.assert_array_equal(together.errors[66:67], alone.errors)
    np.testing.assert_array_equal(together.codes[66:67], alone.codes)
    assert run_autoencoder(trained.model.module, images[:0]).codes.shape == (0, 16)


def test_errors_are_those_of_what_is_drawn(drawn: DrawnSet, trained: TrainedAutoencoder) -> None:
    images = drawn.tensors.images[:5]
    shown, drawn_again = redraw(trained.model.module, images)
    np.testing.assert_allclose(trained.model.reconstruct(images).errors, ((shown - drawn_again) ** 2).mean(axis=(1, 2)))


def test_the_share_is_that_of_held_out_dust_drawn_at_least_as_badly(trained: TrainedAutoencoder) -> None:
    dust = trained.model.held_out_dust_errors
    assert len(dust) == 20
    share = trained.model.dust_share_worse(np.array([0.0, dust[0], dust[10], dust[-1], dust[-1] + 1, np.nan]))
    np.testing.assert_allclose(share, [1, 1, 0.5, 1 / 20, 0, np.nan])


def test_a_saved_autoencoder_scores_as_before_and_the_same_training_is_the_same_model(
    drawn: DrawnSet, trained: TrainedAutoencoder, tmp_path: Path
) -> None:
    provenance = Provenance({"synthetic_tensors": "v1"}, "by run")
    card = save_autoencoder(tmp_path / "a", trained, provenance)
    assert (
        save_autoencoder(tmp_path / "b", _train(drawn, "convolutional"), provenance).content_hash == card.content_hash
    )
    read = load_autoencoder(tmp_path / "a").autoencoder
    images = drawn.tensors.images[:10]
    np.testing.assert_array_equal(read.reconstruct(images).errors, trained.model.reconstruct(images).errors)
    np.testing.assert_array_equal(read.held_out_dust_errors, trained.model.held_out_dust_errors)
    assert card.metrics["separation"]["roc_auc"] > 0.8


def test_an_autoencoder_that_prepared_images_otherwise_is_refused(trained: TrainedAutoencoder, tmp_path: Path) -> None:
    save_autoencoder(tmp_path, trained, Provenance({}, "by run"))
    card, weights = load_model(tmp_path, "autoencoder")
    save_model(tmp_path, card.model_copy(update={"config": {**card.config, "preparation_version": 0}}), weights)
    with pytest.raises(ModelMismatchError, match="train it again"):
        load_autoencoder(tmp_path)


def test_no_dust_to_learn_from_or_an_unknown_kind_is_refused(drawn: DrawnSet) -> None:
    with pytest.raises(LabelledDataError, match="no labelled dust in validation and test"):
        train_autoencoder(drawn.tensors.images, drawn.labels, ["train", "test", "test"] * 50, "vanilla", CONFIG)
    with pytest.raises(ValueError, match="no autoencoder 'deep'"):
        autoencoder_plan("deep")


def test_a_variational_code_has_a_spread_and_a_plain_one_none() -> None:
    import torch

    images = torch.zeros(3, 1, 64, 64)
    for key, plan in AUTOENCODERS.items():
        codes, spread = build_autoencoder(plan).encode(images)
        assert codes.shape == (3, plan.latent), key
        assert (spread is not None) == plan.variational, key
