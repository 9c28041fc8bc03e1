"""One training loop for every image network: Adam, cross-entropy, early stopping, the best averaged weights kept."""

import logging
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
import pandas as pd

from icecore_dagster.learning.metrics import ClassificationMetrics, evaluate
from icecore_dagster.learning.networks.architectures import NetworkOutput, architecture_of, build_network, run_network
from icecore_dagster.learning.networks.tensors import TensorSet
from icecore_dagster.learning.networks.transforms import TransformSpec, augment
from icecore_dagster.particles.labels import Task
from icecore_dagster.particles.split import TEST, TRAIN, VALIDATION

if TYPE_CHECKING:
    import torch

    from icecore_dagster.learning.networks.modules import ParticleNetwork

    _Tensors = tuple[torch.Tensor, ...] | list[torch.Tensor]

log = logging.getLogger(__name__)

Precision = Literal["auto", "float32", "bfloat16"]
_RISING = 0.2
"""Share of the steps over which the learning rate of a cycle rises."""


class LabelledDataError(ValueError):
    """The labelled particles do not suffice for the task."""


@dataclass(frozen=True)
class TrainingConfig:
    """How a network is trained.

    Attributes:
        epochs: at most so many passes over the training images.
        patience: stop after so many epochs without a lower validation loss; not asked of a network whose learning rate
            follows a cycle, which ends low only if it is run to its end.
        learning_rate: of Adam, the highest one of a cycle; None for the architecture's own.
        cycle: let the learning rate rise and fall once over all epochs; None for the architecture's own way.
        batch_size: images a step.
        averaging: share that the running average of the weights keeps at each step. The average is judged after each
            epoch and kept (Polyak & Juditsky 1992, doi 10.1137/0330046); 0 for the last step's weights.
        balanced: draw equally many images of each class in every epoch, rare classes repeatedly.
        most_of_label: images of each label to learn from at most, evenly from all runs (applied where the labelled set
            is divided); None for all.
        seed: of initial weights, order, random changes and dropout.
        threads: of the processor; None for torch's choice. Other numbers of threads give other last digits.
        device: where to train; "auto" takes a CUDA device where there is one. Only "cpu" repeats to the last bit.
        precision: of the products in a training step. "auto" takes bfloat16 on a processor that computes in it, where
            it is faster, and float32 elsewhere and on graphics cards. Weights, losses and all measurements are float32.
    """

    epochs: int = 20
    patience: int = 5
    learning_rate: float | None = None
    cycle: bool | None = None
    batch_size: int = 32
    averaging: float = 0.99
    balanced: bool = False
    most_of_label: int | None = None
    seed: int = 0
    threads: int | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Precision = "auto"


@dataclass(frozen=True)
class TaskRows:
    """Which labelled particles take part in a task, and on which side.

    Attributes:
        targets: int64 (n,), index of the class; -1 where the particle takes no part.
        train: int64, rows to learn from.
        validation: int64, rows that decide when to stop.
        test: int64, rows that nothing is decided by.
    """

    targets: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class TrainedNetwork:
    """A trained network and how it came about.

    Attributes:
        task: key of the task.
        classes: in the order of the outputs.
        architecture: key in the registry.
        features: columns of the properties that it reads, in order; none for a network on images alone.
        transform: how its images are prepared.
        config: how it was trained, with the precision and the course of the learning rate that were taken.
        start: what the weights were before the training, "random" or the file that they came from.
        state: the best epoch's weights by name.
        history: one row an epoch: epoch, train_loss, validation_loss, validation_accuracy, seconds.
        best_epoch: epoch that `state` is of.
        validation: metrics on the validation particles.
        test: metrics on the test particles.
        test_rows: int (m,), which of the labelled particles those are.
        test_probabilities: float32 (m, classes), what the network says of each.
    """

    task: str
    classes: tuple[str, ...]
    architecture: str
    features: tuple[str, ...]
    transform: TransformSpec
    config: TrainingConfig
    start: str
    state: dict[str, "torch.Tensor"]
    history: pd.DataFrame
    best_epoch: int
    validation: ClassificationMetrics
    test: ClassificationMetrics
    test_rows: np.ndarray
    test_probabilities: np.ndarray

    def network(self) -> "ParticleNetwork":
        """The network with its weights, ready to score."""
        network = build_network(self.architecture, len(self.classes))
        network.load_state_dict(self.state)
        return network.eval()


