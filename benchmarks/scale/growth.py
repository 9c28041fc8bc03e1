"""How time, memory and disk grow with a segment: 1,000 to 1,000,000 particles through the project's own assets.

Each step of each size runs in a process of its own, as a run of Dagster's does, so that its peak memory is its own. A
large segment is many replicates of one drawn run under other names: drawing a million particles would take longer than
everything that is measured.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from benchmarks.page import GROWTH, write_page
from benchmarks.rows import machine
from benchmarks.scoring import train_all
from icecore_dagster.particles.laboratory import DATA_VARIABLE, Laboratory
from icecore_dagster.particles.tables.store import count_rows
from icecore_dagster.scoring.files import DEFAULT_ARCHITECTURE, DEFAULT_TASK
from icecore_dagster.simulation.laboratory import simulate_ice

SIZES = (1_000, 10_000, 100_000, 1_000_000)
RUN = 10_000
"""Particles of a run, on average; a smaller segment is one smaller run."""
SEGMENT = "0_20"
STEPS = {
    "segment_particles": ("segment_particles",),
    "segment_crops": ("segment_crops",),
    "scores": ("segment_predictions", "segment_anomaly_scores", "segment_embedding"),
    "roll-up": ("class_distribution", "anomaly_ranking", "core_report"),
}
"""What is measured, and the assets that it materialises: of the segment, the roll-up of its core."""
GRIP = 3_085_063
"""Particles of the study's campaign."""


def main() -> None:
    """Measure every size, print it, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="empty folder for the laboratory")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="particles a segment")
    arguments = parser.parse_args()
    lab = Laboratory.at(arguments.folder)
    train_all(lab, DEFAULT_TASK, DEFAULT_ARCHITECTURE)
    rows: list[dict[str, str | float]] = []
    for size in tqdm(arguments.sizes, desc="sizes", unit="segment"):
        rows += measure(lab, size)
        # Kept size by size: the largest takes longer than all others together.
        keep(rows)
    show(pd.DataFrame(rows))
    print(f"the same with figures: {write_page()}")


def keep(rows: list[dict[str, str | float]]) -> None:
    """Write what has been measured so far."""
    kept = {"machine": machine(), "rows": rows, "exponents": exponents(pd.DataFrame(rows))}
    GROWTH.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def measure(lab: Laboratory, size: int) -> list[dict[str, str | float]]:
    """Lay a segment of so many particles into the landing folder, take it through every step, and clear it away."""
    core = f"SIZE_{size}"
    image(lab, core, size)
    rows: list[dict[str, str | float]] = []
    for step, assets in STEPS.items():
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.scale.step", core, SEGMENT, *assets],
            env={**os.environ, DATA_VARIABLE: str(lab.data)},
            check=True,
            capture_output=True,
            text=True,
        )
        said = json.loads(done.stdout.splitlines()[-1])
        particles = count_rows(lab.store.table("segment_particles", core, SEGMENT))
        tables = [path for asset in assets for path in lab.store.tables(asset) if core in str(path)]
        stored = sum(path.stat().st_size for path in tables)
        rows.append({"particles": particles, "step": step, **said, "stored_mb": stored / 1e6})
        tqdm.write(f"{particles:,} particles, {step}: {said['seconds']:.1f} s, {said['rss_mb']:.0f} MB")
    shutil.rmtree(lab.landing)
    return rows


def image(lab: Laboratory, core: str, size: int) -> None:
    """A segment of so many particles: one run, or one run many times under other names."""
    drawn = simulate_ice(
        lab.landing,
        truth_folder=lab.truth,
        cores=[core],
        segments=[SEGMENT],
        replicates=1,
        particles_per_run=min(size, RUN),
        seed=2,
        progress=False,
    )[0]
    # How many particles a drawn run really has is left to chance.
    found = count_rows(lab.truth / f"{drawn.name}.parquet")
    for replicate in range(2, round(size / found) + 1):
        again(drawn, f"{core}_{SEGMENT}_{replicate}")


def again(run: Path, name: str) -> None:
    """The same run under another name: images linked, lists and texts written with the other name in them."""
    folder = run.with_name(name)
    folder.mkdir()
    for file in run.iterdir():
        other = folder / file.name.replace(run.name, name)
        if file.suffix == ".tif":
            os.link(file, other)
        else:
            other.write_bytes(file.read_bytes().replace(run.name.encode(), name.encode()))


def exponents(found: pd.DataFrame) -> dict[str, float]:
    """Slope of log seconds against log particles for each step; 1 is time in proportion to particles.

    The smallest size is left out: there the start of the step counts most.
    """
    slopes = {}
    for step, rows in found.groupby("step", sort=False):
        large = rows[rows["particles"] > rows["particles"].min()]
        if len(large) > 1:
            slopes[str(step)] = float(np.polyfit(np.log(large["particles"]), np.log(large["seconds"]), 1)[0])
    return slopes


def show(found: pd.DataFrame) -> None:
    """Print the table, and what the study's whole campaign would take at the rate of the largest size."""
    table = Table(title=f"{machine()['processor']}, {machine()['cores']} cores", title_justify="left")
    for name in ("particles", "step", "seconds", "particles/s", "peak memory (MB)", "stored (MB)", "bytes a particle"):
        table.add_column(name, justify="left" if name == "step" else "right")
    for row in found.itertuples():
        table.add_row(
            f"{row.particles:,}",
            row.step,
            f"{row.seconds:,.1f}",
            f"{row.particles / row.seconds:,.0f}",
            f"{row.rss_mb:,.0f}",
            f"{row.stored_mb:,.1f}",
            f"{row.stored_mb * 1e6 / row.particles:,.0f}",
        )
    console = Console(width=120)
    console.print(table)
    for step, slope in exponents(found).items():
        console.print(f"{step}: seconds grow as particles^{slope:.2f}")
    largest = found[found["particles"] == found["particles"].max()]
    for row in largest.itertuples():
        minutes = GRIP * row.seconds / row.particles / 60
        console.print(f"{row.step}: {minutes:.0f} min for {GRIP:,} particles at the rate of {row.particles:,}")


if __name__ == "__main__":
    began = time.monotonic()
    main()
    print(f"in all {time.monotonic() - began:.0f} s")
