"""Reading and scoring a core again: one Dagster backfill over the segments that were imaged."""

from tqdm import tqdm

from icecore_dagster.flowcam.landing import RunNameError, find_runs, parse_run_name
from icecore_dagster.orchestration.conducting.conductor import OrchestrationError, conductor
from icecore_dagster.orchestration.jobs import CORE_ASSETS, SEGMENT_ASSETS
from icecore_dagster.orchestration.partitions import CORE, SEGMENT, cell_key
from icecore_dagster.particles.laboratory import Laboratory


def imaged_segments(lab: Laboratory, core: str) -> list[str]:
    """The segments of a core that have a run in the landing folder."""
    found = set()
    for source in find_runs(lab.landing):
        try:
            name = parse_run_name(source.name)
        except RunNameError:
            continue
        if name.core == core:
            found.add(name.segment)
    return sorted(found)


def backfill_core(lab: Laboratory, core: str) -> list[str]:
    """Materialise every segment asset of one core, then its report, and wait until that is done.

    Returns:
        The segments that were processed.

    Raises:
        OrchestrationError: no run of the core is in the landing folder, or a run failed.
    """
    imaged = imaged_segments(lab, core)
    if not imaged:
        raise OrchestrationError(f"no run of {core} is in {lab.landing}; runs are named {core}_<from>_<to>_<replicate>")
    with conductor(lab) as dagster:
        dagster.instance.add_dynamic_partitions(CORE, [core])
        dagster.instance.add_dynamic_partitions(SEGMENT, imaged)
        keys = [str(cell_key(core, segment)) for segment in imaged]
        backfill = dagster.launch_backfill(SEGMENT_ASSETS, keys, f"read and score {core} again")
        with tqdm(total=len(keys), desc=core, unit="segment") as bar:

            def show(done: int) -> None:
                bar.n = done
                bar.refresh()

            dagster.wait_for_backfills([backfill], show)
        dagster.settle()  # what the automation conditions have begun by themselves
        dagster.wait_for_backfills([dagster.launch_backfill(CORE_ASSETS, [core], f"report on {core} again")])
    return imaged
