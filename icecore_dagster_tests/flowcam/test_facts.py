"""What is known of a run as a whole, and which of several sources is believed."""

from datetime import timedelta

import pytest

from icecore_dagster.flowcam.metadata import parse_quantity
from icecore_dagster.flowcam.run import read_run

from .builders import (
    CONTEXT,
    CONTEXT_VOLUME_ML,
    LIST_SUMMARY,
    RUN_SUMMARY,
    STEM,
    build_run,
    list_text,
    particle,
    write_text,
)


def facts_of(folder, *, context=CONTEXT, summary=RUN_SUMMARY, listed=LIST_SUMMARY):
    """Read a run after replacing the files beside its list; None removes one."""
    for end, text in ((".ctx", context), ("_run_summary.txt", summary), ("_summary.csv", listed)):
        path = folder / f"{STEM}{end}"
        path.unlink() if text is None else write_text(path, text)
    run = read_run(folder)
    return run.facts, "\n".join(str(problem) for problem in run.problems)


@pytest.fixture
def folder(tmp_path):
    return build_run(tmp_path)


def test_the_files_beside_the_list_are_read(folder):
    facts, _ = facts_of(folder)
    assert facts.name == STEM
    assert facts.format == "list 017"
    assert facts.software_version == "4.10.8"
    assert facts.magnification == 20
    assert facts.calibration_um_per_px == 0.277
    assert facts.calibration_source == f"{STEM}.lst"
    assert facts.fringe_px == 4.5
    assert facts.dilution == 2
    assert facts.flow_cell == "FC80"
    assert (facts.threshold_dark, facts.threshold_light, facts.background_grey) == (15, 16, 127.5)
    assert (facts.particles_claimed, facts.particles_found) == (4, 4)


@pytest.mark.parametrize(
    ("changed", "volume", "source"),
    [
        ({}, 0.00994, f"{STEM}_summary.csv"),  # agrees with 0.0099 within rounding and is more precise
        ({"summary": None}, 0.00994, f"{STEM}_summary.csv"),
        ({"listed": None}, 0.0099, f"{STEM}_run_summary.txt"),
        ({"listed": LIST_SUMMARY.replace("0.00994", "0.01234")}, 0.0099, f"{STEM}_run_summary.txt"),
        ({"summary": None, "listed": "Fluid Volume Imaged,0.0101 ml\n"}, 0.0101, f"{STEM}_summary.csv"),
        ({"summary": None, "listed": None}, CONTEXT_VOLUME_ML, f"{STEM}.ctx: frames x field of view x depth"),
        (
            {"summary": None, "listed": None, "context": CONTEXT.replace("_ml=0.0000", "_ml=0.0099")},
            0.0099,
            f"{STEM}.ctx",
        ),
        ({"summary": None, "listed": None, "context": CONTEXT.replace("FlowCellDepth=80", "")}, None, "unknown"),
        ({"summary": None, "listed": None, "context": None}, None, "unknown"),
    ],
)
def test_volume_imaged_comes_from_the_best_source(folder, changed, volume, source):
    facts, _ = facts_of(folder, **changed)
    assert facts.volume_imaged_ml == pytest.approx(volume)
    assert facts.volume_source == source


def test_contradicting_volumes_are_a_problem(folder):
    _, problems = facts_of(folder, listed=LIST_SUMMARY.replace("0.00994", "0.01234"))
    assert "volume imaged (ml) is 0.01234 here, but 0.0099 in" in problems
    _, problems = facts_of(folder, summary=RUN_SUMMARY.replace("0.0099 ml", "0.0500 ml"), listed=None)
    assert "frames x field of view x depth give" in problems
    _, problems = facts_of(folder, summary=RUN_SUMMARY.replace("0.0099 ml", "9.9 ul"))
    assert "stated in 'ul'; ml is expected" in problems


def test_efficiency_is_a_share_from_its_most_precise_source(folder):
    assert facts_of(folder)[0].efficiency == pytest.approx(0.301234)
    (folder / f"{STEM}.ctx").unlink()
    assert read_run(folder).facts.efficiency == pytest.approx(0.301)


