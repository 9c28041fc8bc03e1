"""A small simulated laboratory, drawn once for the whole room."""

from pathlib import Path

import pytest

from icecore_dagster.simulation.laboratory import simulate_ice, simulate_labelled
from icecore_dagster.simulation.plans import fewest_labelled

SEED = 20


@pytest.fixture(scope="session")
def labelled_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest labelled set."""
    folder = tmp_path_factory.mktemp("labelled")
    simulate_labelled(folder, particles=fewest_labelled(), seed=SEED, processes=1, progress=False)
    return folder


@pytest.fixture(scope="session")
def ice_folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One segment of one core, measured twice: landing and truth."""
    folder = tmp_path_factory.mktemp("ice")
    simulate_ice(
        folder / "landing",
        truth_folder=folder / "truth",
        cores=["GRIP_3046"],
        segments=["0_20"],
        replicates=2,
        particles_per_run=300,
        seed=SEED,
        processes=1,
        progress=False,
    )
    return folder / "landing", folder / "truth"
