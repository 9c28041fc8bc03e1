from pathlib import Path

import cv2
import numpy as np
import pytest

from icecore_dagster.learning.features.imagenet import (
    FEATURE_COUNT,
    ImageNetWeightsError,
    build_imagenet_network,
    image_features,
    timm_name,
)

CATS, ESPRESSO = set(range(281, 286)), 967
"""Numbers of the tame cats and of the espresso among ImageNet's 1000 classes."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def network(cache: Path):
    return build_imagenet_network(cache)


def photograph(name: str, side: int = 224) -> np.ndarray:
    data = pytest.importorskip("skimage.data")
    colours = getattr(data, name)()
    height, width = colours.shape[:2]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    square = colours[top : top + short, left : left + short]
    return cv2.resize(cv2.cvtColor(square, cv2.COLOR_RGB2GRAY), (side, side), interpolation=cv2.INTER_AREA)


def test_the_published_weights_name_a_cat_a_cat_and_coffee_coffee(cache: Path) -> None:
    classifier = build_imagenet_network(cache, classifies=True)
    cat, coffee = image_features(classifier, np.stack([photograph("chelsea"), photograph("coffee")]))
    assert int(cat.argmax()) in CATS
    assert ESPRESSO in np.argsort(coffee)[-5:]


def test_every_published_weight_has_its_place_and_every_place_its_weight(cache: Path) -> None:
    import timm
    from safetensors import safe_open

    build_imagenet_network(cache)
    (kept,) = cache.glob("*.safetensors")
    with safe_open(kept, "numpy") as file:
        assert set(file.keys()) == set(timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict())


def test_different_images_have_different_features_and_the_same_image_the_same(network) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 128, 128), dtype=np.uint8)
    features = image_features(network, images[[0, 1, 0]])
    assert features.shape == (3, FEATURE_COUNT)
    np.testing.assert_allclose(features[0], features[2], atol=1e-5)
    assert np.abs(features[0] - features[1]).max() > 0.1


def test_no_image_gives_no_feature(network) -> None:
    assert image_features(network, np.empty((0, 128, 128), np.uint8)).shape == (0, FEATURE_COUNT)


def test_a_file_that_is_not_the_published_one_is_not_opened(tmp_path: Path, monkeypatch) -> None:
    package = tmp_path / "package"
    (package / "models").mkdir(parents=True)
    (package / "models" / "efficientnet-lite0-57934424.pth").write_bytes(b"cos\nsystem\n")
    monkeypatch.setattr("icecore_dagster.learning.features.imagenet.files", lambda name: package)
    with pytest.raises(ImageNetWeightsError, match="SHA-256"):
        build_imagenet_network(tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("name", ["_blocks.99._bn0.weight", "_blocks.1._squeeze.weight", "_swish.weight"])
def test_a_weight_without_a_place_is_named(name: str) -> None:
    with pytest.raises(ImageNetWeightsError, match=name):
        timm_name(name, ["blocks.0.0", "blocks.1.0"])
