"""A particle's properties from its pixels: small cases by hand, identities, and the instrument's own values."""

from math import pi, sqrt

import cv2
import numpy as np
import pandas as pd
import pytest

from icecore_dagster.flowcam.run import read_run
from icecore_dagster.particles.measure import calibrate, measure_particle, measure_raw
from icecore_dagster.particles.properties import PROPERTIES, Certainty


def _grey_crop(mask: np.ndarray, particle: int = 60, background: int = 127) -> np.ndarray:
    return np.where(mask, particle, background).astype(np.uint8)


def _disc(radius_px: float, size_px: int = 64, hole_px: float = 0) -> np.ndarray:
    rows, columns = np.mgrid[:size_px, :size_px] - size_px // 2
    distance_px = np.hypot(rows, columns)
    return (distance_px <= radius_px) & (distance_px >= hole_px)


def _blob(seed: int) -> np.ndarray:
    """An irregular particle with holes and, often, several parts."""
    noise = np.random.default_rng(seed).normal(size=(48, 48))
    return _disc(20, 48) & (cv2.GaussianBlur(noise, (0, 0), 3) > -0.03)


def test_square_has_the_sizes_counted_by_hand():
    mask = np.zeros((20, 20), bool)
    mask[5:15, 5:15] = True
    raw = measure_raw(_grey_crop(mask), mask)

    assert (raw.area_px, raw.filled_area_px, raw.parts) == (100, 100, 1)
    assert raw.perimeter_px == raw.convex_perimeter_px == 36  # through pixel centres: four sides of nine steps
    assert raw.convex_hull_area_px == 81
    assert (raw.feret_min_px, raw.feret_angle_min_deg) == (10, 0)
    assert (raw.feret_max_px, raw.feret_angle_max_deg) == (14, 30)  # from round(-2.67) to round(9.62)
    assert raw.legendre_major_px == pytest.approx(4 * sqrt((10**2 - 1) / 12))
    assert raw.legendre_minor_px == pytest.approx(raw.legendre_major_px)
    assert (raw.grey_mean, raw.grey_sigma, raw.grey_sum) == (60, 0, 6000)
    assert raw.symmetry == 1


def test_fringe_is_taken_off_linear_sizes_but_never_more_than_half():
    mask = np.zeros((20, 20), bool)
    mask[5:15, 5:15] = True
    calibrated = measure_particle(_grey_crop(mask), mask, um_per_px=0.5, fringe_px=4.5)
    assert calibrated["width_um"] == pytest.approx(0.5 * (10 - 4.5))
    assert calibrated["area_abd_um2"] == pytest.approx(pi / 4 * (0.5 * (sqrt(400 / pi) - 4.5)) ** 2)
    assert calibrated["perimeter_um"] == 0.5 * 36

    coarse = measure_particle(_grey_crop(mask), mask, um_per_px=0.5, fringe_px=8)
    assert coarse["width_um"] == pytest.approx(0.5 * 5)


def test_nothing_is_thinner_than_a_pixel():
    mask = np.zeros((8, 3), bool)
    mask[1:7, 1] = True
    assert measure_particle(_grey_crop(mask), mask, um_per_px=1.813)["width_um"] == 1.813


def test_symmetry_is_about_a_point_and_falls_where_one_side_is_longer():
    parallelogram = np.array([[0, 0, 1, 1, 1, 1], [0, 1, 1, 1, 1, 0], [1, 1, 1, 1, 0, 0]], bool)
    assert measure_raw(_grey_crop(parallelogram), parallelogram).symmetry == 1
    drop = _disc(12, 64)
    drop[31:34, 32:60] = True
    assert measure_raw(_grey_crop(drop), drop).symmetry < 0.6


def test_disc_is_round_and_its_diameters_agree():
    mask = _disc(25)
    measured = measure_particle(_grey_crop(mask), mask, um_per_px=1, fringe_px=0)
    assert measured["diameter_abd_um"] == pytest.approx(50, abs=0.5)
    assert measured["diameter_esd_um"] == pytest.approx(51, abs=0.5)
    assert measured["aspect_ratio"] == pytest.approx(1, abs=1e-6)
    assert measured["circularity_hu"] > 0.995
    assert measured["circle_fit"] > 0.96
    assert measured["symmetry"] == 1
    assert measured["volume_abd_um3"] == pytest.approx(4 / 3 * pi * 25**3, rel=0.02)


def test_hole_counts_for_area_and_transparency_but_not_for_filled_area_or_outline():
    ring, disc = _disc(25, hole_px=20), _disc(25)
    of_ring = measure_particle(_grey_crop(ring), ring, um_per_px=1)
    of_disc = measure_particle(_grey_crop(disc), disc, um_per_px=1)
    for column in ("area_filled_um2", "perimeter_um", "compactness", "length_um", "aspect_ratio", "convexity"):
        assert of_ring[column] == of_disc[column], column
    assert of_ring["area_abd_um2"] < of_disc["area_abd_um2"] / 2
    assert of_ring["transparency"] > of_disc["transparency"] + 0.3


