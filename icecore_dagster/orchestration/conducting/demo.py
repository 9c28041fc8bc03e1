"""The demonstration: a small simulated laboratory, taken through Dagster's own queue from run folders to reports.

Every stage is skipped when its result is there already, so that a demonstration that was interrupted goes on.
"""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import dagster as dg
from tqdm import tqdm

from icecore_dagster.orchestration.conducting.conductor import Conductor, OrchestrationError, conductor
from icecore_dagster.orchestration.jobs import (
    CORE_ASSETS,
    LABELLED_ASSETS,
    SEGMENT_ASSETS,
    map_ice,
    map_labelled,
    prepare_labelled,
    rank_networks,
    train_autoencoder,
    train_dense,
    train_forest,
    train_network,
    train_siamese,
    train_trees,
)
from icecore_dagster.orchestration.partitions import SCORED_BY
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.simulation.laboratory import simulate_ice, simulate_labelled


@dataclass(frozen=True)
class Training:
    """One more model that the demonstration trains, small.

    Args:
        job: that trains it.
        asset: that it is.
        config: of the asset, where it differs from the default.
        partition: of the asset; a key by dimension where it has two.
    """

    job: str
    asset: str
    config: Mapping[str, object]
    partition: str | Mapping[str, str] | None = None

    @property
    def key(self) -> str | None:
        """The partition as Dagster writes it."""
        if isinstance(self.partition, Mapping):
            return str(dg.MultiPartitionKey(dict(self.partition)))
        return self.partition


_OTHER_METHODS = (
    Training(train_autoencoder.name, "autoencoder", {"epochs": 6}, "convolutional"),
    Training(train_dense.name, "dense_model", {"epochs": 20}, {"features": SCORED_BY.features, "task": "six_class"}),
    Training(train_siamese.name, "siamese_model", {"epochs": 1, "episodes": 40}),
)


@dataclass(frozen=True)
class DemoSize:
    """How much is drawn for the demonstration.

    Args:
        labelled: labelled particles, all classes together.
        cores: names of the simulated cores.
        segments: depth ranges in cm of each core.
        replicates: repeated measurements of each segment.
        per_run: mean particles in one run.
        epochs: passes over the training images by task, enough for the quality gate; the asset's own default is more.
            Only the tasks that are named here are trained.
        methods: what else is trained, to be looked at.
        mapped: labelled particles on the map.
        seed: the same seed draws the same particles.
    """

    labelled: int = 4_000
    cores: tuple[str, ...] = ("GRIP_3046", "GRIP_3136", "GRIP_3303", "GRIP_3306")
    segments: tuple[str, ...] = ("0_20", "20_40", "40_55")
    replicates: int = 2
    per_run: int = 500
    epochs: Mapping[str, int] = field(
        default_factory=lambda: {"three_class": 2, "six_class": 2, "pollen": 4, "seven_class": 4}
    )
    methods: tuple[Training, ...] = _OTHER_METHODS
    mapped: int = 1_200
    seed: int = 2021

    @property
    def cells(self) -> list[str]:
        """Partition keys of the segments, as Dagster writes them."""
        return [f"{core}|{segment}" for core in self.cores for segment in self.segments]


def run_demo(lab: Laboratory, size: DemoSize) -> dict[str, float]:
    """Draw the laboratory, train, score and report, through Dagster.

    Returns:
        Seconds spent in each stage, and in all.

    Raises:
        OrchestrationError: a run failed, or results that Dagster knows of are gone; the message says which and why.
    """
    seconds: dict[str, float] = {}
    began = time.monotonic()
    draw = functools.partial(simulate_labelled, lab.labelled, particles=size.labelled, seed=size.seed)
    _timed(seconds, "draw labelled runs", draw)
    with conductor(lab) as dagster:
        dagster.settle()  # what an interrupted demonstration had queued
        require_results(lab, dagster)
        _timed(seconds, "read labelled runs", lambda: _run_if_missing(dagster, prepare_labelled.name, LABELLED_ASSETS))
        _timed(seconds, "train", lambda: _train(dagster, size))
        _timed(seconds, "draw ice runs", lambda: _draw_ice(lab, size))
        cells = [(name, cell) for cell in size.cells for name in SEGMENT_ASSETS]
        _timed(seconds, "read and score", lambda: _await(dagster, cells, "segments"))
        _timed(seconds, "report and map", lambda: _report(dagster, size))
    seconds["in all"] = time.monotonic() - began
    return seconds


def require_results(lab: Laboratory, dagster: Conductor) -> None:
    """Make sure that the labelled particles are there if Dagster's records say that they have been made.

    Raises:
        OrchestrationError: they are not: somebody has deleted the results and left the records.
    """
    first = LABELLED_ASSETS[0]
    if dagster.is_made(first) and not lab.store.table(first).exists():
        raise OrchestrationError(
            f"{lab.store.table(first)} is missing, though Dagster's records in {lab.dagster_home} say that it has been "
            "made; delete that folder too, and the demonstration makes everything anew"
        )


def _timed(seconds: dict[str, float], stage: str, work: Callable[[], object]) -> None:
    began = time.monotonic()
    work()
    seconds[stage] = time.monotonic() - began


