"""The laboratory that never was: labelled runs and ice runs, drawn in parallel, resumed where they stopped.

A run is drawn under a hidden name and renamed when it is complete. What was drawn, and from which parameters, stands in
a hidden folder `.simulated` beside the runs: a run folder holds nothing that the instrument would not have written.
"""

import json
import logging
import multiprocessing
import os
import shutil
import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from icecore_dagster.simulation.drawing import Found, find_particles
from icecore_dagster.simulation.instrument import Camera, draw_conditions
from icecore_dagster.simulation.plans import RunPlan, plan_ice, plan_labelled
from icecore_dagster.simulation.writer.run_folder import RunWriter

log = logging.getLogger(__name__)

SIMULATOR_VERSION = 15
"""Raised whenever the same seed gives other bytes; runs of another version are drawn again."""
GRIP_CORES = ("GRIP_3046", "GRIP_3136", "GRIP_3303", "GRIP_3306")
"""The four cores of the study."""
GRIP_SEGMENTS = ("0_20", "20_40", "40_55")
"""A 55-cm bag in three pieces, cm."""
MARKERS = ".simulated"
"""Folder beside drawn runs that says which were drawn, and from what."""


class SimulationError(OSError):
    """A run cannot be drawn where it was asked for."""


def simulate_labelled(
    folder: Path, *, particles: int, seed: int, processes: int | None = None, progress: bool = True
) -> list[Path]:
    """Draw runs of known material: dust, two tephra, three pollen and contamination.

    Args:
        folder: where the run folders go, such as `camp_11nov_1_fc80_20x`; made if absent.
        particles: number of particles in all; each class gets its share and at least four runs.
        seed: the same seed gives the same bytes, whatever the number of processes.
        processes: processes to draw with; one a processor if None.
        progress: show a progress bar.

    Returns:
        The run folders, by class and number. Runs that already stand complete are kept.

    Raises:
        ValueError: too few particles to give every run one.
        SimulationError: a folder of a run's name stands there that was not simulated.
    """
    return _simulate(Path(folder), plan_labelled(particles, seed), None, processes, progress, "labelled particles")


def simulate_ice(
    folder: Path,
    *,
    truth_folder: Path,
    cores: Sequence[str] = GRIP_CORES,
    segments: Sequence[str] = GRIP_SEGMENTS,
    replicates: int = 2,
    particles_per_run: int = 850,
    seed: int,
    processes: int | None = None,
    progress: bool = True,
) -> list[Path]:
    """Draw runs of melted ice: nearly all dust, with some contamination, ash, pollen and things no class covers.

    Args:
        folder: where the run folders go, such as `GRIP_3046_0_20_1`; made if absent.
        truth_folder: where `<run>.parquet` goes: run, particle_number, label, kind, diameter_um, defocus_um of each
            particle. The label is one of the laboratory's or "anomaly".
        cores: names of cores.
        segments: pieces of each core, `<from cm>_<to cm>`.
        replicates: measurements of each piece; they share the true concentrations, counts are Poisson.
        particles_per_run: mean number of particles found in a run.
        seed: the same seed gives the same bytes, whatever the number of processes.
        processes: processes to draw with; one a processor if None.
        progress: show a progress bar.

    Returns:
        The run folders, by core, segment and replicate. Runs that already stand complete are kept.

    Raises:
        ValueError: less than one replicate or particle a run.
        SimulationError: a folder of a run's name stands there that was not simulated.
    """
    plans = plan_ice(cores, segments, replicates, particles_per_run, seed)
    return _simulate(Path(folder), plans, Path(truth_folder), processes, progress, "ice particles")


def draw_sample(label: str, count: int, seed: int, *, runs: int = 12) -> list[Found]:
    """Draw particles of one material in memory, as so many runs under conditions of their own would have found them.

    Args:
        label: one of the laboratory's labels, or `population.ANOMALY`.
        count: how many.
        seed: the same seed gives the same particles.
        runs: how many runs share them.

    Returns:
        The particles with what they really are, run by run.
    """
    bounds = np.linspace(0, count, runs + 1).round().astype(int)
    found: list[Found] = []
    for run, of_run in enumerate(np.diff(bounds)):
        sequence = np.random.SeedSequence(seed, spawn_key=(zlib.crc32(label.encode()), run))
        rng = np.random.default_rng(sequence)
        camera = Camera(draw_conditions(rng), rng)
        labels = [label] * int(of_run)
        found += find_particles(labels, camera, sequence, in_ice=False, size_scale=_size_scale(rng))
    return found


def simulated_runs(folder: Path) -> set[str]:
    """Names of the runs in a folder that this simulator has drawn.

    Args:
        folder: a folder of runs; it may be absent.

    Returns:
        The names of those that stand complete.
    """
    return {marker.stem for marker in (Path(folder) / MARKERS).glob("*.json") if (Path(folder) / marker.stem).is_dir()}


