"""Is the simulator real enough? Labelled sets are drawn, learnt from, and held against the study and real particles.

Nothing is fitted to real particles here: they are only named by models that have seen simulated ones alone.
"""

import csv
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from icecore_dagster.flowcam.run import read_run
from icecore_dagster.learning.anomaly.familiarity import ORDINARY_SHARE, learn_familiarity
from icecore_dagster.learning.anomaly.strangers import draw_strangers
from icecore_dagster.learning.metrics import ClassificationMetrics
from icecore_dagster.learning.networks.architectures import architecture_of, run_network
from icecore_dagster.learning.networks.tensors import TensorSet, open_tensors, to_network_input, write_tensors
from icecore_dagster.learning.networks.training import (
    TrainedNetwork,
    TrainingConfig,
    run_on_rows,
    select_rows,
    train_network,
)
from icecore_dagster.learning.realism.difficulty import PUBLISHED, measure_difficulty
from icecore_dagster.learning.trees.boosting import TreesConfig, feature_matrix, train_trees
from icecore_dagster.particles.intake.ingest import UM_PER_PX_AT_20X
from icecore_dagster.particles.intake.labelled import import_labelled, labelled_crops
from icecore_dagster.particles.labels import LABEL_KEYS, TASKS, Task
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.measure import measure_particle
from icecore_dagster.particles.properties import FEATURES
from icecore_dagster.particles.segment import segment_particle
from icecore_dagster.particles.split import TEST, TRAIN, VALIDATION, split_by_run, thin
from icecore_dagster.simulation.laboratory import draw_sample, simulate_labelled, simulated_runs
from icecore_dagster.simulation.population import ANOMALY

COMPARED = ("intensity_grey", "sigma_intensity_grey", "edge_gradient_grey", "sum_intensity_grey")
"""Properties whose distributions the study shows."""
TASK = "seven_class"
NETWORKS = ("A3", "hybrid_strided")
"""The study's network, and the best of ours, whose embedding novelty is judged in. Both learn from images prepared as
those of ours are: turned and mirrored as often as not; the study mirrored one in ten. A real particle has no upper
side: each network is shown it in all eight positions, and the mean of its answers counts."""
TREES, MEAN = "LightGBM", "mean"
"""Columns of what LightGBM says, and of the mean of it and the best network, as the product scores: the image as it
lies, once."""
ANOMALIES = 300
LABELS_FILE = "labels.csv"


@dataclass(frozen=True)
class RealParticle:
    """A real particle of known material.

    Attributes:
        name: its file.
        label: what it is.
        crop: uint8 (h, w).
    """

    name: str
    label: str
    crop: np.ndarray


@dataclass(frozen=True)
class RealismConfig:
    """How much is drawn and learnt.

    Attributes:
        particles: labelled particles a seed.
        seeds: seeds to draw with.
        most_of_label: training particles of each label that the networks learn from at most.
        epochs: passes over them; 0 trains no network.
        sample: particles of each label drawn for pictures and edge profiles.
    """

    particles: int = 60_000
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    most_of_label: int = 4_400
    epochs: int = 8
    sample: int = 240


@dataclass(frozen=True)
class SeedFindings:
    """What one drawn set gave.

    Attributes:
        seed: of the set.
        difficulty: metrics by task, see `difficulty.measure_difficulty`.
        properties: label and the columns `COMPARED` of every particle.
        networks: metrics of each of `NETWORKS` on test runs; empty if none was trained.
        recognised: one row a real particle: name, label, for each of `NETWORKS`, `TREES` and `MEAN` the class named
            (column of that name) and the probability of the true one (p_...), and strangeness; empty without real
            particles or networks.
        anomalies_strange: share of drawn anomalies that are stranger than 99 % of the held-out known particles.
        anomaly_auc: area under the ROC curve of anomalies against held-out known particles by strangeness.
        seconds: wall time.
    """

    seed: int
    difficulty: dict[str, ClassificationMetrics]
    properties: pd.DataFrame
    networks: dict[str, ClassificationMetrics]
    recognised: pd.DataFrame
    anomalies_strange: float
    anomaly_auc: float
    seconds: float


@dataclass(frozen=True)
class Sample:
    """A drawn particle to look at: its crop, uint8 (h, w), and its depth relative to the plane of focus, um."""

    crop: np.ndarray
    defocus_um: float


@dataclass(frozen=True)
class RealismFindings:
    """Everything that the page about the simulator shows.

    Attributes:
        config: how much was drawn.
        seeds: what each drawn set gave.
        samples: drawn particles by label, and by `population.ANOMALY`.
        real: real particles; empty where none were given.
    """

    config: RealismConfig
    seeds: tuple[SeedFindings, ...]
    samples: dict[str, list[Sample]]
    real: tuple[RealParticle, ...]


