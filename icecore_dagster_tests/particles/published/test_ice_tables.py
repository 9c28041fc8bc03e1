"""A table of many ice runs becomes run folders that the landing folder's readers take as they are."""

import subprocess
import sys

import numpy as np
import pytest

from icecore_dagster.flowcam.landing import completeness, find_runs
from icecore_dagster.flowcam.run import read_run
from icecore_dagster.orchestration.arrivals import Memory, Patience, decide
from icecore_dagster.particles.intake.cells import pack_segment, read_segment
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.published.ice_tables import IceTableError, import_ice_table
from icecore_dagster.particles.tables.store import read_table
from icecore_dagster_tests.flowcam.builders import crop_of, write_png

RUNS = ("GRIP_3046_0_20_1", "GRIP_3046_40_55_1", "GRIP_3046_40_55_2")


@pytest.fixture
def lab(tmp_path) -> Laboratory:
    return Laboratory.at(tmp_path / "data")


def raw_table(lab: Laboratory, rows: list[str], separator: str = ",") -> object:
    table = lab.published / "test" / "GRIP_raw" / "GRIP_3046_raw.csv"
    table.parent.mkdir(parents=True, exist_ok=True)
    heading = separator.join(["", "Particle ID", "Area (ABD)", "Calibration Factor", "imgpaths", "dust"])
    table.write_text("\n".join([heading, *rows, ""]))
    return table


def draw(lab: Laboratory, runs=RUNS, particles: int = 3) -> list[str]:
    """Images of some runs, and one row each, mixed as in a table that was shuffled."""
    rows = []
    for n in range(1, particles + 1):
        for run in runs:
            write_png(lab.published / "test" / "GRIP_raw" / run / f"{run}_{n}.png", crop_of(n))
            rows.append(f"{len(rows)},{n},1.25,0.277,{run}/{run}_{n}.png,0")
    return rows


def test_a_table_of_three_runs_becomes_three_run_folders(lab):
    taken = import_ice_table(raw_table(lab, draw(lab)), lab.landing, progress=False)
    assert taken.runs == dict.fromkeys(RUNS, 3)
    assert (taken.without_image, taken.refused) == (0, {})
    assert [source.name for source in find_runs(lab.landing)] == list(RUNS)
    for run in RUNS:
        assert completeness(lab.landing / run) == ()
        read = read_run(lab.landing / run)
        assert read.particles["Particle ID"].tolist() == [1, 2, 3]
        assert read.particles["Area (ABD)"].tolist() == [1.25] * 3
        np.testing.assert_array_equal(read.crop(1), crop_of(2))
    assert [path.name for path in lab.landing.iterdir() if path.name.startswith(".")] == []


def test_the_segments_are_read_and_packed_like_any_others(lab):
    import_ice_table(raw_table(lab, draw(lab)), lab.landing, progress=False)
    read = read_segment(lab, "GRIP_3046", "40_55")
    stored = read_table(lab.store.table("segment_particles", "GRIP_3046", "40_55"))
    assert read.rows == len(stored) == 6
    assert sorted(stored["replicate"].unique()) == [1, 2]
    assert stored["particle_id"].tolist()[0] == "GRIP_3046_40_55_1_1"
    assert pack_segment(lab, "GRIP_3046", "40_55") == 6


def test_the_landing_sensor_asks_for_every_segment(lab):
    import_ice_table(raw_table(lab, draw(lab)), lab.landing, progress=False)
    now, patience = [1_000.0], Patience()
    first = decide(lab.landing, Memory(), patience, lambda: now[0])
    assert first.requests == []
    now[0] += patience.quiet_seconds
    asked = decide(lab.landing, first.memory, patience, lambda: now[0]).requests
    assert [(r.core, r.segment, r.runs) for r in asked] == [
        ("GRIP_3046", "0_20", RUNS[:1]),
        ("GRIP_3046", "40_55", RUNS[1:]),
    ]


@pytest.mark.parametrize("lead", ["/home/somebody/ice/learning/data/", "D:/ice/"])
def test_paths_of_the_computer_where_the_table_was_made_are_found_by_their_ends(lab, lead):
    rows = [row.replace(",GRIP_", f",{lead}GRIP_") for row in draw(lab)]
    taken = import_ice_table(raw_table(lab, rows), lab.landing, progress=False)
    assert taken.runs == dict.fromkeys(RUNS, 3)
    assert taken.without_image == 0


def test_rows_that_belong_to_no_run_are_refused_with_the_reason(lab):
    others = [
        "7,7,1.25,0.277,GRIP_3046_55_40_1/GRIP_3046_55_40_1_7.png,0",
        "8,8,1.25,0.277,blank_5_fc80_20x_8.png,0",
        "9,9,1.25,0.277,../outside/GRIP_3046_0_20_1_9.png,0",
        "10,10,1.25,0.277,nameless.png,0",
        "11,11,1.25",
    ]
    taken = import_ice_table(raw_table(lab, [*draw(lab), *others]), lab.landing, progress=False)
    assert taken.runs == dict.fromkeys(RUNS, 3)
    assert sum(taken.refused.values()) == 5
    said = " ".join(taken.refused)
    assert all(
        part in said for part in ("not below where it begins", "5 are expected", "leads out", "no run and number")
    )


def test_a_missing_image_leaves_its_row_and_is_counted(lab):
    rows = draw(lab)
    (lab.published / "test" / "GRIP_raw" / RUNS[0] / f"{RUNS[0]}_2.png").unlink()
    taken = import_ice_table(raw_table(lab, rows), lab.landing, progress=False)
    assert taken.without_image == 1
    assert len(read_run(lab.landing / RUNS[0]).particles) == 3
    assert "1 of 3 images are missing" in completeness(lab.landing / RUNS[0])[0]


def test_a_run_that_is_there_already_stops_everything(lab):
    table = raw_table(lab, draw(lab))
    mine = lab.landing / RUNS[2] / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(IceTableError, match=f"{RUNS[2]} is there already"):
        import_ice_table(table, lab.landing, progress=False)
    assert [path.name for path in lab.landing.iterdir()] == [RUNS[2]]
    assert mine.read_text() == "mine"


def test_decimal_commas_and_semicolons_stay_what_they_are(lab):
    rows = [row.replace(",", ";").replace(".25", ",25").replace("0.277", "0,277") for row in draw(lab)]
    import_ice_table(raw_table(lab, rows, ";"), lab.landing, progress=False)
    assert read_run(lab.landing / RUNS[0]).particles["Area (ABD)"].tolist() == [1.25] * 3


def test_a_table_without_images_is_refused(lab):
    table = lab.data / "export.csv"
    table.parent.mkdir(parents=True)
    table.write_text("Particle ID,Area (ABD)\n1,2\n")
    with pytest.raises(IceTableError, match="no column imgpaths"):
        import_ice_table(table, lab.landing, progress=False)


def test_the_command_says_what_it_did(lab):
    table = raw_table(lab, draw(lab))
    command = [sys.executable, "-m", "icecore_dagster.cli", "import-ice", str(table), "--data", str(lab.data)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "9 particles in 3 runs" in done.stdout
    again = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert again.returncode == 1
    assert "is there already" in again.stderr
