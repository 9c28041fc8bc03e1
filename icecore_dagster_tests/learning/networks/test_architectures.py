import numpy as np
import pytest
import torch

from icecore_dagster.learning.networks.architectures import ARCHITECTURES, build_network, run_network
from icecore_dagster.learning.networks.transforms import TransformSpec

PUBLISHED = {"A1": 1_264_666, "A2": 1_264_882, "A3": 304_326, "A4": 91_571, "K1": 319_811}
SHAPES = {
    "A1": [(8, 118, 118), (8, 59, 59), (16, 55, 55), (16, 27, 27), (108,)],
    "A3": [(8, 118, 118), (8, 59, 59), (16, 55, 55), (16, 27, 27), (32, 25, 25), (32, 12, 12), (64,)],
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


@pytest.mark.parametrize("key", SHAPES)
def test_layer_shapes_are_the_published_ones(key: str) -> None:
    shapes = []
    network = build_network(key, 6)
    for module in network.body:
        if isinstance(module, torch.nn.Conv2d | torch.nn.MaxPool2d | torch.nn.Linear):
            module.register_forward_hook(lambda _m, _i, out: shapes.append(tuple(out.shape[1:])))
    network.eval()(torch.zeros(1, 1, 128, 128))
    assert shapes == SHAPES[key]


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