def read_real_particles(folder: Path) -> tuple[RealParticle, ...]:
    """Real particles of known material: images and a table of their labels.

    Args:
        folder: holds one image a particle and `labels.csv` with the columns image and label.

    Raises:
        FileNotFoundError: there is no such folder or table.
        ValueError: the table lacks a column, or names an unknown label or an absent image.
    """
    table = folder / LABELS_FILE
    if not table.is_file():
        raise FileNotFoundError(f"{table} is missing: name each image and its label in it (columns image, label)")
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    run = read_run(folder)
    crops = {str(run.particles["Image File"].iloc[i]): crop for i, crop, _ in run.iter_crops()}
    real = []
    for line, row in enumerate(rows, start=2):
        name, label = row.get("image", ""), row.get("label", "")
        if name not in crops:
            raise ValueError(f"{table}, line {line}: there is no image {name!r} in the folder; correct its name")
        if label not in LABEL_KEYS:
            raise ValueError(f"{table}, line {line}: unknown label {label!r}; use one of {', '.join(LABEL_KEYS)}")
        real.append(RealParticle(name, label, crops[name]))
    return tuple(real)


def validate_simulator(work: Path, config: RealismConfig, real: tuple[RealParticle, ...] = ()) -> RealismFindings:
    """Draw labelled sets, learn from each, and measure how like the study's and how like real particles they are.

    Args:
        work: folder for the drawn sets; a set that stands there already is used again.
        config: how much to draw and learn.
        real: real particles to be named.

    Returns:
        What was found.
    """
    samples = {
        label: [Sample(f.capture.crop, f.candidate.defocus_um) for f in draw_sample(label, config.sample, seed=1)]
        for label in (*LABEL_KEYS, ANOMALY)
    }
    one = partial(_one_seed, work, config, real)
    found = []
    with tqdm(total=len(config.seeds), desc="drawn sets learnt from", unit="set") as bar:
        for of_seed in _side_by_side(one, config.seeds):
            found.append(of_seed)
            tqdm.write(_in_words(of_seed))
            bar.update()
    return RealismFindings(config, tuple(found), samples, real)


def _side_by_side(one: Callable[[int], SeedFindings], seeds: tuple[int, ...]) -> Iterator[SeedFindings]:
    """What each seed gave, in their order: as many at once as there are processors, each a process of one thread.

    Small networks learn half as fast again in two processes of a thread as in one of two (two cores).
    """
    workers = min(os.cpu_count() or 1, len(seeds))
    if workers == 1:
        yield from map(one, seeds)
        return
    # Fresh interpreters: the caller may hold threads, which a fork would not survive.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(one, seeds)


def _in_words(found: SeedFindings) -> str:
    """What a seed gave, in one line."""
    said = [f"{task} accuracy {metrics.accuracy:.3f}" for task, metrics in found.difficulty.items()]
    said += [f"{name} on drawn test runs {metrics.balanced_accuracy:.3f}" for name, metrics in found.networks.items()]
    if len(found.recognised):
        named = found.recognised
        right = [f"{name} {(named[name] == named['label']).sum()}" for name in (*NETWORKS, TREES, MEAN)]
        said.append(f"real ones named rightly by {', '.join(right)}")
    return f"seed {found.seed}: {', '.join(said)} ({found.seconds:.0f} s)"


def _one_seed(work: Path, config: RealismConfig, real: tuple[RealParticle, ...], seed: int) -> SeedFindings:
    began = time.monotonic()
    lab = Laboratory.at(work / f"seed_{seed}")
    alone = len(config.seeds) == 1
    threads = None if alone else 1
    simulate_labelled(
        lab.labelled, particles=config.particles, seed=seed, processes=None if alone else 1, progress=alone
    )
    particles = import_labelled(lab, simulated_runs(lab.labelled)).particles
    difficulty = {task: measure_difficulty(particles, TASKS[task], seed, threads) for task in PUBLISHED}
    learnt = _learn_and_name(lab, particles, seed, config, real, threads) if config.epochs else _Learnt()
    return SeedFindings(
        seed=seed,
        difficulty=difficulty,
        properties=particles[["label", *COMPARED]],
        networks=learnt.networks,
        recognised=learnt.recognised,
        anomalies_strange=learnt.anomalies_strange,
        anomaly_auc=learnt.anomaly_auc,
        seconds=time.monotonic() - began,
    )


@dataclass(frozen=True)
class _Learnt:
    networks: dict[str, ClassificationMetrics] = field(default_factory=dict)
    recognised: pd.DataFrame = field(default_factory=pd.DataFrame)
    anomalies_strange: float = float("nan")
    anomaly_auc: float = float("nan")


