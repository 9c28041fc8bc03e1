"""Training of the dense network: Adam, cross-entropy, early stopping, the best weights kept."""

import logging
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from icecore_dagster.learning.dense.network import (
    Scaling,
    build_dense,
    dense_probabilities,
    set_scaling,
)
from icecore_dagster.learning.metrics import ClassificationMetrics, evaluate
from icecore_dagster.learning.networks.training import LabelledDataError, select_rows, torch_set_up
from icecore_dagster.learning.trees.boosting import feature_matrix
from icecore_dagster.particles.labels import Task

if TYPE_CHECKING:
    import torch

    from icecore_dagster.learning.dense.network import DenseNetwork

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DenseConfig:
    """What the dense network looks like and how it is trained.

    Attributes:
        hidden: units of each hidden layer.
        dropout: share dropped after each of them.
        epochs: at most so many passes over the training particles.
        patience: stop after so many epochs without a lower validation loss.
        learning_rate: of Adam.
        weight_decay: of Adam, decoupled.
        batch_size: particles a step.
        balanced: weigh particles so that every class counts alike.
        seed: of initial weights, order and dropout.
        threads: of the processor; None for torch's choice.
    """

    hidden: tuple[int, ...] = (256, 64)
    dropout: float = 0.3
    epochs: int = 100
    patience: int = 10
    learning_rate: float = 0.001
    weight_decay: float = 0.01
    batch_size: int = 128
    balanced: bool = False
    seed: int = 0
    threads: int | None = None


@dataclass(frozen=True)
class TrainedDense:
    """A trained dense network and how it came about.

    Attributes:
        task: key of the task.
        classes: in the order of the outputs.
        features: columns in the order that the network expects.
        config: how it was trained.
        state: the best epoch's weights and the scaler's buffers, by name.
        history: one row an epoch: epoch, train_loss, validation_loss, validation_accuracy, seconds.
        best_epoch: epoch that `state` is of.
        validation: metrics on the validation particles.
        test: metrics on the test particles.
    """

    task: str
    classes: tuple[str, ...]
    features: tuple[str, ...]
    config: DenseConfig
    state: dict[str, "torch.Tensor"]
    history: pd.DataFrame
    best_epoch: int
    validation: ClassificationMetrics
    test: ClassificationMetrics

    def network(self) -> "DenseNetwork":
        """The network with its weights, ready to score."""
        network = build_dense(len(self.features), len(self.classes), self.config.hidden, self.config.dropout)
        network.load_state_dict(self.state)
        network.eval()
        return network


def train_dense(
    features: pd.DataFrame,
    labels: Collection[str],
    splits: Collection[str],
    task: Task,
    config: DenseConfig | None = None,
    runs: Collection[str] | None = None,
) -> TrainedDense:
    """Train a dense network on every column of a table and keep the epoch with the lowest validation loss.

    Args:
        features: one row a labelled particle; missing values are filled by the median of the training particles.
        labels: label key of each row.
        splits: "train", "validation" or "test" of each row.
        task: classes to tell apart.
        config: how to train.
        runs: run of each row, for the intervals of the metrics; None for none.

    Returns:
        The weights, the history and the metrics on validation and test particles.

    Raises:
        LabelledDataError: the labelled particles do not suffice.
        ValueError: a feature that no training particle has, or a loss that is no number.
    """
    import torch
    from tqdm import tqdm

    config = config or DenseConfig()
    if len(labels) != len(features):
        raise LabelledDataError(f"{len(features)} rows but {len(labels)} labels: one each a particle is needed")
    rows = select_rows(labels, splits, task)
    columns = tuple(map(str, features.columns))
    matrix = feature_matrix(features, columns).astype(np.float32)
    run_of = None if runs is None else np.asarray(list(runs), dtype=object)
    rng = np.random.default_rng(config.seed)
    history: list[dict[str, float]] = []
    best_loss, best_epoch, best_state = np.inf, 0, {}

    def measured(side: np.ndarray, of_runs: np.ndarray | None = None) -> ClassificationMetrics:
        probabilities = dense_probabilities(network, matrix[side])
        return evaluate(rows.targets[side], probabilities, task.classes, None if of_runs is None else of_runs[side])

    with torch_set_up(config.seed, config.threads, "auto") as device:
        network = build_dense(len(columns), len(task.classes), config.hidden, config.dropout)
        set_scaling(network, Scaling.of(matrix[rows.train]))
        network.to(device)
        optimiser = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
        weight = _class_weights(rows.targets[rows.train], len(task.classes), config.balanced)
        loss_of = torch.nn.CrossEntropyLoss(weight).to(device)
        for epoch in tqdm(range(1, config.epochs + 1), desc=f"{task.key} dense", unit="epoch", disable=None):
            started, total = time.perf_counter(), 0.0
            network.train()
            order = rng.permutation(rows.train)
            for batch in np.array_split(order, -(-len(order) // config.batch_size)):
                optimiser.zero_grad(set_to_none=True)
                truth = torch.from_numpy(rows.targets[batch]).to(device)
                loss = loss_of(network(torch.from_numpy(matrix[batch]).to(device)), truth)
                loss.backward()
                optimiser.step()
                total += loss.item() * len(batch)
            if not np.isfinite(total):
                raise ValueError(f"training loss is {total} in epoch {epoch}: lower the learning rate")
            validation = measured(rows.validation)
            history.append(
                {
                    "epoch": epoch,
                    "train_loss": total / len(order),
                    "validation_loss": validation.log_loss,
                    "validation_accuracy": validation.accuracy,
                    "seconds": time.perf_counter() - started,
                }
            )
            if validation.log_loss < best_loss:
                best_loss, best_epoch = validation.log_loss, epoch
                best_state = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
            elif epoch - best_epoch >= config.patience:
                break
        log.info("%s: dense network stopped after epoch %d, best %d", task.key, epoch, best_epoch)
        network.load_state_dict(best_state)
        return TrainedDense(
            task=task.key,
            classes=task.classes,
            features=columns,
            config=config,
            state=best_state,
            history=pd.DataFrame(history).astype({"epoch": int}),
            best_epoch=best_epoch,
            validation=measured(rows.validation, run_of),
            test=measured(rows.test, run_of),
        )


def _class_weights(targets: np.ndarray, n_classes: int, balanced: bool) -> "torch.Tensor | None":
    import torch

    if not balanced:
        return None
    counts = np.bincount(targets, minlength=n_classes)
    return torch.from_numpy((len(targets) / (n_classes * counts)).astype(np.float32))
