"""Real files of the instrument's own software: every number that they hold twice must come out the same."""

import numpy as np
import pandas as pd
import pytest

from icecore_dagster.flowcam.landing import completeness
from icecore_dagster.flowcam.run import read_run
from icecore_dagster.flowcam.tables.columns import KINDS, Kind
from icecore_dagster.flowcam.tables.derived import add_date_and_time, add_derived
from icecore_dagster.flowcam.tables.export import read_export
from icecore_dagster.flowcam.tables.lists import read_list

ROUNDED = 0.5e-4
"""Half of the last of the four decimals that lists and exports have."""

ONLY_EXPORTED = {
    *("Ch2/Ch1 Ratio", "Filter Score", "Scatter Area", "Scatter Peak", "Scatter Width"),
    *("Sphere Complement", "Sphere Unknown", "Sphere Volume"),
}
"""Columns of the export that follow from nothing in the list."""


@pytest.fixture(scope="module")
def colour(colour_run):
    return read_run(colour_run)


@pytest.fixture(scope="module")
def list_and_export(colour_run):
    folder = colour_run
    rows = add_date_and_time(add_derived(read_list(folder / f"{folder.name}.lst").rows))
    return rows, read_export(folder / f"{folder.name}.csv").rows


def rounding_of(name: str, rows: pd.DataFrame) -> np.ndarray:
    """By how much a value may differ because what it was computed from is rounded to four decimals."""
    p, area, k = rows["raw_perimeter"], rows["raw_filled_area"], rows["Calibration Factor"]
    root = np.sqrt((p**2 / 16 - area).clip(lower=0))
    geodesic = k * ROUNDED * (0.25 + np.where(root > 0, np.minimum(p / 16 / root.where(root > 0, 1), 10), 0))
    length, gl, gt = rows["Length"], rows["Geodesic Length"], rows["Geodesic Thickness"]
    abd, esd = rows["Diameter (ABD)"], rows["Diameter (ESD)"]
    errors = {
        "Aspect Ratio": ROUNDED * (1 + rows["Aspect Ratio"]) / rows["raw_legendre_major"],
        "Circularity": ROUNDED / rows["Compactness"] ** 2,
        "Convexity": ROUNDED / rows["raw_convex_hull_area"].clip(lower=1) * 2,
        "Geodesic Length": geodesic,
        "Geodesic Thickness": geodesic,
        "Geodesic Aspect Ratio": geodesic * (1 + gt / gl) / gl,
        "Fiber Curl": geodesic / length + ROUNDED * gl / length**2,
        "Fiber Straightness": length * geodesic / gl**2 + ROUNDED / gl,
        "Transparency": ROUNDED * (1 + abd / esd) / esd,
        "Volume (ABD)": np.pi / 2 * abd**2 * ROUNDED,
        "Volume (ESD)": np.pi / 2 * esd**2 * ROUNDED,
        "Ratio Blue/Green": ROUNDED * (1 + rows["Ratio Blue/Green"]) / rows["Average Green"],
        "Ratio Red/Blue": ROUNDED * (1 + rows["Ratio Red/Blue"]) / rows["Average Blue"],
        "Ratio Red/Green": ROUNDED * (1 + rows["Ratio Red/Green"]) / rows["Average Green"],
    }
    return np.asarray(errors.get(name, 0.0))


def test_list_and_export_agree_row_by_row_in_every_column(list_and_export):
    ours, theirs = list_and_export
    shared = [name for name in theirs.columns if name in ours.columns and name != "Row"]
    assert set(theirs.columns) - set(shared) - {"Row"} == ONLY_EXPORTED
    assert len(shared) == 63
    for name in shared:
        kind = KINDS[name]
        if kind in (Kind.TEXT, Kind.TIME, Kind.INTEGER):
            assert ours[name].tolist() == theirs[name].tolist(), name
            continue
        written = np.where(name.startswith("Volume"), 0.5e-6 * theirs[name], ROUNDED)  # seven digits, four decimals
        allowed = written + rounding_of(name, ours)
        off = (ours[name] - theirs[name]).abs()
        worst = (off - allowed).idxmax()
        assert (off <= allowed * 1.001 + 1e-9).all(), (
            f"{name}: {ours[name][worst]} and {theirs[name][worst]} in row {worst}"
        )


def test_the_complete_run_states_its_facts(colour):
    facts = colour.facts
    assert (facts.particles_found, facts.particles_claimed, len(colour.particles)) == (1000, 1000, 1000)
    assert facts.calibration_um_per_px == 0.5544
    assert facts.volume_imaged_ml == 0.02903
    assert facts.volume_source.endswith("_summary.csv")
    assert facts.software_version == "4.19.3"
    assert facts.magnification == 10
    assert facts.efficiency == pytest.approx(0.221528)
    assert facts.time_zone == "UTC+02:00"
    assert facts.started_at.isoformat() == "2024-04-08T11:10:51+02:00"
    assert facts.missing_files == ()
    assert colour.problems == ()
    assert colour.rejects.empty


def test_the_export_fills_the_rest(colour):
    assert set(colour.particles.columns) >= ONLY_EXPORTED
    assert not colour.particles[sorted(ONLY_EXPORTED)].isna().any(axis=None)


def test_the_bare_run_is_read_and_says_what_is_missing(bare_run):
    run = read_run(bare_run)
    assert (run.facts.particles_found, len(run.particles)) == (506, 506)
    assert run.facts.calibration_um_per_px == 1.813
    assert (run.facts.volume_imaged_ml, run.facts.volume_source) == (None, "unknown")
    assert run.facts.time_zone == "local, zone unknown"
    assert {name.rsplit("4x", 1)[1] for name in run.facts.missing_files} == {
        ".ctx",
        ".csv",
        "_run_summary.txt",
        "_summary.csv",
    }


@pytest.mark.parametrize("which", ["colour_run", "bare_run"])
def test_crops_and_masks_reproduce_what_the_instrument_measured(which, request):
    run = read_run(request.getfixturevalue(which))
    table = run.particles
    seen = 0
    for i, crop, mask in run.iter_crops():
        assert crop.shape == mask.shape == (table["Image Height"][i], table["Image Width"][i])
        assert mask.sum() == table["raw_area"][i]
        if table["Particles Per Chain"][i] == 1:
            assert crop[mask].sum() == table["Sum Intensity"][i]
            assert crop[mask].std() == pytest.approx(table["Sigma Intensity"][i], abs=ROUNDED * 1.01)
        seen += 1
    assert seen == len(table)


def test_a_crop_asked_for_alone_is_the_crop_of_the_stream(colour):
    for i, crop, mask in colour.iter_crops():
        if i % 97 == 0:
            np.testing.assert_array_equal(colour.crop(i), crop)
            np.testing.assert_array_equal(colour.mask(i), mask)


def test_real_runs_are_complete(colour_run, bare_run):
    assert completeness(colour_run) == ()
    assert completeness(bare_run) == ()


def test_single_crops_of_the_ice_core_classes_are_a_run(ice_core_particles):
    run = read_run(ice_core_particles)
    stated = pd.read_csv(ice_core_particles / "labels.csv").set_index("image")
    assert len(run.particles) == 7
    assert "GRIP_3046_0_20_1" in run.particles["Run"].tolist()
    for i, crop, _ in run.iter_crops():
        row = stated.loc[run.particles["Image File"][i]]
        assert crop.shape in ((row["height_px"], row["width_px"]), (row["width_px"], row["height_px"]))
        assert np.median(np.concatenate([crop[0], crop[-1]])) == pytest.approx(row["background_grey"], abs=2)