@pytest.mark.parametrize(
    ("utc", "zone", "start"),
    [
        ("2020-11-13 09:00:00", "UTC+01:00", "2020-11-13T10:00:00+01:00"),
        ("2020-11-13 10:00:20", "UTC", "2020-11-13T10:00:20+00:00"),
        ("2020-11-13 04:30:00", "UTC+05:30", "2020-11-13T10:00:00+05:30"),
        ("2020-11-13 13:30:00", "UTC-03:30", "2020-11-13T10:00:00-03:30"),
        ("2020-11-13 09:07:00", "local, zone unknown", "2020-11-13T10:00:00"),
        ("2019-11-13 09:00:00", "local, zone unknown", "2020-11-13T10:00:00"),
    ],
)
def test_the_zone_follows_from_context_in_utc_and_summary_in_local_time(folder, utc, zone, start):
    facts, problems = facts_of(folder, context=CONTEXT.replace("2020-11-13 09:00:00", utc))
    assert facts.time_zone == zone
    assert facts.started_at.isoformat() == start
    assert ("no time zone explains that" in problems) == (zone == "local, zone unknown")


def test_without_summaries_the_particles_tell_the_local_time(folder):
    facts, _ = facts_of(folder, summary=None, listed=None)
    assert facts.started_at.isoformat() == "2020-11-13T10:00:00+01:00"
    facts, _ = facts_of(build_run(folder.parent, name="other"), context=None, summary=None, listed=None)
    assert facts.started_at.isoformat() == "2020-11-13T10:00:00"
    assert facts.started_at.tzinfo is None
    assert facts.time_zone == "local, zone unknown"


def test_context_alone_is_utc(folder):
    (folder / f"{STEM}.lst").write_text(list_text([particle(1)], ["id", "image_x"]))
    facts, _ = facts_of(folder, summary=None, listed=None)
    assert facts.time_zone == "UTC"
    assert facts.started_at.utcoffset() == timedelta(0)


def test_a_stated_count_that_does_not_fit_is_a_problem(folder):
    facts, problems = facts_of(folder, summary=RUN_SUMMARY.replace("Count: 4", "Count: 10381"))
    assert (facts.particles_claimed, facts.particles_found) == (10381, 4)
    assert "10381 particles are stated, 4 are in" in problems


@pytest.mark.parametrize(
    ("constant", "calibration", "said"),
    [("0.5544", 0.277, "the particles' own is believed"), ("1.0000", 0.277, ""), ("0.2770", 0.277, "")],
)
def test_the_particles_own_calibration_is_believed(folder, constant, calibration, said):
    context = CONTEXT.replace("CalibrationConstant=0.2770", f"CalibrationConstant={constant}")
    facts, problems = facts_of(folder, context=context)
    assert facts.calibration_um_per_px == calibration
    assert said in problems
    assert bool(said) == ("CalibrationConstant" in problems)


def test_a_placeholder_calibration_is_not_used(folder):
    (folder / f"{STEM}.lst").write_text(list_text([particle(1)], ["id", "image_x"]))
    context = CONTEXT.replace("CalibrationConstant=0.2770", "CalibrationConstant=1.0000")
    facts, problems = facts_of(folder, context=context)
    assert facts.calibration_um_per_px == 0.277  # the first of the summary's two
    assert "placeholder" in problems
    facts, _ = facts_of(folder, context=context, summary=None)
    assert (facts.calibration_um_per_px, facts.calibration_source) == (None, "unknown")


def test_two_objectives_in_one_table_are_a_problem(folder):
    rows = [particle(1), particle(2), particle(3, cal_const=0.5544)]
    (folder / f"{STEM}.lst").write_text(list_text(rows))
    facts, problems = facts_of(folder)
    assert facts.calibration_um_per_px == 0.277
    assert "2 calibration factors in one table" in problems


def test_context_of_version_5_with_tabs_repeated_keys_and_other_case_is_read(folder):
    context = "[software]\nSOFTWAREVERSION\t5.9.0.76\nSoftwareVersion\t9.9\n[Fluid]\nFlowCellType = FC50\n"
    context += "[Files]\nPath=C:\\Program Files\\100%\nnonsense\n=empty\n"
    facts, _ = facts_of(folder, context=context)
    assert facts.software_version == "5.9.0.76"
    assert facts.flow_cell == "FC50"


@pytest.mark.parametrize(
    ("text", "value", "half_unit", "unit"),
    [
        ("0.0290 ml", 0.029, 0.00005, "ml"),
        ("22.2%   ", 22.2, 0.05, "%"),
        ("10X", 10, 0.5, "X"),
        ("2.659e+05", 265900, 50, ""),
        ("1000", 1000, 0.5, ""),
    ],
)
def test_a_quantity_knows_how_precise_it_is(text, value, half_unit, unit):
    quantity = parse_quantity(text, "f")
    assert (quantity.value, quantity.half_unit, quantity.unit) == (value, pytest.approx(half_unit), unit)


@pytest.mark.parametrize("text", ["", "Unknown", "0,0290 ml", "1.2.3", "1e999", "5,00"])
def test_what_is_no_plain_number_is_no_quantity(text):
    assert parse_quantity(text, "f") is None
