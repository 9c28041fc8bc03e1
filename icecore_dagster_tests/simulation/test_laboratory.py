import hashlib
from pathlib import Path

import pandas as pd
import pytest

from icecore_dagster.particles.labels import LABEL_KEYS, label_of_run
from icecore_dagster.simulation.laboratory import SimulationError, simulate_ice, simulate_labelled, simulated_runs
from icecore_dagster.simulation.plans import fewest_labelled
from icecore_dagster_tests.simulation.conftest import SEED


def _hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _small_ice(folder: Path, *, seed: int = 3, processes: int = 1, particles_per_run: int = 40) -> list[Path]:
    return simulate_ice(
        folder / "landing",
        truth_folder=folder / "truth",
        cores=["GRIP_1"],
        segments=["0_20", "20_40"],
        replicates=1,
        particles_per_run=particles_per_run,
        seed=seed,
        processes=processes,
        progress=False,
    )


def test_every_class_has_at_least_four_runs(labelled_folder: Path):
    runs = pd.Series([label_of_run(path.name) for path in _visible(labelled_folder)]).value_counts()
    assert set(runs.index) == set(LABEL_KEYS)
    assert runs.min() >= 4


def test_labelled_particles_add_up_to_the_number_asked_for(labelled_folder: Path):
    rows = sum(len(pd.read_csv(path / f"{path.name}.csv")) for path in _visible(labelled_folder))
    assert rows == fewest_labelled()


def test_runs_of_a_class_differ_in_background(labelled_folder: Path):
    greys = {}
    for path in _visible(labelled_folder):
        text = (path / f"{path.name}_run_summary.txt").read_text()
        grey = float(text.split("Intensity Mean:")[1].split()[0])
        greys.setdefault(label_of_run(path.name), []).append(grey)
    assert all(max(values) - min(values) > 2 for values in greys.values())


def test_same_seed_gives_the_same_bytes_whatever_the_number_of_processes(tmp_path: Path):
    _small_ice(tmp_path / "one", processes=1)
    _small_ice(tmp_path / "two", processes=2)
    assert _hashes(tmp_path / "one") == _hashes(tmp_path / "two")


def test_another_seed_gives_other_particles(tmp_path: Path):
    _small_ice(tmp_path / "one", seed=1)
    _small_ice(tmp_path / "two", seed=2)
    one, two = _hashes(tmp_path / "one" / "landing"), _hashes(tmp_path / "two" / "landing")
    assert all(one[name] != two[name] for name in one if name.endswith("_000001.tif"))


def test_truth_names_every_particle_of_the_list_and_stays_outside_the_run(ice_folders: tuple[Path, Path]):
    landing, truth = ice_folders
    for run in _visible(landing):
        table = pd.read_parquet(truth / f"{run.name}.parquet")
        exported = pd.read_csv(run / f"{run.name}.csv")
        assert table["particle_number"].tolist() == exported["Particle ID"].tolist()
        assert set(table["run"]) == {run.name}
        assert set(table["label"]) <= {*LABEL_KEYS, "anomaly"}
        assert (table["label"] == "dust").mean() > 0.95
        assert not any("truth" in path.name or path.suffix in {".json", ".parquet"} for path in run.iterdir())


def test_replicates_share_the_volume_but_not_the_count(ice_folders: tuple[Path, Path]):
    landing, _ = ice_folders
    texts = [(run / f"{run.name}_run_summary.txt").read_text() for run in _visible(landing)]
    volumes = {text.split("Fluid Volume Imaged:")[1].split()[0] for text in texts}
    counts = [int(text.split("Particle Count:")[1].split()[0]) for text in texts]
    assert len(volumes) == 1
    assert counts[0] != counts[1]
    assert abs(counts[0] - counts[1]) < 6 * sum(counts) ** 0.5


def test_a_complete_run_is_not_drawn_again(tmp_path: Path):
    runs = _small_ice(tmp_path)
    before = [path.stat().st_mtime_ns for run in runs for path in sorted(run.iterdir())]
    _small_ice(tmp_path)
    assert [path.stat().st_mtime_ns for run in runs for path in sorted(run.iterdir())] == before


def test_a_damaged_run_is_drawn_again_and_comes_out_the_same(tmp_path: Path):
    runs = _small_ice(tmp_path)
    before = _hashes(tmp_path)
    (runs[0] / f"{runs[0].name}.csv").unlink()
    (tmp_path / "landing" / f".{runs[1].name}.partial").mkdir()
    _small_ice(tmp_path)
    assert _hashes(tmp_path) == before


def test_other_parameters_replace_a_simulated_run(tmp_path: Path):
    runs = _small_ice(tmp_path, particles_per_run=40)
    _small_ice(tmp_path, particles_per_run=10)
    assert len(pd.read_csv(runs[0] / f"{runs[0].name}.csv")) < 25
    assert [path.name for path in (tmp_path / "landing").iterdir() if path.name.startswith(".")] == [".simulated"]


def test_a_run_that_was_not_simulated_is_never_replaced(tmp_path: Path):
    real = tmp_path / "landing" / "GRIP_1_0_20_1"
    real.mkdir(parents=True)
    (real / "GRIP_1_0_20_1.lst").write_text("017\n")
    with pytest.raises(SimulationError, match="GRIP_1_0_20_1: a run of this name stands here that was not simulated"):
        _small_ice(tmp_path)
    assert (real / "GRIP_1_0_20_1.lst").read_text() == "017\n"
    assert simulated_runs(tmp_path / "landing") == set()


def test_simulated_runs_are_known_by_name(ice_folders: tuple[Path, Path], tmp_path: Path):
    landing, _ = ice_folders
    assert simulated_runs(landing) == {"GRIP_3046_0_20_1", "GRIP_3046_0_20_2"}
    assert simulated_runs(tmp_path / "absent") == set()


def test_too_few_labelled_particles_are_refused_with_the_number_needed(tmp_path: Path):
    with pytest.raises(ValueError, match=f"ask for at least {fewest_labelled()}"):
        simulate_labelled(tmp_path, particles=fewest_labelled() // 2, seed=SEED, progress=False)
