import numpy as np
import pytest

from icecore_dagster.simulation.optics import Optics, relative_intensity
from icecore_dagster.simulation.shapes.raster import PIXEL_UM

_N = 128
_CLEAN = Optics(halo=0.0, flare=0.0)


def _disc(radius_um: float) -> np.ndarray:
    axis = (np.arange(_N) - _N / 2) * PIXEL_UM
    return (np.hypot(*np.meshgrid(axis, axis)) < radius_um).astype(np.float32)


def _light(opd: np.ndarray, absorbance: np.ndarray, defocus_um: float, optics: Optics = _CLEAN) -> np.ndarray:
    return relative_intensity(opd[None], absorbance[None], np.array([defocus_um]), optics)[0]


def test_empty_water_is_evenly_bright():
    nothing = np.zeros((_N, _N), np.float32)
    np.testing.assert_allclose(_light(nothing, nothing, 12.0, Optics()), 1, atol=1e-3)


def test_absorption_in_focus_follows_its_logarithm():
    light = _light(np.zeros((_N, _N), np.float32), 0.7 * _disc(10), 0.0)
    assert light[_N // 2, _N // 2] == pytest.approx(np.exp(-0.7), rel=0.05)


def test_a_clear_lens_gathers_light_on_one_side_of_focus_and_spreads_it_on_the_other():
    axis = ((np.arange(_N) - _N / 2) * PIXEL_UM).astype(np.float32)
    lens = 0.4 * np.exp(-(axis[:, None] ** 2 + axis[None, :] ** 2) / 18)
    clear = np.zeros((_N, _N), np.float32)
    near, far = (_light(lens, clear, depth)[_N // 2, _N // 2] for depth in (-12.0, 12.0))
    assert min(near, far) < 0.85
    assert max(near, far) > 1.15


def test_a_steep_rim_of_clear_glass_is_dark_in_focus():
    plate = 0.8 * _disc(10)
    light = _light(plate, np.zeros((_N, _N), np.float32), 0.0)
    assert light.min() < 0.6
    assert light[_N // 2, _N // 2] > 0.9


def test_defocus_makes_edges_several_times_gentler():
    black = 3 * _disc(10)
    clear = np.zeros((_N, _N), np.float32)
    sharp, soft = (np.abs(np.diff(_light(clear, black, depth)[_N // 2])).max() for depth in (0.0, 30.0))
    assert sharp > 2.5 * soft


def test_the_halo_brightens_the_surroundings_of_a_dark_body():
    black = 3 * _disc(10)
    clear = np.zeros((_N, _N), np.float32)
    just_outside = _N // 2 + round(12 / PIXEL_UM)
    assert _light(clear, black, 0.0, Optics(flare=0.0, halo=0.2))[_N // 2, just_outside] > 1.02


def test_particles_of_a_batch_do_not_disturb_each_other():
    opd = np.stack([0.3 * _disc(5), 0.6 * _disc(9)])
    absorbance = np.stack([0.1 * _disc(5), 1.0 * _disc(9)])
    depths = np.array([3.0, -15.0])
    together = relative_intensity(opd, absorbance, depths, Optics())
    for i in range(2):
        alone = relative_intensity(opd[i : i + 1], absorbance[i : i + 1], depths[i : i + 1], Optics())[0]
        np.testing.assert_allclose(together[i], alone, atol=1e-5)
