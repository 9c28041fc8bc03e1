import numpy as np
import pytest
import torch

from icecore_dagster.learning.networks import architectures
from icecore_dagster.learning.networks.architectures import (
    ARCHITECTURES,
    Architecture,
    build_network,
    parameter_count,
    run_network,
)
from icecore_dagster.learning.networks.transforms import TransformSpec
from icecore_dagster.particles.labels import TASKS
from icecore_dagster.particles.properties import FEATURES
from icecore_dagster_tests.conftest import REPOSITORY

CLASS_COUNTS = sorted({len(task.classes) for task in TASKS.values()})
HYBRIDS = [key for key, plan in ARCHITECTURES.items() if plan.measured]
PUBLISHED = {"A1": 1_264_666, "A2": 1_264_882, "A3": 304_326, "A4": 91_571, "K1": 319_811}
SHAPES = {
    "A1": [(8, 118, 118), (8, 59, 59), (16, 55, 55), (16, 27, 27), (108,)],
    "A3": [(8, 118, 118), (8, 59, 59), (16, 55, 55), (16, 27, 27), (32, 25, 25), (32, 12, 12), (64,)],
    "A2": [(8, 118, 118), (8, 59, 59), (16, 55, 55), (16, 27, 27), (108,)],
    "A4": [
        (8, 118, 118),
        (8, 59, 59),
        (16, 55, 55),
        (16, 27, 27),
        (32, 25, 25),
        (32, 12, 12),
        (64, 10, 10),
        (64, 5, 5),
        (40,),
    ],
    "K1": [
        (8, 126, 126),
        (8, 63, 63),
        (16, 61, 61),
        (16, 30, 30),
        (32, 28, 28),
        (32, 14, 14),
        (64, 12, 12),
        (64, 6, 6),
        (128,),
    ],
}


@pytest.mark.parametrize("key", PUBLISHED)
def test_parameters_are_the_published_ones(key: str) -> None:
    network = build_network(key, ARCHITECTURES[key].published_classes)
    assert sum(p.numel() for p in network.parameters()) == PUBLISHED[key] == ARCHITECTURES[key].published_parameters


def test_three_six_and_seven_outputs_are_among_those_that_tasks_ask_for() -> None:
    assert {3, 6, 7} <= set(CLASS_COUNTS)


@pytest.mark.parametrize("n_classes", CLASS_COUNTS)
@pytest.mark.parametrize("key", PUBLISHED)
def test_another_number_of_classes_changes_the_output_layer_alone(key: str, n_classes: int) -> None:
    embedding = SHAPES[key][-1][0]
    further = n_classes - {"A4": 3, "K1": 3}.get(key, 6)
    network = build_network(key, n_classes)
    assert sum(p.numel() for p in network.parameters()) == PUBLISHED[key] + further * (embedding + 1)
    assert parameter_count(key, n_classes) == PUBLISHED[key] + further * (embedding + 1)


@pytest.mark.parametrize("n_classes", CLASS_COUNTS)
@pytest.mark.parametrize("key", SHAPES)
def test_layer_shapes_are_the_published_ones(key: str, n_classes: int) -> None:
    shapes = []
    network = build_network(key, n_classes)
    for module in network.body:
        if isinstance(module, torch.nn.Conv2d | torch.nn.MaxPool2d | torch.nn.Linear):
            module.register_forward_hook(lambda _m, _i, out: shapes.append(tuple(out.shape[1:])))
    logits = network.eval()(torch.zeros(1, 1, 128, 128))
    assert shapes == SHAPES[key]
    assert logits.shape == (1, n_classes)


def test_k1_flattens_2304_values() -> None:
    assert build_network("K1", 3).body.get_submodule("dense").in_features == 2304