def select_rows(labels: Collection[str], splits: Collection[str], task: Task) -> TaskRows:
    """Sort labelled particles into the sides of a task.

    Args:
        labels: label key of each particle.
        splits: "train", "validation" or "test" for each; anything else takes no part.
        task: which label belongs to which class.

    Raises:
        LabelledDataError: lengths differ, a class is absent from training, or a side is empty.
    """
    if len(labels) != len(splits):
        raise LabelledDataError(f"{len(labels)} labels but {len(splits)} splits: one of each a particle is needed")
    index = {name: i for i, name in enumerate(task.classes)}
    classes = pd.Series(list(labels), dtype=object).map(task.class_of).map(index)
    targets = classes.fillna(-1).to_numpy(dtype=np.int64)
    side = np.asarray(list(splits), dtype=object)
    train, validation, test = (np.flatnonzero((targets >= 0) & (side == name)) for name in (TRAIN, VALIDATION, TEST))
    if absent := set(task.classes) - {task.classes[i] for i in np.unique(targets[train])}:
        raise LabelledDataError(
            f"task {task.key}: no training particles of {sorted(absent)}; add labelled runs of them"
        )
    for name, rows in ((VALIDATION, validation), (TEST, test)):
        if len(rows) == 0:
            raise LabelledDataError(f"task {task.key}: the {name} side is empty; split the labelled runs again")
    return TaskRows(targets, train, validation, test)


def train_network(
    tensors: TensorSet,
    labels: Collection[str],
    splits: Collection[str],
    task: Task,
    architecture: str,
    config: TrainingConfig | None = None,
    runs: Collection[str] | None = None,
    properties: np.ndarray | None = None,
    transform: TransformSpec | None = None,
) -> TrainedNetwork:
    """Train a network for a task and keep the weights of the epoch with the lowest validation loss.

    Args:
        tensors: images of the labelled particles.
        labels: label key of each particle, in the order of `tensors`.
        splits: "train", "validation" or "test" of each.
        task: classes to tell apart.
        architecture: key in the registry.
        config: how to train.
        runs: run of each particle, for the intervals of the metrics; None for none.
        properties: float (n, f), the columns `architecture_of(architecture).features` of each particle, NaN where
            missing; a network on images alone does not look at them.
        transform: how images are prepared; None for the architecture's own way.

    Returns:
        The weights, the history and the metrics on validation and test particles.

    Raises:
        LabelledDataError: the labelled particles do not suffice.
        ValueError: unknown architecture, properties that the network needs and that are not there, or a loss that is
            no number.
    """
    import torch
    from torch.nn.functional import cross_entropy
    from torch.optim.swa_utils import AveragedModel
    from tqdm import tqdm

    from icecore_dagster.learning.networks.modules import start_of

    config = config or TrainingConfig()
    plan = architecture_of(architecture)
    transform = transform or plan.transform
    if len(labels) != len(tensors):
        raise LabelledDataError(f"{len(tensors)} images but {len(labels)} labels: one each a particle is needed")
    rows = select_rows(labels, splits, task)
    run_of = None if runs is None else np.asarray(list(runs), dtype=object)
    rng = np.random.default_rng(config.seed)
    changes = torch.Generator().manual_seed(int(rng.integers(2**62)))
    history: list[dict[str, float]] = []
    best_loss, best_epoch, best_state = np.inf, 0, {}

    def answers(side: np.ndarray) -> np.ndarray:
        return run_on_rows(judged, tensors, side, transform, properties).probabilities

    def measure(side: np.ndarray, said: np.ndarray, run_of: np.ndarray | None = None) -> ClassificationMetrics:
        return evaluate(rows.targets[side], said, task.classes, None if run_of is None else run_of[side])

    with torch_set_up(config.seed, config.threads, config.device) as device:
        cycle = plan.cycle if config.cycle is None else config.cycle
        config = replace(config, precision=_precision_on(device, config.precision), cycle=cycle)
        network = build_network(architecture, len(task.classes))
        start = start_of(network, plan.backbone)
        measured = network.take_properties(properties, len(tensors))
        if network.measured is not None and measured is not None:
            network.measured.learn_scale(measured[rows.train])
        network.to(device)
        averaged = AveragedModel(network, multi_avg_fn=_running_average(config.averaging), use_buffers=True)
        judged = cast("ParticleNetwork", averaged.module)
        rate = config.learning_rate or plan.learning_rate
        optimiser = torch.optim.Adam(network.parameters(), lr=rate)
        steps = config.epochs * len(_batches(rows, len(task.classes), config, np.random.default_rng(0)))
        schedule = (
            torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=_RISING)
            if cycle
            else torch.optim.lr_scheduler.ConstantLR(optimiser, factor=1.0)
        )
        for epoch in range(1, config.epochs + 1):
            started = time.perf_counter()
            network.train()
            total, seen = 0.0, 0
            batches = _batches(rows, len(task.classes), config, rng)
            for batch in tqdm(batches, desc=f"{task.key} {architecture} epoch {epoch}", disable=None):
                images = _training_images(tensors, batch, transform, changes)
                beside = None if measured is None else measured[batch].to(device)
                truth = torch.from_numpy(rows.targets[batch])
                optimiser.zero_grad(set_to_none=True)
                with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
                    given = network(images.to(device), beside)
                loss = cross_entropy(given.float(), truth.to(device))
                loss.backward()
                optimiser.step()
                schedule.step()
                averaged.update_parameters(network)
                total, seen = total + loss.item() * len(batch), seen + len(batch)
            if not np.isfinite(total):
                raise ValueError(f"training loss is {total} in epoch {epoch}: lower the learning rate")
            validation = measure(rows.validation, answers(rows.validation))
            history.append(
                {
                    "epoch": epoch,
                    "train_loss": total / seen,
                    "validation_loss": validation.log_loss,
                    "validation_accuracy": validation.accuracy,
                    "seconds": time.perf_counter() - started,
                }
            )
            log.info("%s %s epoch %d: %s", task.key, architecture, epoch, history[-1])
            if validation.log_loss < best_loss:
                best_loss, best_epoch = validation.log_loss, epoch
                best_state = {name: value.detach().cpu().clone() for name, value in judged.state_dict().items()}
            elif epoch - best_epoch >= config.patience and not cycle:
                break
        judged.load_state_dict(best_state)
        of_test = answers(rows.test)
        return TrainedNetwork(
            task=task.key,
            classes=task.classes,
            architecture=architecture,
            features=plan.features,
            transform=transform,
            config=config,
            start=start,
            state=best_state,
            history=pd.DataFrame(history).astype({"epoch": int}),
            best_epoch=best_epoch,
            validation=measure(rows.validation, answers(rows.validation), run_of),
            test=measure(rows.test, of_test, run_of),
            test_rows=rows.test,
            test_probabilities=of_test,
        )


