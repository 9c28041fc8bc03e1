import numpy as np

from icecore_dagster.simulation.instrument import FRAME_HEIGHT_PX, FRAME_WIDTH_PX, Camera, draw_conditions

_N = 96


def _camera(seed: int) -> tuple[Camera, np.random.Generator]:
    rng = np.random.default_rng(seed)
    return Camera(draw_conditions(rng), rng), rng


def _spot(depth: float) -> np.ndarray:
    axis = np.arange(_N) - _N / 2
    return (1 - depth * np.exp(-(axis[:, None] ** 2 + axis[None, :] ** 2) / 400)).astype(np.float32)


def test_empty_water_shows_nothing():
    for seed in range(5):
        camera, rng = _camera(seed)
        assert all(camera.capture(np.ones((_N, _N), np.float32), rng) is None for _ in range(40))


def test_a_spot_fainter_than_the_thresholds_is_missed_and_a_darker_one_found():
    camera, rng = _camera(1)
    assert camera.capture(_spot(0.02), rng) is None
    found = camera.capture(_spot(0.6), rng)
    assert found is not None
    assert found.crop[found.mask].mean() < camera.conditions.background_grey - camera.conditions.threshold_dark


def test_a_brighter_spot_is_found_too():
    camera, rng = _camera(2)
    found = camera.capture(_spot(-0.4), rng)
    assert found is not None
    assert found.crop[found.mask].mean() > camera.conditions.background_grey


def test_every_crop_lies_within_the_frame_and_some_are_cut_by_its_edge():
    camera, rng = _camera(3)
    cut = 0
    for _ in range(300):
        found = camera.capture(_spot(0.6), rng)
        assert found is not None
        height, width = found.crop.shape
        assert found.x_px >= 0 and found.x_px + width <= FRAME_WIDTH_PX
        assert found.y_px >= 0 and found.y_px + height <= FRAME_HEIGHT_PX
        mask = found.mask
        cut += bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())
    assert 0 < cut < 30


def test_backgrounds_of_runs_lie_in_the_published_range():
    greys = [_camera(seed)[0].calibration_image.mean() for seed in range(12)]
    assert min(greys) > 115
    assert max(greys) < 153
    assert max(greys) - min(greys) > 8


def test_noise_of_empty_water_is_that_of_published_crops():
    for seed in range(6):
        camera, rng = _camera(seed)
        crop = camera.capture(_spot(0.6), rng).crop
        corners = np.concatenate([crop[:4, :4].ravel(), crop[-4:, -4:].ravel()]).astype(float)
        assert 0.4 < corners.std() < 6
