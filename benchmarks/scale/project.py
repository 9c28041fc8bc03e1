"""One more segment in a project of a hundred, beside the same segment in an empty one: runs, rows, seconds.

Everything happens by itself, as with an instrument beside the computer: runs are laid into the landing folder, and what
the landing sensor and the automation conditions make of them is waited for and counted.
"""

import argparse
import json
import shutil
import time
from pathlib import Path

import dagster as dg
from tqdm import tqdm

from benchmarks.measure import show
from benchmarks.page import PROJECT, write_page
from benchmarks.rows import machine
from benchmarks.scoring import train_all
from icecore_dagster.orchestration.conducting.conductor import Conductor, conductor
from icecore_dagster.orchestration.jobs import SEGMENT_ASSETS
from icecore_dagster.orchestration.sensors import SECONDS_BETWEEN_LOOKS
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.tables.store import count_rows
from icecore_dagster.scoring.files import DEFAULT_ARCHITECTURE, DEFAULT_TASK
from icecore_dagster.simulation.laboratory import simulate_ice

CORES = tuple(f"GRIP_{3000 + number}" for number in range(10))
SEGMENTS = tuple(f"{5 * number}_{5 * number + 5}" for number in range(10))
PARTICLES = 150
"""Of each of the hundred segments, so that they are soon there."""
NEW_CORES, NEW_SEGMENT, NEW_PARTICLES = ("GRIP_3900", "GRIP_3901", "GRIP_3902"), "0_20", 3_000
"""One segment after the other, each of a core of its own: seconds are those of the middle one."""


def main() -> None:
    """Measure both projects, print and keep what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="empty folder for two laboratories")
    folder = parser.parse_args().folder
    empty, full = Laboratory.at(folder / "empty"), Laboratory.at(folder / "full")
    train_all(empty, DEFAULT_TASK, DEFAULT_ARCHITECTURE)
    shutil.copytree(empty.data, full.data)
    rows = []
    for lab, cores in ((empty, ()), (full, CORES)):
        with conductor(lab) as dagster:
            if cores:
                deliver(lab, dagster, cores, SEGMENTS, PARTICLES)
            added = sorted((one_more(lab, dagster, core) for core in NEW_CORES), key=lambda more: more["seconds"])
            rows.append({"project": f"{len(cores) * len(SEGMENTS)} segments", **added[len(added) // 2]})
    first, second = rows
    ratio = {key: second[key] / first[key] for key in ("runs", "rows", "seconds")}
    PROJECT.write_text(
        json.dumps({"machine": machine(), "rows": rows, "ratio": ratio}, indent=1) + "\n", encoding="utf-8"
    )
    show([*rows, {"project": "ratio", **ratio}], f"one more segment of {NEW_PARTICLES:,} particles")
    print(f"the same with figures: {write_page()}")


def one_more(lab: Laboratory, dagster: Conductor, core: str) -> dict[str, float]:
    """Deliver one more segment and measure what Dagster does with it."""
    before = {run.run_id for run in dagster.instance.get_runs()}
    deliver(lab, dagster, (core,), (NEW_SEGMENT,), NEW_PARTICLES)
    records = [r for r in dagster.instance.get_run_records() if r.dagster_run.run_id not in before]
    seconds = sum((r.end_time or 0) - (r.start_time or 0) for r in records)
    assert all(r.dagster_run.status is dg.DagsterRunStatus.SUCCESS for r in records), "a run failed"
    tables = [table for asset in SEGMENT_ASSETS for table in lab.store.tables(asset, core)]
    return {"runs": len(records), "rows": sum(map(count_rows, tables)), "seconds": seconds}


def deliver(
    lab: Laboratory, dagster: Conductor, cores: tuple[str, ...], segments: tuple[str, ...], particles: int
) -> None:
    """Lay one run of each segment into the landing folder, and wait until Dagster has nothing left to do with it."""
    simulate_ice(
        lab.landing,
        truth_folder=lab.truth,
        cores=cores,
        segments=segments,
        replicates=1,
        particles_per_run=particles,
        seed=4,
        progress=False,
    )
    began = time.time()
    with tqdm(total=len(cores) * len(segments), desc="segments read and scored", unit="segment") as bar:
        while bar.n < bar.total or not all(dagster.is_made("core_report", core) for core in cores):
            dagster.daemon.require()
            for failed in dagster.failures_since(began):
                raise RuntimeError(f"{failed.job_name} failed: {dagster.why(failed.run_id)}")
            time.sleep(1)
            bar.n = sum(len(lab.store.tables("segment_embedding", core)) for core in cores)
            bar.refresh()
    # Twice the time between two looks of the sensors without any run: nothing more is to come.
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < 2 * SECONDS_BETWEEN_LOOKS:
        if dagster.is_busy():
            quiet_since = time.monotonic()
        dagster.daemon.require()
        time.sleep(1)


if __name__ == "__main__":
    main()
