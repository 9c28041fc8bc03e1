"""Tables that are not to be believed are found out."""

import numpy as np
import pandas as pd
import pytest

from icecore_dagster.particles.measure import measure_particle
from icecore_dagster.particles.properties import PROPERTIES
from icecore_dagster.particles.tables.plausibility import (
    fits_declaration,
    flowcam_consistent,
    ids_unique,
    rows_balance,
    share_of_rejects,
    sizes_plausible,
)
from icecore_dagster.particles.tables.schemas import SEGMENT_PARTICLES


@pytest.fixture
def particles() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for i in range(30):
        crop = np.full((60, 60), 130, np.uint8)
        mask = np.zeros((60, 60), bool)
        height, width = rng.integers(15, 45, 2)
        mask[8 : 8 + height, 8 : 8 + width] = True
        crop[mask] = 60
        measured = measure_particle(crop, mask, 0.277)
        rows.append({p.column: measured[p.column] for p in PROPERTIES} | {"particle_number": i})
    frame = pd.DataFrame(rows)
    return frame.assign(
        particle_id=[f"GRIP_3046_0_20_1_{i}" for i in range(30)],
        run="GRIP_3046_0_20_1",
        core="GRIP_3046",
        segment="0_20",
        replicate=1,
        has_image=True,
        crop_height_px=60,
        crop_width_px=60,
        image_file="a.tif",
        source_frame=1,
        capture_x_px=0.0,
        capture_y_px=0.0,
        timestamp=pd.Timestamp("2019-01-01"),
        calibration_um_per_px=0.277,
        properties_from="pixels",
    )


def test_a_sound_table_passes_every_question(particles):
    assert fits_declaration([particles], SEGMENT_PARTICLES).passed
    assert flowcam_consistent([particles]).passed
    assert ids_unique([particles]).passed
    assert sizes_plausible([particles]).passed


@pytest.mark.parametrize(
    ("column", "value"), [("intensity_grey", 300.0), ("aspect_ratio", 1.7), ("replicate", 0), ("width_um", -1.0)]
)
def test_a_value_out_of_bounds_is_named(particles, column, value):
    particles.loc[4, column] = value
    outcome = fits_declaration([particles], SEGMENT_PARTICLES)
    assert not outcome.passed
    assert column in outcome.summary


def test_a_value_of_a_later_block_is_named_by_its_row_in_the_table(particles):
    particles.loc[4, "intensity_grey"] = 300.0
    blocks = [particles.iloc[:3].reset_index(drop=True), particles.iloc[3:].reset_index(drop=True)]
    outcome = fits_declaration(blocks, SEGMENT_PARTICLES)
    assert outcome.evidence["index"].tolist() == ["4"]
    assert fits_declaration(blocks[:1], SEGMENT_PARTICLES).numbers == {"rows": 3}


def test_a_missing_column_is_named(particles):
    outcome = fits_declaration([particles.drop(columns="symmetry")], SEGMENT_PARTICLES)
    assert not outcome.passed
    assert "symmetry" in outcome.evidence.to_string()


@pytest.mark.parametrize("column", ["circularity", "volume_abd_um3", "volume_esd_um3", "transparency", "area_abd_um2"])
def test_a_column_in_another_unit_breaks_an_identity(particles, column):
    particles[column] = particles[column] * 3.6 + 0.5
    assert not flowcam_consistent([particles]).passed


def test_one_odd_particle_in_a_thousand_does_not_gate_a_segment(particles):
    many = pd.concat([particles] * 40, ignore_index=True)
    many.loc[0, "volume_abd_um3"] *= 2
    assert flowcam_consistent([many]).passed


def test_a_repeated_id_is_found(particles):
    particles.loc[3, "particle_id"] = particles.loc[4, "particle_id"]
    outcome = ids_unique([particles])
    assert not outcome.passed
    assert outcome.numbers["repeated_ids"] == 1


def test_the_answers_do_not_depend_on_the_blocks(particles):
    particles["volume_abd_um3"] *= 3.6
    particles.loc[3, "particle_id"] = particles.loc[28, "particle_id"]
    blocks = [particles.iloc[start : start + 7] for start in range(0, 30, 7)]
    for question in (flowcam_consistent, ids_unique, sizes_plausible):
        at_once, by_blocks = question([particles]), question(blocks)
        assert (by_blocks.passed, by_blocks.summary) == (at_once.passed, at_once.summary)
        assert dict(by_blocks.numbers) == dict(at_once.numbers)
        assert by_blocks.evidence.to_dict("records") == at_once.evidence.to_dict("records")


def test_a_table_without_rows_repeats_no_id_and_has_no_size():
    assert ids_unique([]).passed
    assert sizes_plausible([]).summary == "no calibration: sizes are not known"


def test_sizes_in_metres_or_pixels_of_a_satellite_are_not_believed(particles):
    assert not sizes_plausible([particles.assign(diameter_esd_um=1e-5)]).passed
    assert not sizes_plausible([particles.assign(diameter_esd_um=1e6)]).passed


def test_lost_rows_are_noticed():
    runs = pd.DataFrame({"run": ["a"], "rows_found": [10], "rows_kept": [8], "rows_refused": [2]})
    assert rows_balance(8, 2, runs).passed
    assert not rows_balance(7, 2, runs).passed
    assert not rows_balance(8, 1, runs.assign(rows_refused=1)).passed


def test_too_many_rejects_gate_a_segment():
    assert share_of_rejects(96, 4).passed
    assert not share_of_rejects(90, 10).passed
    assert not share_of_rejects(0, 0).passed
