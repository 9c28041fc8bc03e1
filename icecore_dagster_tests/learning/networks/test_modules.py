import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models import ResNet18_Weights, resnet18

from icecore_dagster.learning.networks.architectures import build_network
from icecore_dagster.learning.networks.modules import PooledRows, PropertyBranch, start_of, with_pooled_rows


def _scaled(branch: PropertyBranch, values: list[list[float]]) -> np.ndarray:
    """What the branch's layers are handed."""
    handed: list[torch.Tensor] = []
    branch.layers.register_forward_pre_hook(lambda _m, taken: handed.append(taken[0]))
    branch.eval()(torch.tensor(values, dtype=torch.float32))
    return handed[0].numpy()


def test_properties_are_scaled_by_the_training_particles_and_missing_ones_count_as_the_mean() -> None:
    branch = PropertyBranch(2, (4,), 0.0)
    branch.learn_scale(torch.tensor([[1.0, 10.0], [3.0, np.nan], [5.0, np.inf], [np.nan, 30.0]]))
    assert branch.mean.tolist() == [3.0, 20.0]
    scaled = _scaled(branch, [[3.0 + np.sqrt(8 / 3), 20.0], [np.nan, np.inf], [3.0, 40.0]])
    np.testing.assert_allclose(scaled, [[1.0, 0.0], [0.0, 0.0], [0.0, 2.0]], atol=1e-6)


def test_a_property_far_beyond_what_was_learnt_from_counts_as_five_standard_deviations() -> None:
    branch = PropertyBranch(1, (4,), 0.0)
    branch.learn_scale(torch.tensor([[1.0], [3.0]]))
    np.testing.assert_allclose(_scaled(branch, [[1e6], [-1e6], [6.0]]), [[5.0], [-5.0], [4.0]])


def test_a_property_that_never_varies_or_was_never_measured_says_nothing() -> None:
    branch = PropertyBranch(2, (4,), 0.0)
    branch.learn_scale(torch.tensor([[7.0, np.nan], [7.0, np.nan]]))
    np.testing.assert_array_equal(_scaled(branch, [[7.0, np.nan]]), [[0.0, 0.0]])


def test_scoring_does_not_change_the_scale() -> None:
    network = build_network("hybrid", 3)
    before = network.measured.mean.clone()
    network.eval()(torch.zeros(2, 1, 128, 128), torch.full((2, 34), 5.0))
    assert torch.equal(network.measured.mean, before)


@pytest.mark.parametrize("side", [20, 21])
def test_rows_pooled_within_a_convolution_are_those_pooled_after_it(side: int) -> None:
    torch.manual_seed(1)
    convolution, images = torch.nn.Conv2d(2, 3, 5), torch.randn(4, 2, side, side)
    with torch.no_grad():
        expected = torch.nn.functional.max_pool2d(convolution(images).relu(), 2)
        found = PooledRows(convolution)(images)
    assert float(expected.max()) > 0
    torch.testing.assert_close(found, expected)


def test_only_a_first_block_of_large_kernels_is_computed_so_and_the_network_is_left_as_it_is() -> None:
    network = build_network("A3", 6).eval()
    images = torch.randn(2, 1, 128, 128)
    folded = with_pooled_rows(network)
    assert isinstance(folded.body.conv_1, PooledRows)
    assert isinstance(network.body.conv_1, torch.nn.Conv2d)
    with torch.no_grad():
        torch.testing.assert_close(folded(images), network(images))
    for other in ("K1", "hybrid_strided"):
        assert isinstance(with_pooled_rows(build_network(other, 6)).body.conv_1, torch.nn.Conv2d)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Torch's cache, empty."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


def test_a_backbone_starts_at_random_where_torchs_cache_has_no_file(cache: Path) -> None:
    assert start_of(build_network("hybrid_resnet18", 3), "resnet18") == "random"
    assert start_of(build_network("hybrid", 3), None) == "random"


def test_a_file_that_is_not_torchvisions_is_refused(cache: Path) -> None:
    (cache / Path(ResNet18_Weights.IMAGENET1K_V1.url).name).write_bytes(b"anything else")
    with pytest.raises(ValueError, match="not the file that torchvision publishes; delete it"):
        start_of(build_network("hybrid_resnet18", 3), "resnet18")


def test_a_backbone_starts_from_the_file_in_torchs_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published = resnet18()
    torch.save(published.state_dict(), cache / "any.pth")
    digest = hashlib.sha256((cache / "any.pth").read_bytes()).hexdigest()[:8]
    (cache / "any.pth").rename(cache / f"resnet18-{digest}.pth")
    address = f"https://download.pytorch.org/models/resnet18-{digest}.pth"
    monkeypatch.setattr(ResNet18_Weights.IMAGENET1K_V1.value, "url", address)
    network = build_network("hybrid_resnet18", 3)
    assert start_of(network, "resnet18") == f"ImageNet (resnet18-{digest}.pth)"
    assert torch.equal(network.body.get_submodule("backbone.conv1").weight, published.conv1.weight)
    assert torch.equal(network.body.get_submodule("backbone.layer4.1.bn2").weight, published.layer4[1].bn2.weight)
