"""Do drawn images of a rare class help a network? A variational autoencoder draws them; the same network tells.

The network is trained twice, without and with the drawn images, from the same seed, and asked about the same real test
particles. An answer of "no difference" is a result too.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd

from icecore_dagster.learning.anomaly.autoencoders import IMAGE_PX, run_autoencoder
from icecore_dagster.learning.anomaly.reconstruction import AutoencoderConfig, ImageFit, fit_to_images
from icecore_dagster.learning.energy import EnergyUse, measure_energy
from icecore_dagster.learning.labelled_set import LabelledSet, SplitKind, open_labelled_set, sides_of
from icecore_dagster.learning.metrics import ClassificationMetrics
from icecore_dagster.learning.networks.architectures import architecture_of
from icecore_dagster.learning.networks.tensors import TensorSet, to_network_input
from icecore_dagster.learning.networks.training import LabelledDataError, TrainingConfig, train_network
from icecore_dagster.particles.labels import TASKS
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.segment import border_grey
from icecore_dagster.particles.split import NOT_USED, TEST, TRAIN, VALIDATION, thin

_SHOWN = 8
_TEST_OF_LABEL = 500
DRAWN_RUN = "drawn by the autoencoder"


@dataclass(frozen=True)
class AugmentationConfig:
    """What is drawn, and which network is asked whether it helps.

    Attributes:
        task: classes that the network tells apart.
        architecture: of the network; one that looks at images alone.
        label: the rare label to draw.
        drawn: images to draw.
        most_of_label: real training images of each label at most.
        epochs: passes of the network over the training images.
        steps: batches that the autoencoder learns from at most, however few images there are.
        seed: of everything that is random.
        threads: of the processor; None for torch's choice.
    """

    task: str = "six_class"
    architecture: str = "A3"
    label: str = "grim"
    drawn: int = 200
    most_of_label: int = 300
    epochs: int = 4
    steps: int = 1_500
    seed: int = 0
    threads: int | None = None


@dataclass(frozen=True)
class AugmentationEffect:
    """The same network without and with drawn images of a label.

    Attributes:
        label: the label that was drawn.
        real: real training images of the label.
        examples: some of them, uint8 (k, 128, 128).
        drawn: some that were drawn, uint8 (k, 128, 128).
        without: result on the real test particles of the network that learnt from real images only.
        with_drawn: the same of the network that learnt from drawn ones as well.
        energy: what all three trainings cost.
    """

    label: str
    real: int
    examples: np.ndarray
    drawn: np.ndarray
    without: ClassificationMetrics
    with_drawn: ClassificationMetrics
    energy: EnergyUse


def measure_augmentation(
    lab: Laboratory, config: AugmentationConfig, *, split: SplitKind = SplitKind.BY_RUN, country: str = "DNK"
) -> AugmentationEffect:
    """Draw a rare label and train a network with and without what was drawn.

    Args:
        lab: the laboratory.
        config: what to draw and whom to ask.
        split: which division of the labelled particles to use.
        country: ISO code of the country whose electricity is used.

    Raises:
        ValueError: the network looks at measured properties, which drawn images lack.
        LabelledDataError: the task does not know the label, or too few of its particles are there to learn from.
    """
    task = TASKS[config.task]
    if architecture_of(config.architecture).features:
        raise ValueError(f"{config.architecture} looks at measured properties, which drawn images lack; name another")
    if config.label not in task.class_of:
        raise LabelledDataError(f"task {task.key} has no label {config.label!r}; it has {', '.join(task.class_of)}")
    real = _few(open_labelled_set(lab), split, config)
    train = np.flatnonzero((real.table["label"] == config.label) & (real.sides == TRAIN))
    ask = np.flatnonzero((real.table["label"] == config.label) & (real.sides == VALIDATION))
    if min(len(train), len(ask)) < 2:
        raise LabelledDataError(f"too few particles of {config.label} to learn to draw them; add labelled runs")
    training = TrainingConfig(epochs=config.epochs, balanced=False, seed=config.seed, threads=config.threads)
    with measure_energy(country) as meter:
        drawing = _drawing(config, len(train))
        fit = fit_to_images(real.tensors.images[train], real.tensors.images[ask], "variational", drawing)
        crops = draw_crops(fit, [real.tensors.native(int(row)) for row in train], config.drawn, config.seed)
        results = [
            train_network(
                few.tensors, few.table["label"], few.sides, task, config.architecture, training, few.table["run"]
            ).test
            for few in (real, _joined(real, crops, config.label))
        ]
    return AugmentationEffect(
        label=config.label,
        real=len(train),
        examples=np.array(real.tensors.images[train[:: max(len(train) // _SHOWN, 1)][:_SHOWN]]),
        drawn=np.stack([to_network_input(crop) for crop in crops[:_SHOWN]]),
        without=results[0],
        with_drawn=results[1],
        energy=meter.use,
    )


def _drawing(config: AugmentationConfig, images: int) -> AutoencoderConfig:
    """How the autoencoder is trained on few images: many passes, and codes that are held less tightly than for dust."""
    batch = 16
    epochs = max(1, config.steps * batch // images)
    return AutoencoderConfig(
        epochs=epochs,
        patience=max(8, epochs // 5),
        batch_size=batch,
        noise_contrast=0.05,
        seed=config.seed,
        threads=config.threads,
    )


def draw_crops(fit: ImageFit, like: list[np.ndarray], count: int, seed: int) -> list[np.ndarray]:
    """Draw crops by a variational autoencoder.

    Codes are drawn from a normal distribution fitted to those of the real crops: on few images the codes do not fill
    the standard normal one, and what lies between them looks like nothing (Ghosh et al. 2020, arXiv:1903.12436).

    The autoencoder knows contrast on a square; size, proportions, background and grain are those of a real crop that is
    drawn from `like`, so that nothing but the particle tells a drawn image from a real one.

    Args:
        fit: variational, fitted to images of one class.
        like: real crops of that class, uint8 (h, w).
        count: how many to draw.
        seed: the same seed draws the same crops.

    Returns:
        Crops, uint8 (h, w) each.
    """
    import torch

    rng = np.random.default_rng(seed)
    known = run_autoencoder(fit.module, np.stack([to_network_input(crop) for crop in like])).codes.astype(np.float64)
    codes = rng.multivariate_normal(known.mean(axis=0), np.cov(known.T), count).astype(np.float32)
    with torch.inference_mode():
        contrasts = fit.module.decode(torch.from_numpy(codes)).numpy()[:, 0]
    return [_as_crop(contrast, like[int(rng.integers(len(like)))], rng) for contrast in contrasts]


def _as_crop(contrast: np.ndarray, like: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A contrast (64, 64) as a crop of the size, background and grain of a real one."""
    height, width = like.shape
    stretched = cv2.resize(contrast, (width, height), interpolation=cv2.INTER_LINEAR)
    grain = rng.normal(0, _grain(like), like.shape)
    return np.clip(border_grey(like) * (1 + stretched) + grain, 0, 255).round().astype(np.uint8)


