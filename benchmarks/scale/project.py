"""One more segment in a project of a hundred, beside the same segment in an empty one: runs, rows, seconds.

Everything goes through Dagster's own queue and daemon, as in the UI: `process_segment` is launched, and whatever the
automation conditions begin afterwards is waited for.
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
from icecore_dagster.orchestration.jobs import SEGMENT_ASSETS, process_segment
from icecore_dagster.orchestration.partitions import CORE, SEGMENT, cell_key
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.tables.store import count_rows
from icecore_dagster.scoring.files import DEFAULT_ARCHITECTURE, DEFAULT_TASK
from icecore_dagster.simulation.laboratory import simulate_ice

CORES = tuple(f"GRIP_{3000 + number}" for number in range(10))
SEGMENTS = tuple(f"{5 * number}_{5 * number + 5}" for number in range(10))
PARTICLES = 150
"""Of each of the hundred segments, so that they are soon there."""
NEW_CORE, NEW_SEGMENT, NEW_PARTICLES = "GRIP_3900", "0_20", 3_000


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
            fill(lab, dagster, cores)
            rows.append({"project": f"{len(cores) * len(SEGMENTS)} segments", **one_more(lab, dagster)})
    first, second = rows
    ratio = {key: second[key] / first[key] for key in ("runs", "rows", "seconds")}
    PROJECT.write_text(
        json.dumps({"machine": machine(), "rows": rows, "ratio": ratio}, indent=1) + "\n", encoding="utf-8"
    )
    show([*rows, {"project": "ratio", **ratio}], f"one more segment of {NEW_PARTICLES:,} particles")
    print(f"the same with figures: {write_page()}")


def fill(lab: Laboratory, dagster: Conductor, cores: tuple[str, ...]) -> None:
    """Image, read and score ten segments of each core."""
    if not cores:
        return
    image(lab, cores, SEGMENTS, PARTICLES)
    keys = [str(cell_key(core, segment)) for core in cores for segment in SEGMENTS]
    dagster.instance.add_dynamic_partitions(CORE, list(cores))
    dagster.instance.add_dynamic_partitions(SEGMENT, list(SEGMENTS))
    backfill = dagster.launch_backfill(SEGMENT_ASSETS, keys, "a project of a hundred segments")
    with tqdm(total=len(keys), desc="segments before", unit="segment") as bar:

        def tick(done: int) -> None:
            bar.n = done
            bar.refresh()

        dagster.wait_for_backfills([backfill], tick)
    dagster.settle()


def one_more(lab: Laboratory, dagster: Conductor) -> dict[str, float]:
    """Image one more segment and measure what Dagster does with it."""
    image(lab, (NEW_CORE,), (NEW_SEGMENT,), NEW_PARTICLES)
    dagster.instance.add_dynamic_partitions(CORE, [NEW_CORE])
    dagster.instance.add_dynamic_partitions(SEGMENT, [NEW_SEGMENT])
    before = {run.run_id for run in dagster.instance.get_runs()}
    run = dagster.launch_job(process_segment.name, partition={CORE: NEW_CORE, SEGMENT: NEW_SEGMENT})
    dagster.wait_for_runs([run])
    while not dagster.is_made("core_report", NEW_CORE):
        dagster.daemon.require()
        time.sleep(1)
    dagster.settle()
    records = [r for r in dagster.instance.get_run_records() if r.dagster_run.run_id not in before]
    seconds = sum((r.end_time or 0) - (r.start_time or 0) for r in records)
    assert all(r.dagster_run.status is dg.DagsterRunStatus.SUCCESS for r in records), "a run failed"
    tables = [table for asset in SEGMENT_ASSETS for table in lab.store.tables(asset, NEW_CORE)]
    return {"runs": len(records), "rows": sum(map(count_rows, tables)), "seconds": seconds}


def image(lab: Laboratory, cores: tuple[str, ...], segments: tuple[str, ...], particles: int) -> None:
    """Draw one run of each segment into the landing folder."""
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


if __name__ == "__main__":
    main()
