"""The siamese network: one trunk that places particles of one material close together, and its training loop.

Two particles are compared by passing both through the same weights (Koch et al. 2015, ICML Deep Learning Workshop,
"Siamese Neural Networks for One-shot Image Recognition"). Materials that take no part in the training can be told apart
all the same, from few examples (`episodes`) or none (`zero_shot`).
"""

import logging
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from icecore_dagster.learning.few_labels.losses import contrastive_loss, triplet_loss
from icecore_dagster.learning.networks.architectures import BATCH_SIZE, architecture_of, build_network
from icecore_dagster.learning.networks.tensors import TensorSet
from icecore_dagster.learning.networks.training import LabelledDataError, torch_set_up
from icecore_dagster.learning.networks.transforms import TransformSpec, augment, normalise
from icecore_dagster.particles.labels import LABEL_KEYS
from icecore_dagster.particles.split import TRAIN, VALIDATION

if TYPE_CHECKING:
    import torch

    from icecore_dagster.learning.networks.modules import ParticleNetwork

log = logging.getLogger(__name__)

_PAIRED_A_CLASS = 40
"""Particles of each class and side that the validation pairs are made of."""
_VALIDATION_BATCHES = 8


@dataclass(frozen=True)
class SiameseConfig:
    """How a siamese network is trained.

    Attributes:
        architecture: key in the registry, whose trunk is used; one that takes images alone.
        held_out: labels that take no part, to see what the network makes of materials it has never met.
        loss: "contrastive" (supervised contrastive) or "triplet" (semi-hard triplets of the batch).
        dimensions: of the embedding.
        temperature: of the contrastive loss.
        margin: of the triplet loss, as a squared distance.
        epochs: at most so many passes; a pass draws as many particles as there are to learn from.
        patience: stop after so many epochs without a higher validation ROC AUC.
        learning_rate: of Adam; None for the architecture's own.
        a_class: particles of each class in every batch, so that rare classes count as much as common ones.
        seed: of initial weights, batches, random changes and dropout.
        threads: of the processor; None for torch's choice. Other numbers of threads give other last digits.
        device: where to train; "auto" takes a CUDA device where there is one. Only "cpu" repeats to the last bit.
    """

    architecture: str = "A3"
    held_out: tuple[str, ...] = ("grim", "corylus")
    loss: Literal["contrastive", "triplet"] = "contrastive"
    dimensions: int = 32
    temperature: float = 0.1
    margin: float = 0.2
    epochs: int = 20
    patience: int = 5
    learning_rate: float | None = None
    a_class: int = 8
    seed: int = 0
    threads: int | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"


@dataclass(frozen=True)
class TrainedSiamese:
    """A trained siamese network and how it came about.

    Attributes:
        classes: labels that it learnt from, in the order of the product's labels.
        config: how it was trained.
        transform: how its images are prepared.
        state: the best epoch's weights by name.
        history: one row an epoch: epoch, train_loss, validation_loss, validation_auc, seconds.
        best_epoch: epoch that `state` is of.
    """

    classes: tuple[str, ...]
    config: SiameseConfig
    transform: TransformSpec
    state: dict[str, "torch.Tensor"]
    history: pd.DataFrame
    best_epoch: int

    def network(self) -> "ParticleNetwork":
        """The network with its weights, ready to embed."""
        network = build_siamese(self.config.architecture, self.config.dimensions)
        network.load_state_dict(self.state)
        return network.eval()


def build_siamese(architecture: str, dimensions: int) -> "ParticleNetwork":
    """The trunk of a registered architecture with a linear projection in place of its output layer.

    Args:
        architecture: key in the registry.
        dimensions: of the embedding.

    Returns:
        A module on float32 (n, 1, size, size) that gives (n, dimensions), not yet of length 1.

    Raises:
        ValueError: unknown architecture, or one that reads measured properties beside the image.
    """
    if architecture_of(architecture).features:
        raise ValueError(f"architecture {architecture} reads measured properties; a siamese network takes images alone")
    return build_network(architecture, dimensions)