def _learn_and_name(
    lab: Laboratory,
    particles: pd.DataFrame,
    seed: int,
    config: RealismConfig,
    real: tuple[RealParticle, ...],
    threads: int | None,
) -> _Learnt:
    """Train on the drawn particles, name the real ones, and see whether drawn anomalies stand out."""
    from sklearn.metrics import roc_auc_score

    task, labels, sides = TASKS[TASK], particles["label"], split_by_run(particles, seed=seed)
    tensors, properties = _tensors(lab, particles), feature_matrix(particles, FEATURES)
    training = TrainingConfig(epochs=config.epochs, seed=seed, threads=threads)
    most = {TRAIN: config.most_of_label, VALIDATION: config.most_of_label // 5, TEST: config.most_of_label // 5}
    few = thin(particles, sides, most)
    transform = architecture_of(NETWORKS[-1]).transform
    trained = {
        name: train_network(tensors, labels, few, task, name, training, particles["run"], properties, transform)
        for name in NETWORKS
    }
    trees = train_trees(particles, labels, sides, task, TreesConfig(balanced=True, seed=seed, threads=threads or 0))
    best, rows = trained[NETWORKS[-1]], select_rows(labels, few, task)
    network = best.network()

    def embeddings(of: np.ndarray) -> np.ndarray:
        return run_on_rows(network, tensors, of, best.transform, properties).embeddings

    held_out = np.concatenate([rows.validation, rows.test])
    familiar = learn_familiarity(
        embeddings(rows.train),
        rows.targets[rows.train],
        embeddings(held_out),
        properties[rows.train],
        properties[held_out],
    )
    strangers = draw_strangers(ANOMALIES, seed)
    measured = feature_matrix(strangers.properties, FEATURES)
    strange_seen = run_network(network, strangers.images, best.transform, measured).embeddings
    distances = familiar.distance(strange_seen, measured)
    known = np.zeros(len(familiar.held_out), bool)
    auc = roc_auc_score(
        np.concatenate([known, np.ones(len(distances), bool)]), np.concatenate([familiar.held_out, distances])
    )
    recognised = pd.DataFrame()
    if real:
        images = np.stack([to_network_input(particle.crop) for particle in real])
        table = _measured(real)
        of_real = feature_matrix(table, FEATURES)
        seen = run_network(network, images, best.transform, of_real)
        said = {name: _in_all_positions(one, images, of_real) for name, one in trained.items()}
        said[TREES] = np.asarray(trees.booster().predict(feature_matrix(table, trees.features)))
        said[MEAN] = (seen.probabilities + said[TREES]) / 2
        recognised = _named(real, task, said, familiar.strangeness(seen.embeddings, of_real))
    strange = familiar.strangeness(strange_seen, measured) > ORDINARY_SHARE
    return _Learnt({name: one.test for name, one in trained.items()}, recognised, float(strange.mean()), auc)


def _in_all_positions(trained: TrainedNetwork, images: np.ndarray, properties: np.ndarray) -> np.ndarray:
    """Probabilities (n, classes), the mean over the eight ways to turn and mirror square images (n, size, size)."""
    network = trained.network()
    turned = [np.rot90(images, quarters, axes=(1, 2)) for quarters in range(4)]
    ways = [np.ascontiguousarray(way) for one in turned for way in (one, one[:, :, ::-1])]
    answers = [run_network(network, way, trained.transform, properties).probabilities for way in ways]
    return np.mean(answers, axis=0)


def _tensors(lab: Laboratory, particles: pd.DataFrame) -> TensorSet:
    """The drawn particles' images, in the table's order."""
    folder = lab.data / "tensors"
    crops = (crop for _, crop in labelled_crops(lab, set(particles["run"])))
    write_tensors(folder, crops, particles["particle_id"].tolist(), source="drawn")
    return open_tensors(folder)


def _measured(real: tuple[RealParticle, ...]) -> pd.DataFrame:
    """Properties of real particles, measured from their crops as those of the 20x objective."""
    return pd.DataFrame(
        [measure_particle(particle.crop, segment_particle(particle.crop), UM_PER_PX_AT_20X) for particle in real]
    )


def _named(
    real: tuple[RealParticle, ...], task: Task, probabilities: dict[str, np.ndarray], strangeness: np.ndarray
) -> pd.DataFrame:
    """One row a real particle: what each model calls it, and how sure of the truth it is."""
    table = pd.DataFrame({"name": [p.name for p in real], "label": [p.label for p in real]})
    truth = [task.classes.index(particle.label) for particle in real]
    for name, values in probabilities.items():
        table[name] = [task.classes[i] for i in values.argmax(axis=1)]
        table[f"p_{name}"] = values[np.arange(len(real)), truth]
    return table.assign(strangeness=strangeness)
