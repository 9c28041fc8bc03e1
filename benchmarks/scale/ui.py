"""How long Dagster lets people wait with 300 segments registered, beside ten: its pages, and a look of its automation.

Nothing is read or scored here: that each segment was made is written into Dagster's records, which are all that its
pages and its automation look at.
"""

import argparse
import contextlib
import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import requests
from tqdm import tqdm

from benchmarks.measure import show
from benchmarks.page import UI, write_page
from benchmarks.rows import machine
from icecore_dagster.definitions import defs
from icecore_dagster.orchestration.conducting.conductor import MODULE, prepare_home
from icecore_dagster.orchestration.jobs import CORE_ASSETS, SEGMENT_ASSETS
from icecore_dagster.orchestration.partitions import CORE, SEGMENT, cell_key
from icecore_dagster.particles.laboratory import Laboratory

CORES = 10
SEGMENTS = (1, 30)
"""Of each core, in the small project and in the large one."""
REPEATS = 7
_START_SECONDS = 120
_PAGES = {
    "assets, with what is made of each": """{ assetNodes {
        assetKey { path } groupName dependencyKeys { path } partitionStats { numMaterialized numFailed numPartitions }
        assetMaterializations(limit: 1) { timestamp runId partition }
    } }""",
    "matrix of cores by segments": """{ assetNodeOrError(assetKey: {path: ["segment_predictions"]}) { ... on AssetNode {
        partitionKeysByDimension { name partitionKeys }
        assetPartitionStatuses { ... on MultiPartitionStatuses { primaryDimensionName ranges {
            primaryDimStartKey primaryDimEndKey secondaryDim { ... on DefaultPartitionStatuses {
                materializedPartitions materializingPartitions failedPartitions unmaterializedPartitions } } } } }
    } } }""",
    "history of an asset": """{ assetOrError(assetKey: {path: ["segment_predictions"]}) { ... on Asset {
        assetMaterializations(limit: 100) { timestamp runId partition }
    } } }""",
}
"""What Dagster's pages show of a project, and the request for it."""


def main() -> None:
    """Measure a small project and a large one, print and keep what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="empty folder for two laboratories")
    folder = parser.parse_args().folder
    rows = []
    for segments in tqdm(SEGMENTS, desc="projects", unit="project"):
        lab = Laboratory.at(folder / str(segments))
        environment = prepare_home(lab)
        with dg.DagsterInstance.get() as instance:
            register(instance, segments)
            waits = {"one look of the automation": look(instance)}
        with webserver(environment) as address:
            waits |= {page: wait(address, request) for page, request in _PAGES.items()}
        rows += [{"segments": CORES * segments, "what": what, **found} for what, found in waits.items()]
    rows.sort(key=lambda row: row["what"])
    UI.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n", encoding="utf-8")
    show(rows, "seconds until Dagster answers")
    print(f"the same with figures: {write_page()}")


def register(instance: dg.DagsterInstance, segments: int) -> None:
    """Record so many segments of each core, and their cores, as read, scored and reported."""
    cores = [f"GRIP_{3000 + number}" for number in range(CORES)]
    spans = [f"{5 * number}_{5 * number + 5}" for number in range(segments)]
    instance.add_dynamic_partitions(CORE, cores)
    instance.add_dynamic_partitions(SEGMENT, spans)
    made = [(asset, str(cell_key(core, span))) for core in cores for span in spans for asset in SEGMENT_ASSETS]
    made += [(asset, core) for core in cores for asset in CORE_ASSETS]
    for asset, partition in tqdm(made, desc="recording", unit="asset", leave=False):
        instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=partition))


def look(instance: dg.DagsterInstance) -> dict[str, float]:
    """Seconds in which the automation finds nothing to do; the first look, which learns what there is, apart.

    Raises:
        RuntimeError: it asked for something, though everything is made.
    """
    cursor = dg.evaluate_automation_conditions(defs, instance).cursor
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        found = dg.evaluate_automation_conditions(defs, instance, cursor=cursor)
        seconds.append(time.perf_counter() - began)
        if found.total_requested:
            raise RuntimeError(f"the automation asked for {found.total_requested} partitions that are made already")
        cursor = found.cursor
    return _summary(seconds)


def wait(address: str, request: str) -> dict[str, float]:
    """Seconds from a request to its whole answer.

    Raises:
        RuntimeError: Dagster did not understand it.
    """
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        answer = requests.post(f"{address}/graphql", json={"query": request}, timeout=_START_SECONDS).json()
        seconds.append(time.perf_counter() - began)
        if "errors" in answer:
            raise RuntimeError(f"{request}: {answer['errors']}")
    return _summary(seconds)


def _summary(seconds: list[float]) -> dict[str, float]:
    return {"median (s)": statistics.median(seconds), "longest (s)": max(seconds)}


@contextlib.contextmanager
def webserver(environment: dict[str, str]) -> Iterator[str]:
    """Dagster's own webserver on a free port, until it is left; yields its address.

    Raises:
        RuntimeError: it did not start.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "dagster_webserver", "-m", MODULE, "-h", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        began = time.monotonic()
        while not _answers(address):
            if process.poll() is not None or time.monotonic() > began + _START_SECONDS:
                raise RuntimeError(f"Dagster's webserver did not start: {' '.join(command)}")
            time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait()


def _answers(address: str) -> bool:
    try:
        return requests.get(f"{address}/server_info", timeout=5).ok
    except requests.ConnectionError:
        return False


if __name__ == "__main__":
    main()