def embed_images(
    network: "ParticleNetwork", images: np.ndarray, transform: TransformSpec, *, batch_size: int = BATCH_SIZE
) -> np.ndarray:
    """Pass images through a trained siamese network, nothing random and no gradients.

    Every batch has the same size (the last is filled up), so that an image's place does not depend on how many others
    it came with.

    Args:
        network: from `build_siamese`, with weights loaded.
        images: uint8 (n, size, size), squashed by `to_network_input`; a memory map is read batch by batch.
        transform: the network's own.
        batch_size: images at a time.

    Returns:
        float32 (n, dimensions), each of length 1.
    """
    import torch
    from torch.nn.functional import normalize

    device = next(network.parameters()).device
    vectors = np.empty((len(images), network.output.out_features), np.float32)
    network.eval()
    with torch.inference_mode():
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size]
            full = np.zeros((batch_size, *images.shape[1:]), np.uint8)
            full[: len(batch)] = batch
            placed = normalize(network(normalise(full, transform).to(device)), dim=1)
            vectors[start : start + len(batch)] = placed[: len(batch)].cpu().numpy()
    return vectors


def embed_rows(
    network: "ParticleNetwork", tensors: TensorSet, rows: np.ndarray, transform: TransformSpec
) -> np.ndarray:
    """Embed some of the stored images, a bounded number at a time: float32 (m, dimensions), rows of length 1."""
    chunk = 1_024
    parts = [embed_images(network, tensors.images[rows[i : i + chunk]], transform) for i in range(0, len(rows), chunk)]
    return np.concatenate(parts)


