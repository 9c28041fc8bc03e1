"""Sheets of crops and their scale bars."""

import numpy as np
import pytest

from icecore_dagster.reports.figures.gallery import contact_sheet, crop_sheet, scale_bar


@pytest.mark.parametrize(
    ("width_px", "um_per_px", "text", "length_px"),
    [
        (30, 0.277, "2 µm", 2 / 0.277),
        (200, 0.277, "20 µm", 20 / 0.277),
        (446, 0.277, "50 µm", 50 / 0.277),
        (200, None, "50 px", 50),
        (200, float("nan"), "50 px", 50),
    ],
)
def test_scale_bar_has_a_round_length_that_fits(width_px, um_per_px, text, length_px):
    bar = scale_bar(width_px, um_per_px)
    assert bar.text == text
    assert bar.length_px == pytest.approx(length_px)
    assert bar.length_px <= 0.45 * width_px


def test_contact_sheet_shows_crops_and_survives_a_missing_one(scored_core, picture):
    first = scored_core.ranking.head(7)
    crops = {pid: np.full((30, 50), 90, np.uint8) for pid in first["particle_id"].iloc[1:]}
    image = picture(contact_sheet(first, crops))
    assert _pixels(image, 90) > 6 * 5_000
    picture(contact_sheet(first.head(0), {}))


def test_crop_sheet_keeps_one_scale(picture):
    dust, shard = np.full((10, 10), 90, np.uint8), np.full((100, 200), 60, np.uint8)
    image = picture(crop_sheet({"dust": [dust], "camp": [shard]}, 0.277))
    areas = [_pixels(image, grey) for grey in (90, 60)]
    assert areas[1] / areas[0] == pytest.approx(200, rel=0.2)
    picture(crop_sheet({}, None))


def _pixels(image: np.ndarray, grey: int) -> int:
    """Pixels of a picture that are of a grey, give or take what drawing rounds."""
    return int((np.abs(image.astype(int) - grey) <= 1).all(axis=2).sum())
