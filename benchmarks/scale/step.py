"""One step of `benchmarks.scale.growth` in a process of its own: materialises assets, says what that took."""

import json
import sys
import time

import dagster as dg

from benchmarks.rows import most_memory_mb
from icecore_dagster.definitions import defs
from icecore_dagster.orchestration.jobs import CORE_ASSETS
from icecore_dagster.orchestration.partitions import CORE, SEGMENT, cell_key


def main(core: str, segment: str, *assets: str) -> None:
    """Materialise assets of a segment, or of its core, with their checks."""
    keys = [dg.AssetKey(asset) for asset in assets]
    partition = core if set(assets) <= set(CORE_ASSETS) else str(cell_key(core, segment))
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(CORE, [core])
        instance.add_dynamic_partitions(SEGMENT, [segment])
        job = defs.resolve_implicit_global_asset_job_def()
        began = time.perf_counter()
        job.execute_in_process(instance=instance, partition_key=partition, asset_selection=keys, raise_on_error=True)
        seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "rss_mb": most_memory_mb()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