def train_siamese(
    tensors: TensorSet, labels: Collection[str], splits: Collection[str], config: SiameseConfig | None = None
) -> TrainedSiamese:
    """Train a siamese network and keep the weights of the epoch with the highest validation ROC AUC.

    The ROC AUC is that of telling pairs of one class from pairs of two by their distance, each pair being a validation
    and a training particle: particles of different runs, so that a shared background is no help.

    Args:
        tensors: images of the labelled particles.
        labels: label key of each particle, in the order of `tensors`.
        splits: "train", "validation" or "test" of each; test particles are not looked at.
        config: how to train; its held-out labels are not looked at.

    Raises:
        LabelledDataError: the labelled particles do not suffice, or a held-out label is none.
        ValueError: unknown architecture, or a loss that is no number.
    """
    import torch
    from torch.nn.functional import normalize
    from tqdm import tqdm

    config = config or SiameseConfig()
    plan = architecture_of(config.architecture)
    label, side = np.asarray(list(labels), dtype=object), np.asarray(list(splits), dtype=object)
    if not len(label) == len(side) == len(tensors):
        raise LabelledDataError(f"{len(tensors)} images, {len(label)} labels, {len(side)} splits: one each is needed")
    classes = participating(label, config.held_out)
    train, validation = (_rows_of(label, side, classes, name) for name in (TRAIN, VALIDATION))
    rng = np.random.default_rng(config.seed)
    changes = torch.Generator().manual_seed(int(rng.integers(2**62)))
    judge = _Validation.draw(train, validation, config.a_class, rng)
    steps = max(1, sum(map(len, train)) // (config.a_class * len(classes)))
    history: list[dict[str, float]] = []
    best_auc, best_epoch, best_state = -np.inf, 0, {}

    with torch_set_up(config.seed, config.threads, config.device) as device:
        network = build_siamese(config.architecture, config.dimensions).to(device)
        optimiser = torch.optim.Adam(network.parameters(), lr=config.learning_rate or plan.learning_rate)
        truth = _targets(len(classes), config.a_class).to(device)
        for epoch in range(1, config.epochs + 1):
            started, total = time.perf_counter(), 0.0
            network.train()
            batches = _balanced_batches(train, config.a_class, steps, rng)
            for rows in tqdm(batches, desc=f"siamese {config.architecture} epoch {epoch}", disable=None):
                images = _training_images(tensors, rows, plan.transform, changes)
                optimiser.zero_grad(set_to_none=True)
                loss = _loss(normalize(network(images.to(device)), dim=1), truth, config)
                loss.backward()
                optimiser.step()
                total += loss.item()
            if not np.isfinite(total):
                raise ValueError(f"training loss is {total} in epoch {epoch}: lower the learning rate")
            auc = judge.pair_auc(network, tensors, plan.transform)
            history.append(
                {
                    "epoch": epoch,
                    "train_loss": total / steps,
                    "validation_loss": judge.loss(network, tensors, plan.transform, truth.cpu(), config),
                    "validation_auc": auc,
                    "seconds": time.perf_counter() - started,
                }
            )
            log.info("siamese %s epoch %d: %s", config.architecture, epoch, history[-1])
            if auc > best_auc:
                best_auc, best_epoch = auc, epoch
                best_state = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
            elif epoch - best_epoch >= config.patience:
                break
    return TrainedSiamese(
        classes, config, plan.transform, best_state, pd.DataFrame(history).astype({"epoch": int}), best_epoch
    )


def participating(labels: np.ndarray, held_out: Collection[str]) -> tuple[str, ...]:
    """Labels that occur and are not held out, in the product's order.

    Raises:
        LabelledDataError: fewer than two labels are held out or remain, or one that is held out does not occur.
    """
    present = set(labels)
    if absent := sorted(set(held_out) - present):
        raise LabelledDataError(
            f"no labelled particles of {absent} to hold out; there are {[key for key in LABEL_KEYS if key in present]}"
        )
    classes = tuple(key for key in LABEL_KEYS if key in present and key not in held_out)
    if len(set(held_out)) < 2 or len(classes) < 2:
        raise LabelledDataError(
            f"{len(set(held_out))} labels are held out and {len(classes)} remain: at least two of each are needed"
        )
    return classes


@dataclass(frozen=True)
class _Validation:
    """Fixed particles by which epochs are compared.

    Attributes:
        batches: rows of validation particles, made up like the training's batches.
        pairs: rows of validation and of training particles that are paired, and the class of each.
    """

    batches: list[np.ndarray]
    pairs: tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

    @classmethod
    def draw(
        cls, train: list[np.ndarray], validation: list[np.ndarray], a_class: int, rng: np.random.Generator
    ) -> "_Validation":
        def few(of_classes: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
            chosen = [rng.permutation(rows)[:_PAIRED_A_CLASS] for rows in of_classes]
            return np.concatenate(chosen), np.repeat(np.arange(len(chosen)), [len(rows) for rows in chosen])

        return cls(_balanced_batches(validation, a_class, _VALIDATION_BATCHES, rng), (few(validation), few(train)))

    def pair_auc(self, network: "ParticleNetwork", tensors: TensorSet, transform: TransformSpec) -> float:
        """How well distance tells pairs of one class from pairs of two: ROC AUC."""
        from sklearn.metrics import roc_auc_score

        (new, of_new), (old, of_old) = self.pairs
        likeness = embed_rows(network, tensors, new, transform) @ embed_rows(network, tensors, old, transform).T
        return float(roc_auc_score((of_new[:, None] == of_old[None, :]).ravel(), likeness.ravel()))

    def loss(
        self,
        network: "ParticleNetwork",
        tensors: TensorSet,
        transform: TransformSpec,
        truth: "torch.Tensor",
        config: SiameseConfig,
    ) -> float:
        """Mean loss of the validation batches."""
        import torch

        vectors = torch.from_numpy(embed_rows(network, tensors, np.concatenate(self.batches), transform))
        return float(np.mean([_loss(of_batch, truth, config).item() for of_batch in vectors.split(len(truth))]))


def _training_images(
    tensors: TensorSet, rows: np.ndarray, transform: TransformSpec, generator: "torch.Generator"
) -> "torch.Tensor":
    return augment(tensors.images[rows], lambda i: tensors.native(int(rows[i])), transform, generator)


def _loss(vectors: "torch.Tensor", truth: "torch.Tensor", config: SiameseConfig) -> "torch.Tensor":
    if config.loss == "triplet":
        return triplet_loss(vectors, truth, config.margin)
    return contrastive_loss(vectors, truth, config.temperature)


def _targets(n_classes: int, a_class: int) -> "torch.Tensor":
    """The class of each place in a batch."""
    import torch

    return torch.arange(n_classes).repeat_interleave(a_class)


def _rows_of(label: np.ndarray, side: np.ndarray, classes: tuple[str, ...], name: str) -> list[np.ndarray]:
    """Rows of each class on one side."""
    rows = [np.flatnonzero((label == key) & (side == name)) for key in classes]
    if empty := [key for key, of_class in zip(classes, rows, strict=True) if len(of_class) < 2]:
        raise LabelledDataError(
            f"fewer than two {name} particles of {empty}; add labelled runs of them, or split them again"
        )
    return rows


def _balanced_batches(
    of_classes: list[np.ndarray], a_class: int, steps: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """So many batches of equally many particles of each class; no particle comes twice before all of its class did."""
    streams = [
        np.concatenate([rng.permutation(rows) for _ in range(-(-steps * a_class // len(rows)))])[: steps * a_class]
        for rows in of_classes
    ]
    return [np.concatenate([stream[i : i + a_class] for stream in streams]) for i in range(0, steps * a_class, a_class)]