def run_on_rows(
    network: "ParticleNetwork",
    tensors: TensorSet,
    rows: np.ndarray,
    transform: TransformSpec,
    properties: np.ndarray | None = None,
) -> NetworkOutput:
    """Pass some of the stored particles through a trained network, a bounded number at a time.

    Args:
        network: with weights loaded.
        tensors: stored images.
        rows: int (m,), which of them.
        transform: the network's own.
        properties: float (n, f), of every stored particle, as `run_network` takes them.

    Returns:
        Probabilities (m, classes) and embeddings (m, d), float32.
    """
    chunk = 1_024
    parts = []
    for chosen in (rows[i : i + chunk] for i in range(0, len(rows), chunk)):
        beside = None if properties is None else properties[chosen]
        parts.append(run_network(network, tensors.images[chosen], transform, beside))
    return NetworkOutput(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _training_images(
    tensors: TensorSet, rows: np.ndarray, transform: TransformSpec, generator: "torch.Generator"
) -> "torch.Tensor":
    return augment(tensors.images[rows], lambda i: tensors.native(int(rows[i])), transform, generator)


def _running_average(kept: float) -> "Callable[[_Tensors, _Tensors, torch.Tensor | int], None]":
    """Moves averaged weights towards new ones in place; the first steps weigh more, so that the start is forgotten."""
    import torch

    @torch.no_grad()
    def average(old: "_Tensors", new: "_Tensors", steps: "torch.Tensor | int") -> None:
        moved = max(1 - kept, 9 / (10 + float(steps)))
        for mean, value in zip(old, new, strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, moved)
            else:
                mean.copy_(value)

    return average


def _batches(rows: TaskRows, n_classes: int, config: TrainingConfig, rng: np.random.Generator) -> list[np.ndarray]:
    """One epoch's training rows in random order, in batches of nearly equal size (batch norm cannot learn from one)."""
    order = rows.train
    if config.balanced:
        share = len(order) // n_classes
        of_class = [order[rows.targets[order] == i] for i in range(n_classes)]
        order = np.concatenate([_draw_evenly(members, share, rng) for members in of_class])
    order = rng.permutation(order)
    return np.array_split(order, -(-len(order) // config.batch_size))


def _draw_evenly(members: np.ndarray, wanted: int, rng: np.random.Generator) -> np.ndarray:
    """So many rows of a class that none is drawn twice more often than another by more than once."""
    rounds = [rng.permutation(members) for _ in range(-(-wanted // len(members)))]
    return np.concatenate(rounds)[:wanted]


def _precision_on(device: "torch.device", asked: Precision) -> Precision:
    """The precision that was asked for, "auto" decided by what the device computes in."""
    import torch

    if asked != "auto":
        return asked
    able = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return "bfloat16" if able.get("avx512_bf16") or able.get("amx_bf16") else "float32"


@contextmanager
def torch_set_up(seed: int, threads: int | None, device: str) -> Iterator["torch.device"]:
    """Torch's global seed and threads for one training only; both are put back.

    Args:
        seed: of initial weights and dropout.
        threads: of the processor; None for torch's choice.
        device: where to train; "auto" takes a CUDA device where there is one.

    Yields:
        The device.
    """
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    before = torch.get_num_threads()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.set_num_threads(threads or before)
        try:
            yield torch.device(device)
        finally:
            torch.set_num_threads(before)
