import numpy as np
import pytest
import torch

from icecore_dagster.learning.networks.architectures import ARCHITECTURES, build_network
from icecore_dagster.learning.networks.inspection import example_rows, look_into
from icecore_dagster.learning.networks.training import TaskRows
from icecore_dagster.learning.networks.transforms import TransformSpec

EXAMPLES = {"dust": np.full((128, 128), 90, np.uint8), "ash": np.eye(128, dtype=np.uint8) * 200}


@pytest.mark.parametrize(
    ("key", "filters", "maps"),
    [
        ("A1", [(8, 1, 11, 11), (16, 8, 5, 5)], [(2, 8, 118, 118), (2, 16, 55, 55)]),
        (
            "hybrid",
            [(8, 1, 11, 11), (16, 8, 5, 5), (32, 16, 3, 3)],
            [(2, 8, 118, 118), (2, 16, 55, 55), (2, 32, 25, 25)],
        ),
        (
            "hybrid_strided",
            [(24, 1, 7, 7), (48, 24, 3, 3), (48, 48, 3, 3)],
            [(2, 24, 32, 32), (2, 48, 16, 16), (2, 48, 16, 16)],
        ),
        (
            "hybrid_resnet18",
            [(64, 3, 7, 7), (64, 64, 3, 3), (64, 64, 3, 3)],
            [(2, 64, 64, 64), (2, 64, 32, 32), (2, 64, 32, 32)],
        ),
    ],
)
def test_the_first_convolutions_of_any_network_can_be_seen(key: str, filters: list, maps: list) -> None:
    inside = look_into(build_network(key, 3), EXAMPLES, ARCHITECTURES[key].transform)
    assert [weights.shape for weights in inside.filters.values()] == filters
    assert [values.shape for values in inside.maps.values()] == maps
    assert list(inside.filters) == list(inside.maps)


def test_maps_are_what_the_filters_give_for_the_normalised_image() -> None:
    network = build_network("A3", 3)
    inside = look_into(network, EXAMPLES, TransformSpec())
    image = (torch.from_numpy(EXAMPLES["ash"].astype(np.float32)) - 60) / 30
    filters = torch.from_numpy(inside.filters["conv_1"])
    expected = torch.nn.functional.conv2d(image[None, None], filters, network.body.get_submodule("conv_1").bias)
    np.testing.assert_allclose(inside.maps["conv_1"][1], expected[0].detach().numpy(), atol=1e-4)


def test_looking_leaves_no_hook_behind() -> None:
    network = build_network("A3", 3)
    look_into(network, EXAMPLES, TransformSpec())
    assert not any(module._forward_hooks for module in network.modules())


def test_examples_are_validation_particles_where_a_class_has_some() -> None:
    targets = np.array([0, 1, 2, 0, 1, 1])
    rows = TaskRows(targets, train=np.array([0, 1, 2]), validation=np.array([3, 4, 5]), test=np.array([], int))
    assert example_rows(rows, ("dust", "ash", "pollen")) == {"dust": 3, "ash": 4, "pollen": 2}