# Counted by hand: A3's trunk 304,326 - 6 * 65 = 303,936; 34 -> 128 -> 64 is 4,480 + 8,256; 128 -> 64 is 8,256; 64 -> n.
# Strided: 49*24 + 9*24*48 + 9*48*48 + 9*48*96 + 9*96*96 weights and 2 * 312 of norms are 157,320; 96 -> 64 with
# norm 6,336; the properties' branch and the joined layer as A3's, 12,736 + 8,256.
# ResNet18 without its last layer is 11,176,512 (He et al. 2016); 512 -> 64 with norm 32,960; 34 -> 128 -> 64 -> 32 is
# 4,480 + 8,256 + 2,080; 96 -> 40 is 3,880; 40 -> n.
@pytest.mark.parametrize("n_classes", CLASS_COUNTS)
@pytest.mark.parametrize(
    ("key", "without_output", "joined"),
    [("hybrid", 324_928, 64), ("hybrid_strided", 184_648, 64), ("hybrid_resnet18", 11_228_168, 40)],
)
def test_parameters_of_the_hybrids(key: str, without_output: int, joined: int, n_classes: int) -> None:
    assert parameter_count(key, n_classes) == without_output + n_classes * (joined + 1)


@pytest.mark.parametrize("key", HYBRIDS)
def test_a_hybrid_answers_to_the_image_and_to_the_properties(key: str) -> None:
    torch.manual_seed(0)
    network = build_network(key, 7)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5, 128, 128), dtype=np.uint8)
    properties = rng.lognormal(size=(5, len(FEATURES)))
    transform = ARCHITECTURES[key].transform
    found = run_network(network, images, transform, properties)
    assert found.embeddings.shape == (5, ARCHITECTURES[key].measured.joined)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-5)
    other_properties = run_network(network, images, transform, properties[::-1].copy())
    assert np.abs(other_properties.embeddings - found.embeddings)[:2].max() > 1e-3
    other_images = run_network(network, images[::-1].copy(), transform, properties)
    assert np.abs(other_images.embeddings - found.embeddings)[:2].max() > 1e-3
    one = run_network(network, images[:1], transform, properties[:1])
    np.testing.assert_allclose(one.embeddings, found.embeddings[:1], atol=1e-5)


@pytest.mark.parametrize("properties", [None, np.zeros((2, 3)), np.zeros((1, len(FEATURES)))])
def test_a_hybrid_without_the_properties_that_it_needs_says_so(properties: np.ndarray | None) -> None:
    with pytest.raises(ValueError, match="needs 34 measured properties of each of 2 particles"):
        run_network(build_network("hybrid", 3), np.zeros((2, 128, 128), np.uint8), TransformSpec(), properties)


def example_in_the_documentation() -> Architecture:
    page = (REPOSITORY / "docs" / "architectures.md").read_text(encoding="utf-8")
    (code,) = [part.split("```")[0] for part in page.split("```python\n")[1:]]
    return eval(code, vars(architectures))


def test_the_entry_in_the_documentation_is_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = example_in_the_documentation()
    assert plan.key not in ARCHITECTURES
    monkeypatch.setitem(ARCHITECTURES, plan.key, plan)
    images = np.zeros((2, 128, 128), np.uint8)
    found = run_network(build_network(plan.key, 6), images, plan.transform, np.ones((2, len(plan.features))))
    assert found.probabilities.shape == (2, 6)
    assert found.embeddings.shape == (2, 48)
    assert parameter_count(plan.key, 6) > 100_000


def test_a3_embeds_in_64_dimensions_and_its_output_reads_the_embedding() -> None:
    network = build_network("A3", 7).eval()
    images = torch.rand(3, 1, 128, 128)
    assert network.embed(images).shape == (3, 64)
    torch.testing.assert_close(network.output(network.embed(images)), network(images))


def test_an_unknown_architecture_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="A1, A2, A3, A4, K1"):
        build_network("A9", 3)


def test_running_equals_plain_eager_torch_whatever_the_batch() -> None:
    torch.manual_seed(0)
    network = build_network("A3", 6).eval()
    images = np.random.default_rng(0).integers(0, 256, (21, 128, 128), dtype=np.uint8)
    plain = (torch.from_numpy(images).float().unsqueeze(1) - 60) / 30
    with torch.no_grad():
        expected = torch.softmax(network(plain), dim=1).numpy()
    for batch_size in (4, 21, 64):
        found = run_network(network, images, TransformSpec(), batch_size=batch_size)
        np.testing.assert_allclose(found.probabilities, expected, atol=1e-5)
        assert found.embeddings.shape == (21, 64)


def test_running_nothing_gives_nothing() -> None:
    found = run_network(build_network("K1", 3), np.empty((0, 128, 128), np.uint8), TransformSpec())
    assert found.probabilities.shape == (0, 3)
    assert found.embeddings.shape == (0, 128)