def _draw_ice(lab: Laboratory, size: DemoSize) -> None:
    simulate_ice(
        lab.landing,
        truth_folder=lab.truth,
        cores=size.cores,
        segments=size.segments,
        replicates=size.replicates,
        particles_per_run=size.per_run,
        seed=size.seed,
    )


def _launch_if_missing(
    dagster: Conductor, job: str, assets: Sequence[str], config: Mapping[str, int] | None = None, priority: int = 0
) -> list[str]:
    """Queue a job if one of its assets is not made yet; the run's id, or nothing. `config` is for the first asset."""
    if all(dagster.is_made(name) for name in assets):
        return []
    of_asset = {"ops": {assets[0]: {"config": dict(config)}}} if config else None
    return [dagster.launch_job(job, config=of_asset, priority=priority)]


def _run_if_missing(dagster: Conductor, job: str, assets: Sequence[str]) -> None:
    runs = _launch_if_missing(dagster, job, assets)
    if runs:
        with tqdm(total=1, desc=job, unit="run", bar_format=_WAITING) as bar:
            dagster.wait_for_runs(runs, functools.partial(_show, bar))


def _train(dagster: Conductor, size: DemoSize) -> None:
    """Train the scoring network and LightGBM for each task, the forest and the other methods; then map."""
    forest = _launch_if_missing(dagster, train_forest.name, ("isolation_forest",))
    scoring = _launch_network_if_missing(dagster, SCORED_BY.task, size.epochs[SCORED_BY.task])
    others = [task for task in size.epochs if task != SCORED_BY.task]
    rest = [run for task in others for run in _launch_network_if_missing(dagster, task, size.epochs[task])]
    for task in size.epochs:
        key = {"features": SCORED_BY.features, "task": task}
        if not dagster.is_made("lightgbm_model", str(dg.MultiPartitionKey(key))):
            rest.append(dagster.launch_job(train_trees.name, partition=key))
    for method in size.methods:
        if not dagster.is_made(method.asset, method.key):
            config = {"ops": {method.asset: {"config": dict(method.config)}}}
            rest.append(dagster.launch_job(method.job, partition=method.partition, config=config))
    with tqdm(total=len(forest + scoring + rest), desc="models", unit="model", bar_format=_WAITING) as bar:
        dagster.wait_for_runs(forest + scoring, functools.partial(_show, bar))
        # The map needs the scoring network and the forest alone: it is fitted beside the other trainings.
        mapped = _launch_if_missing(dagster, map_labelled.name, ("synthetic_umap",), {"most": size.mapped}, priority=1)
        dagster.wait_for_runs(forest + scoring + rest, functools.partial(_show, bar))
    dagster.wait_for_runs(mapped)


def _launch_network_if_missing(dagster: Conductor, task: str, epochs: int) -> list[str]:
    key = {"architecture": SCORED_BY.architecture, "task": task}
    if dagster.is_made("cnn_model", str(dg.MultiPartitionKey(key))):
        return []
    config = {"ops": {"cnn_model": {"config": {"epochs": epochs}}}}
    return [dagster.launch_job(train_network.name, partition=key, config=config)]


def _report(dagster: Conductor, size: DemoSize) -> None:
    """Map the ice and compare the networks while the cores' reports are being made."""
    mapped = _launch_if_missing(dagster, map_ice.name, ("ice_umap",))
    mapped += _launch_if_missing(dagster, rank_networks.name, ("network_leaderboard",))
    _await(dagster, [(name, core) for core in size.cores for name in CORE_ASSETS], "reports")
    dagster.wait_for_runs(mapped)


def _await(dagster: Conductor, wanted: Sequence[tuple[str, str]], what: str) -> None:
    """Wait until the landing sensor and the automation conditions have made what is wanted (asset and partition)."""
    with tqdm(total=len(wanted), desc=what, unit="asset", bar_format=_WAITING) as bar:
        watch = Watch()
        while (done := sum(dagster.is_made(name, key) for name, key in wanted)) < len(wanted):
            _show(bar, done)
            watch.check(done, dagster)
            dagster.daemon.require()
            time.sleep(2)
        _show(bar, done)


class Watch:
    """Gives up when nothing has happened for too long, or when a run has failed."""

    def __init__(self, seconds: float = 240) -> None:
        self._seconds, self._last, self._since = seconds, -1, time.monotonic()
        self._began = time.time()

    def check(self, done: int, dagster: Conductor) -> None:
        """Note how much is done.

        Raises:
            OrchestrationError: a run failed since the wait began, or no progress was made for too long.
        """
        failed = dagster.failures_since(self._began)
        if failed:
            raise OrchestrationError("; ".join(f"{run.job_name}: {dagster.why(run.run_id)}" for run in failed[:3]))
        if done != self._last or dagster.is_busy():
            self._last, self._since = done, time.monotonic()
        elif time.monotonic() - self._since > self._seconds:
            raise OrchestrationError(
                f"nothing has happened for {self._seconds:.0f} s; look at the sensors' ticks in the UI (`icecore ui`)"
            )


def _show(bar: tqdm, done: int) -> None:
    bar.n = done
    bar.refresh()


_WAITING = "{desc:<22} |{bar:24}| {n_fmt}/{total_fmt} [{elapsed}]"
