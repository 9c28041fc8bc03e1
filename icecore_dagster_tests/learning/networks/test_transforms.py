from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import binom
from torchvision.transforms import functional as tv

from icecore_dagster.learning.networks.tensors import to_network_input
from icecore_dagster.learning.networks.transforms import TransformSpec, augment, gaussian_blur, normalise, random_part
from icecore_dagster.particles.segment import border_grey

NEVER = TransformSpec(
    crop_probability=0, horizontal_flip_probability=0, vertical_flip_probability=0, blur_probability=0
)
FIELDS = ("crop_probability", "horizontal_flip_probability", "vertical_flip_probability", "blur_probability")


def _native(shape: tuple[int, int] = (100, 140)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def _augment(crop: np.ndarray, n: int, spec: TransformSpec, seed: int = 0) -> torch.Tensor:
    images = np.repeat(to_network_input(crop)[None], n, axis=0)
    return augment(images, lambda _: crop, spec, torch.Generator().manual_seed(seed))


def test_normalising_gives_grey_minus_60_over_30() -> None:
    images = np.array([[[0, 60], [90, 255]]], dtype=np.uint8)
    np.testing.assert_allclose(normalise(images, TransformSpec())[0, 0], [[-2, 0], [1, 6.5]])


@pytest.mark.parametrize("field", FIELDS)
def test_each_change_happens_to_a_tenth_of_the_images(field: str) -> None:
    n = 1_000
    crop = _native()
    changed = _augment(crop, n, replace(NEVER, **{field: 0.10}))
    unchanged = normalise(to_network_input(crop)[None], NEVER)
    count = int((changed != unchanged).flatten(1).any(dim=1).sum())
    low, high = binom.interval(0.9999, n, 0.10)
    assert low <= count <= high


def test_the_changes_of_an_image_are_independent_of_one_another() -> None:
    both = replace(NEVER, horizontal_flip_probability=0.5, vertical_flip_probability=0.5)
    batch = _augment(_native(), 400, both)
    plain = normalise(to_network_input(_native())[None], NEVER)
    outcomes = [plain, plain.flip(-1), plain.flip(-2), plain.flip(-1).flip(-2)]
    counts = [int((batch == outcome).flatten(1).all(dim=1).sum()) for outcome in outcomes]
    assert sum(counts) == 400
    assert min(counts) > 60


def test_a_grain_comes_in_its_eight_positions_alike() -> None:
    any_way = replace(NEVER, horizontal_flip_probability=0.5, vertical_flip_probability=0.5, transpose_probability=0.5)
    batch = _augment(_native(), 800, any_way)
    plain = normalise(to_network_input(_native())[None], NEVER)
    turned = [plain.rot90(quarter, (-2, -1)) for quarter in range(4)]
    counts = [int((batch == way).flatten(1).all(dim=1).sum()) for one in turned for way in (one, one.flip(-1))]
    assert sum(counts) == 800
    low, high = binom.interval(0.9999, 800, 1 / 8)
    assert all(low <= count <= high for count in counts)


def test_the_order_is_crop_resize_normalise_flips_blur() -> None:
    always = replace(NEVER, **dict.fromkeys(FIELDS, 1.0))
    crop = _native()
    found = _augment(crop, 1, always, seed=3)
    draws = torch.rand(1, 7, generator=torch.Generator().manual_seed(3))[0]
    part = random_part(crop, always, float(draws[4]), float(draws[5]))
    squashed = to_network_input(part, background_grey=float(border_grey(crop)))
    expected = normalise(squashed[None], always).flip(-1).flip(-2)
    expected = tv.gaussian_blur(expected, [5, 5], [float(0.1 + 1.9 * draws[6])] * 2)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_blur_is_torchvisions_with_a_sigma_an_image() -> None:
    batch = torch.rand(3, 1, 32, 40)
    sigma = torch.tensor([0.1, 0.8, 2.0])
    expected = torch.cat([tv.gaussian_blur(batch[i : i + 1], [5, 5], [float(sigma[i])] * 2) for i in range(3)])
    torch.testing.assert_close(gaussian_blur(batch, sigma, 5), expected, atol=1e-5, rtol=1e-5)


def test_a_random_part_is_cut_from_native_pixels_anywhere() -> None:
    crop = _native((100, 90))
    for down, across, top, left in ((0.0, 0.0, 0, 0), (0.9999, 0.9999, 20, 10), (0.5, 0.0, 10, 0)):
        part = random_part(crop, TransformSpec(), down, across)
        np.testing.assert_array_equal(part, crop[top : top + 80, left : left + 80])


def test_a_crop_smaller_than_the_part_is_padded_as_torchvision_pads() -> None:
    crop = _native((30, 100))
    part = random_part(crop, TransformSpec(), 0.0, 0.0)
    assert part.shape == (80, 80)
    np.testing.assert_array_equal(part[50:], crop[:, :80])
    assert (part[:50] == 0).all()


def test_the_same_generator_state_gives_the_same_pixels() -> None:
    first, second = (_augment(_native(), 50, TransformSpec(), seed=7) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, _augment(_native(), 50, TransformSpec(), seed=8))