def test_chain_adds_areas_and_perimeters_and_spans_its_parts():
    one = np.zeros((30, 60), bool)
    one[10:20, 5:15] = True
    both = one.copy()
    both[10:20, 40:50] = True
    alone, chain = measure_raw(_grey_crop(one), one), measure_raw(_grey_crop(both), both)
    assert chain.parts == 2
    assert (chain.area_px, chain.perimeter_px) == (2 * alone.area_px, 2 * alone.perimeter_px)
    assert chain.feret_max_px >= 45
    assert chain.convex_hull_area_px == 9 * 44


def test_edge_gradient_saturates_like_an_8_bit_image():
    mask = np.zeros((20, 20), bool)
    mask[5:15, 5:15] = True
    by_hand = (32 * 4 * 10 + 4 * 6 * 10) / 2 / 36  # 32 side pixels, 4 corners
    assert measure_raw(_grey_crop(mask, 100, 110), mask).edge_gradient_grey == pytest.approx(by_hand)
    assert measure_raw(_grey_crop(mask, 0, 255), mask).edge_gradient_grey == 255


def test_grey_statistics_are_those_of_the_mask_alone():
    mask = _disc(10)
    crop = np.random.default_rng(3).integers(0, 256, mask.shape).astype(np.uint8)
    raw = measure_raw(crop, mask)
    assert raw.grey_sum == crop[mask].sum()
    assert raw.grey_mean == pytest.approx(crop[mask].mean())
    assert raw.grey_sigma == pytest.approx(crop[mask].std())


@pytest.mark.parametrize("seed", range(8))
def test_properties_agree_with_one_another(seed):
    mask = _blob(seed)
    m = measure_particle(_grey_crop(mask), mask, um_per_px=0.277)
    assert list(m) == [p.column for p in PROPERTIES]
    assert all(np.isfinite(value) for value in m.values())
    assert m["circularity"] * m["compactness"] == pytest.approx(1)
    assert m["volume_esd_um3"] == pytest.approx(pi / 6 * m["diameter_esd_um"] ** 3)
    assert m["area_abd_um2"] == pytest.approx(pi / 4 * m["diameter_abd_um"] ** 2)
    assert m["transparency"] == pytest.approx(1 - m["diameter_abd_um"] / m["diameter_esd_um"])
    assert m["fiber_straightness"] == pytest.approx(m["length_um"] / m["geodesic_length_um"])
    assert m["sum_intensity_grey"] == pytest.approx(m["intensity_grey"] * mask.sum())
    assert m["width_um"] <= m["diameter_esd_um"] <= m["length_um"]
    assert m["geodesic_length_um"] >= m["geodesic_thickness_um"]


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (2, 2), (1, 9)])
def test_smallest_particles_have_finite_properties(shape):
    mask = np.ones(shape, bool)
    measured = measure_particle(np.full(shape, 80, np.uint8), mask, um_per_px=0.277)
    assert all(np.isfinite(value) for value in measured.values())


@pytest.mark.parametrize(
    ("crop", "mask", "words"),
    [
        (np.zeros((4, 4, 3), np.uint8), np.ones((4, 4), bool), "grey uint8"),
        (np.zeros((4, 4)), np.ones((4, 4), bool), "grey uint8"),
        (np.zeros((4, 4), np.uint8), np.ones((4, 5), bool), "shape"),
        (np.zeros((4, 4), np.uint8), np.zeros((4, 4), bool), "empty"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_a_reason(crop, mask, words):
    with pytest.raises(ValueError, match=words):
        measure_raw(crop, mask)


@pytest.mark.parametrize("um_per_px", [0, -1, float("nan")])
def test_impossible_calibration_is_refused(um_per_px):
    mask = _disc(5)
    with pytest.raises(ValueError, match="calibration"):
        calibrate(measure_raw(_grey_crop(mask), mask), um_per_px)


@pytest.mark.parametrize("fixture", ["colour_run", "bare_run"])
def test_every_property_of_every_particle_of_a_real_run_is_reproduced(fixture, request):
    run = read_run(request.getfixturevalue(fixture))
    theirs = run.particles
    places = theirs[["Calibration Factor", "Fringe Size", "Capture X", "Capture Y"]].itertuples(index=False)
    ours = pd.DataFrame(
        [measure_particle(crop, mask, *place) for (_, crop, mask), place in zip(run.iter_crops(), places, strict=True)]
    )
    compared = [p for p in PROPERTIES if p.certainty is Certainty.EXACT]
    assert len(compared) == len(PROPERTIES) - 2
    # Four decimals are exported; what a list lacks follows from its rounded columns, some of it less exactly.
    shares = {
        p.flowcam_name: np.isclose(
            ours[p.column],
            theirs[p.flowcam_name],
            rtol=2e-4 if p.flowcam_name.startswith(("Volume", "Geodesic")) else 1e-5,
            atol=1.01e-4,
        ).mean()
        for p in compared
    }
    assert {name: share for name, share in shares.items() if share < 1} == {}
