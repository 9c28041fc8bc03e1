"""What every test may ask for: real data where it is present, and a small simulated laboratory."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
REAL_DATA = Path(os.environ.get("ICECORE_REAL_DATA", REPOSITORY.parent / "shared" / "data"))


def _real(*parts: str) -> Path:
    path = REAL_DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"real data absent: {Path(*parts)} (set ICECORE_REAL_DATA to the folder that holds it)")
    return path


@pytest.fixture(scope="session")
def colour_run() -> Path:
    """A complete VisualSpreadsheet 4.19.3 run of 1,000 particles with masks."""
    return _real("flowcam_runs", "7-Pygsuia-SF-SW-NITRATE-day5-sample3-replicate3-08April2024")


@pytest.fixture(scope="session")
def bare_run() -> Path:
    """A VisualSpreadsheet 4 list with collage and mask of 506 particles and nothing else."""
    return _real("flowcam_runs", "comics_dy086")


@pytest.fixture(scope="session")
def ice_core_particles() -> Path:
    """One real crop of each of the seven ice-core classes, with labels.csv."""
    return _real("ice_core_particles")