def _simulate(
    folder: Path, plans: list[RunPlan], truth: Path | None, processes: int | None, progress: bool, what: str
) -> list[Path]:
    missing = [plan for plan in plans if not _stands(folder, plan, truth)]
    for plan in missing:
        if (folder / plan.name).exists() and not _marker(folder, plan).exists():
            raise SimulationError(
                f"{folder / plan.name}: a run of this name stands here that was not simulated; "
                "simulate into another folder or move it away"
            )
    (folder / MARKERS).mkdir(parents=True, exist_ok=True)
    if truth is not None:
        truth.mkdir(parents=True, exist_ok=True)
    # The largest first, so that no process is left with a long run at the end.
    missing.sort(key=lambda plan: -plan.particles)
    kept = sum(plan.particles for plan in plans) - sum(plan.particles for plan in missing)
    with tqdm(
        total=kept + sum(p.particles for p in missing), initial=kept, desc=f"drawing {what}", disable=not progress
    ) as bar:
        for drawn in _in_parallel(partial(_draw_run, folder, truth), missing, processes):
            bar.update(drawn)
    log.info("%s: %d runs drawn, %d kept, in %s", what, len(missing), len(plans) - len(missing), folder)
    return [folder / plan.name for plan in plans]


def _in_parallel(draw: Callable[[RunPlan], int], plans: list[RunPlan], processes: int | None) -> Iterable[int]:
    workers = min(processes or os.cpu_count() or 1, len(plans))
    if workers <= 1:
        yield from map(draw, plans)
        return
    # Fresh interpreters: the caller may hold threads (Dagster does), which a fork would not survive.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        futures = [pool.submit(draw, plan) for plan in plans]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _draw_run(folder: Path, truth: Path | None, plan: RunPlan) -> int:
    """Draw one run and put it in place; returns the number of its particles."""
    partial_folder = folder / f".{plan.name}.partial"
    shutil.rmtree(partial_folder, ignore_errors=True)
    partial_folder.mkdir(parents=True)
    rng = np.random.default_rng(plan.seed_sequence(purpose=0))
    camera = Camera(draw_conditions(rng), rng)
    size_scale = _size_scale(rng)
    labels = rng.permutation([label for label, count in plan.counts for _ in range(count)]).tolist()
    rows = []
    with RunWriter(partial_folder, plan, camera, np.random.default_rng(plan.seed_sequence(purpose=2))) as writer:
        for found in find_particles(
            labels, camera, plan.seed_sequence(purpose=1), in_ice=plan.in_ice, size_scale=size_scale
        ):
            number = writer.add(found.capture)
            candidate = found.candidate
            rows.append((number, candidate.label, candidate.specimen.kind, candidate.diameter_um, candidate.defocus_um))
    if truth is not None:
        _write_truth(truth / f"{plan.name}.parquet", plan.name, rows)
    _put_in_place(folder, plan, partial_folder)
    return plan.particles


def _size_scale(rng: np.random.Generator) -> float:
    """Factor of a run on the sizes of broken material: grinding and sieving differ a little."""
    return float(rng.lognormal(0, 0.08))


def _write_truth(path: Path, run: str, rows: list[tuple[int, str, str, float, float]]) -> None:
    table = pd.DataFrame(rows, columns=["particle_number", "label", "kind", "diameter_um", "defocus_um"])
    table.insert(0, "run", pd.Series([run] * len(table), dtype="str"))
    hidden = path.with_name(f".{path.name}.partial")
    table.to_parquet(hidden, index=False)
    hidden.replace(path)


def _put_in_place(folder: Path, plan: RunPlan, partial_folder: Path) -> None:
    """Write the marker, then rename: a marker without its run only means that the run is drawn again."""
    marker = _marker(folder, plan)
    hidden = marker.with_name(f".{marker.name}.partial")
    hidden.write_text(json.dumps({**_identity(plan), "files": _sizes(partial_folder)}, indent=1), encoding="utf-8")
    hidden.replace(marker)
    final, outdated = folder / plan.name, folder / f".{plan.name}.outdated"
    shutil.rmtree(outdated, ignore_errors=True)
    if final.exists():
        final.rename(outdated)
    partial_folder.rename(final)
    shutil.rmtree(outdated, ignore_errors=True)


def _stands(folder: Path, plan: RunPlan, truth: Path | None) -> bool:
    """Whether the run stands complete, drawn by this simulator from the same parameters."""
    marker, final = _marker(folder, plan), folder / plan.name
    if not marker.exists() or not final.is_dir():
        return False
    if truth is not None and not (truth / f"{plan.name}.parquet").exists():
        return False
    written = json.loads(marker.read_text(encoding="utf-8"))
    return written == json.loads(json.dumps({**_identity(plan), "files": _sizes(final)}))


def _identity(plan: RunPlan) -> dict[str, object]:
    return {"simulator_version": SIMULATOR_VERSION, "parameters": plan.parameters()}


def _sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in sorted(folder.iterdir())}


def _marker(folder: Path, plan: RunPlan) -> Path:
    return folder / MARKERS / f"{plan.name}.json"
