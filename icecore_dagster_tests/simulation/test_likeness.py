import numpy as np
import pytest

from icecore_dagster.simulation.likeness import PROFILE_PX, border_noise, edge_profile


def _disc(radius_px: float, inside: int, outside: int) -> np.ndarray:
    axis = np.arange(61) - 30
    return np.where(np.hypot(*np.meshgrid(axis, axis)) <= radius_px, inside, outside).astype(np.uint8)


def test_a_sharp_dark_disc_has_a_step_at_its_outline():
    profile = dict(zip(PROFILE_PX.tolist(), edge_profile(_disc(15, 60, 130)), strict=True))
    assert profile[-5] == pytest.approx(-70)
    assert profile[5] == pytest.approx(0)
    assert profile[-2] < -50 < -20 < profile[2]
    assert np.isnan(profile[-20]), "the disc is not so deep"


def test_a_rim_shows_at_its_depth():
    crop = np.minimum(_disc(20, 128, 130), np.where(_disc(20, 1, 0) - _disc(16, 1, 0) == 1, 70, 255).astype(np.uint8))
    profile = dict(zip(PROFILE_PX.tolist(), edge_profile(crop), strict=True))
    assert profile[-2] == pytest.approx(-60, abs=6)
    assert profile[-10] == pytest.approx(-2, abs=2)


def test_nothing_that_stands_out_has_no_profile():
    assert np.isnan(edge_profile(np.full((30, 30), 128, np.uint8))).all()


def test_border_noise_is_that_of_the_outermost_pixels():
    rng = np.random.default_rng(0)
    crop = (130 + rng.normal(0, 3, (300, 300))).round().astype(np.uint8)
    crop[10:-10, 10:-10] = 20
    assert border_noise(crop) == pytest.approx(3, rel=0.1)