def _grain(crop: np.ndarray) -> float:
    """Standard deviation of grey from pixel to pixel along the crop's border, where there is no particle."""
    steps = np.concatenate([np.diff(side.astype(np.float64)) for side in (crop[0], crop[-1], crop[:, 0], crop[:, -1])])
    # The median of absolute steps, so that a particle that touches the border does not count as grain.
    return float(1.4826 * np.median(np.abs(steps)) / np.sqrt(2))


@dataclass(frozen=True)
class _Few:
    """Some labelled particles: table (particle_id, run, label), sides and images in one order."""

    table: pd.DataFrame
    sides: np.ndarray
    tensors: TensorSet


def _few(labelled: LabelledSet, split: SplitKind, config: AugmentationConfig) -> _Few:
    """The particles that both networks learn from and are asked about, held in memory."""
    most = {TRAIN: config.most_of_label, VALIDATION: max(config.most_of_label // 3, 1), TEST: _TEST_OF_LABEL}
    sides = thin(labelled.table, sides_of(labelled, split), most)
    rows = np.flatnonzero(sides != NOT_USED)
    table = labelled.table.iloc[rows][["particle_id", "run", "label"]].reset_index(drop=True)
    return _Few(table, sides.to_numpy()[rows], _tensors_of([labelled.tensors.native(int(i)) for i in rows], table))


def _joined(real: _Few, crops: list[np.ndarray], label: str) -> _Few:
    """The same particles with drawn ones to learn from."""
    names = [f"drawn_{i}" for i in range(len(crops))]
    drawn = pd.DataFrame({"particle_id": names, "run": DRAWN_RUN, "label": label})
    table = pd.concat([real.table, drawn], ignore_index=True)
    sides = np.concatenate([real.sides, np.full(len(crops), TRAIN, dtype=object)])
    every = [real.tensors.native(i) for i in range(len(real.table))] + crops
    return _Few(table, sides, _tensors_of(every, table))


def _tensors_of(crops: list[np.ndarray], table: pd.DataFrame) -> TensorSet:
    shapes = np.array([crop.shape for crop in crops], dtype=np.int32)
    sizes = shapes.astype(np.int64).prod(axis=1)
    return TensorSet(
        images=np.stack([to_network_input(crop, 2 * IMAGE_PX) for crop in crops]),
        particle_ids=table["particle_id"].to_numpy(),
        pixels=np.concatenate([crop.ravel() for crop in crops]),
        shapes=shapes,
        offsets=np.cumsum(sizes) - sizes,
    )
