"""Finding the particle in a crop that came without a mask."""

import cv2
import numpy as np
import pandas as pd
import pytest

from icecore_dagster.flowcam.run import read_run
from icecore_dagster.particles.measure import measure_particle
from icecore_dagster.particles.segment import border_grey, segment_particle


def _crop_with(value: int, rows: slice, columns: slice, size_px: int = 40, background: int = 127) -> np.ndarray:
    crop = np.full((size_px, size_px), background, np.uint8)
    crop[rows, columns] = value
    return crop


def test_dark_particle_is_found_exactly():
    crop = _crop_with(60, slice(10, 30), slice(12, 28))
    assert np.array_equal(segment_particle(crop), crop == 60)


def test_bright_particle_is_found_unless_only_dark_ones_are_wanted():
    crop = _crop_with(200, slice(10, 30), slice(12, 28))
    assert np.array_equal(segment_particle(crop), crop == 200)
    assert not segment_particle(crop, threshold_light=None).any()


def test_threshold_must_be_exceeded():
    assert not segment_particle(_crop_with(112, slice(10, 30), slice(10, 30))).any()
    assert segment_particle(_crop_with(111, slice(10, 30), slice(10, 30))).sum() == 400


def test_specks_apart_from_the_main_part_are_dropped():
    crop = _crop_with(60, slice(10, 25), slice(10, 25))
    crop[33:36, 33:36] = 60
    mask = segment_particle(crop)
    assert mask.sum() == 15 * 15
    assert not mask[33:36, 33:36].any()


def test_hole_stays_open_or_is_filled_as_asked_and_gaps_are_closed():
    crop = _crop_with(60, slice(8, 32), slice(8, 32))
    crop[14:26, 14:26] = 127
    crop[8:14, 20] = 127  # a one-pixel crack through the ring
    assert segment_particle(crop).sum() == 24 * 24 - 12 * 12
    assert segment_particle(crop, fill=True).sum() == 24 * 24
    assert not segment_particle(crop, close_iterations=0)[10, 20]


def test_particle_cut_by_the_frame_edge_reaches_the_edge():
    crop = _crop_with(60, slice(0, 20), slice(10, 30))
    assert np.array_equal(segment_particle(crop, background_grey=127), crop == 60)


def test_background_is_taken_from_the_border():
    crop = _crop_with(60, slice(10, 30), slice(10, 30), background=99)
    assert border_grey(crop) == 99
    assert segment_particle(crop).sum() == 400


def test_uneven_background_can_be_given_as_an_image():
    background = np.tile(np.linspace(80, 180, 40).astype(np.uint8), (40, 1))
    crop = background.copy()
    crop[10:30, 10:30] -= 30
    assert segment_particle(crop, background_grey=background).sum() == 400
    with pytest.raises(ValueError, match="background"):
        segment_particle(crop, background_grey=background[:5])


def test_colour_image_is_refused():
    with pytest.raises(ValueError, match="grey"):
        segment_particle(np.zeros((5, 5, 3), np.uint8))


def test_masks_of_single_particles_are_the_instruments_own_pixel_for_pixel(colour_run):
    run = read_run(colour_run)
    calibration = cv2.imread(str(colour_run / "cal_image_000001.tif"), cv2.IMREAD_GRAYSCALE)
    single = run.particles["Particles Per Chain"] == 1
    assert single.sum() == 404
    places = run.particles[["Capture X", "Capture Y"]].to_numpy(dtype=int)
    for i, crop, mask in run.iter_crops():
        if single[i]:
            x, y = places[i]
            background = calibration[y : y + crop.shape[0], x : x + crop.shape[1]]
            ours = segment_particle(crop, background_grey=background, threshold_dark=20, threshold_light=None)
            assert np.array_equal(ours, mask), i


@pytest.mark.parametrize(
    ("label", "smallest_um", "largest_um"),
    [
        ("dust", 3, 6),
        ("camp", 35, 50),
        ("grim", 75, 100),
        ("corylus", 20, 30),
        ("qrob", 30, 40),
        ("qsub", 30, 40),
        ("cont", 30, 45),
    ],
)
def test_real_ice_core_crop_gives_one_part_of_plausible_size(ice_core_particles, label, smallest_um, largest_um):
    labels = pd.read_csv(ice_core_particles / "labels.csv").set_index("label")
    crop = cv2.imread(str(ice_core_particles / labels.loc[label, "image"]), cv2.IMREAD_GRAYSCALE)
    mask = segment_particle(crop)
    measured = measure_particle(crop, mask, um_per_px=0.277)
    assert measured["particles_per_chain"] == 1
    assert smallest_um < measured["diameter_fd_um"] < largest_um
