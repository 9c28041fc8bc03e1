"""What a user types and what they see; a mistake ends in one line, not in a traceback."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from icecore_dagster.simulation.laboratory import simulate_ice


def icecore(*arguments: str, data: Path | None = None) -> subprocess.CompletedProcess:
    """Run the command line as a user would."""
    command = [sys.executable, "-m", "icecore_dagster.cli", *arguments, *(["--data", str(data)] if data else [])]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    (drawn,) = simulate_ice(
        folder / "landing",
        truth_folder=folder / "truth",
        cores=["GRIP_3046"],
        segments=["40_55"],
        replicates=1,
        particles_per_run=20,
        seed=3,
        processes=1,
        progress=False,
    )
    return drawn


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("inspect",),
        ("verify-properties",),
        ("score",),
        ("similar",),
        ("simulate",),
        ("simulate", "ice"),
        ("backfill",),
        ("report",),
        ("ui",),
        ("fetch",),
        ("import-ice",),
        ("search",),
        ("energy",),
    ],
)
def test_every_command_has_help_with_an_example(command):
    done = icecore(*command, "--help")
    assert done.returncode == 0
    if command:
        assert "Example" in done.stdout


def test_inspect_says_what_a_run_holds(run):
    done = icecore("inspect", str(run))
    assert done.returncode == 0
    assert "0.277 µm/px" in done.stdout
    assert "missing files" in done.stdout


def test_inspect_gives_json_to_programs(run):
    facts = json.loads(icecore("inspect", str(run), "--json").stdout)
    assert facts["rows_found"] == facts["particles"] + facts["rows_refused"]
    assert facts["calibration_um_per_px"] == 0.277


def test_inspect_of_the_real_runs(colour_run, bare_run):
    colour = json.loads(icecore("inspect", str(colour_run), "--json").stdout)
    assert (colour["particles"], colour["calibration_um_per_px"], colour["volume_imaged_ml"]) == (1000, 0.5544, 0.02903)
    bare = json.loads(icecore("inspect", str(bare_run), "--json").stdout)
    assert (bare["particles"], bare["calibration_um_per_px"], bare["volume_imaged_ml"]) == (506, 1.813, None)
    assert bare["volume_source"] == "unknown"
    assert any(name.endswith(".ctx") for name in bare["missing_files"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("inspect", "no/such/run"), "no/such/run"),
        (("report", "GRIP_9999"), "GRIP_9999"),
        (("backfill", "GRIP_9999"), "no run of GRIP_9999"),
        (("similar", "GRIP_9999_0_20_1_3"), "segment 0_20 of GRIP_9999 has not been read"),
        (("similar", "GRIP_9999_0_20_1_3", "-o", "like.pdf"), "give the file one of the endings"),
    ],
)
def test_a_mistake_is_one_clear_line(arguments, said, tmp_path):
    done = icecore(*arguments, data=None if arguments[0] == "inspect" else tmp_path)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_scoring_without_models_says_how_to_get_them(run, tmp_path):
    done = icecore("score", str(run), "-o", str(tmp_path / "scores.csv"), data=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "scores.csv").exists()


def test_the_code_location_loads_without_the_heavy_libraries():
    code = (
        "import sys, icecore_dagster.definitions as d; d.defs.get_repository_def();"
        "heavy = 'torch', 'timm', 'umap', 'shap', 'lightgbm', 'numba', 'openvino', 'icecore_dagster.simulation.optics';"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"


def test_simulate_alone_says_how_it_is_used():
    done = icecore("simulate")
    assert done.returncode == 2
    assert "--validate" in done.stdout


def test_real_particles_without_labels_end_in_one_line(tmp_path):
    done = icecore("simulate", "--validate", "--real", str(tmp_path), data=tmp_path / "data")
    assert done.returncode == 1
    assert "labels.csv is missing" in done.stderr
    assert "Traceback" not in done.stderr


def test_verify_properties_prints_a_row_a_property(run):
    done = icecore("verify-properties", str(run))
    assert done.returncode == 0
    assert done.stdout.count("100.0%") == 35
    assert "Biovolume (Cylinder)" in done.stdout


def test_options_that_a_subcommand_would_not_see_are_refused(tmp_path):
    done = icecore("simulate", "--particles", "2000", "labelled", data=tmp_path)
    assert done.returncode == 2
    assert "--particles" in done.stderr
    assert not any(tmp_path.iterdir())
