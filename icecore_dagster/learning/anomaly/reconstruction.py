"""Training an autoencoder on dust alone, and measuring by its errors how well it tells dust from the rest.

Training dust is learnt from, validation dust decides when to stop, and test particles are only reported on.
"""

import logging
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from icecore_dagster.learning.anomaly.autoencoders import (
    AutoencoderPlan,
    Reconstruction,
    autoencoder_plan,
    build_autoencoder,
    contrast_of,
    run_autoencoder,
)
from icecore_dagster.learning.anomaly.separation import DUST, Separation, separation_from, separation_of
from icecore_dagster.learning.networks.training import LabelledDataError, torch_set_up
from icecore_dagster.particles.split import TEST, TRAIN, VALIDATION

if TYPE_CHECKING:
    import torch

    from icecore_dagster.learning.anomaly.autoencoders import ParticleAutoencoder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AutoencoderConfig:
    """How an autoencoder is trained.

    Attributes:
        epochs: at most so many passes over the training dust.
        patience: stop after so many epochs without a lower validation loss.
        learning_rate: of Adam.
        batch_size: images a step.
        noise_contrast: standard deviation of the contrast that a variational autoencoder takes for noise: the smaller,
            the less its codes are held near the standard normal distribution.
        seed: of initial weights, order, turning of images and drawing of codes.
        threads: of the processor; None for torch's choice.
    """

    epochs: int = 60
    patience: int = 8
    learning_rate: float = 0.002
    batch_size: int = 32
    noise_contrast: float = 0.1
    seed: int = 0
    threads: int | None = None


@dataclass(frozen=True)
class DustAutoencoder:
    """A trained autoencoder with everything needed to score.

    Attributes:
        kind: key in the registry.
        module: the autoencoder, with weights.
        held_out_dust_errors: float64 (m,), errors of dust that it did not learn from, ascending.
    """

    kind: str
    module: "ParticleAutoencoder"
    held_out_dust_errors: np.ndarray

    def reconstruct(self, images: np.ndarray) -> Reconstruction:
        """Errors, the larger the less like dust, and codes of images, uint8 (n, 128, 128)."""
        return run_autoencoder(self.module, images)

    def dust_share_worse(self, errors: np.ndarray) -> np.ndarray:
        """Share of held-out dust with at least as large an error: the rate at which dust would be taken for a find.

        Args:
            errors: float (n,), from `reconstruct`; NaN where there is no image.

        Returns:
            float64 (n,), 0 to 1, NaN where the error is; 0 means less than one in as many as were held out.
        """
        return share_worse(self.held_out_dust_errors, errors)


def share_worse(held_out: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Share of held-out errors, ascending, that are at least as large as each error; NaN where the error is."""
    share = 1 - np.searchsorted(held_out, errors, side="left") / len(held_out)
    return np.where(np.isnan(errors), np.nan, share)


@dataclass(frozen=True)
class TrainedAutoencoder:
    """A trained autoencoder and how it came about.

    Attributes:
        model: the autoencoder, ready to score.
        config: how it was trained.
        state: the best epoch's weights by name.
        history: one row an epoch: epoch, train_loss, validation_loss, seconds. The loss is the mean squared difference
            of contrast, and for a variational autoencoder the negative evidence bound in the same unit.
        best_epoch: epoch that `state` is of.
        trained_on: number of dust particles learnt from.
        separation: of test dust from the other test particles; None if no other label was in the test.
        separation_from_unknown: of test dust from drawn particles of no known class; None if not asked for.
    """

    model: DustAutoencoder
    config: AutoencoderConfig
    state: dict[str, "torch.Tensor"]
    history: pd.DataFrame
    best_epoch: int
    trained_on: int
    separation: Separation | None
    separation_from_unknown: Separation | None


def train_autoencoder(
    images: np.ndarray,
    labels: Collection[str],
    splits: Collection[str],
    kind: str,
    config: AutoencoderConfig | None = None,
    runs: Collection[str] | None = None,
    unknown: np.ndarray | None = None,
) -> TrainedAutoencoder:
    """Train an autoencoder on the training dust and measure it on test particles.

    Args:
        images: uint8 (n, 128, 128), the labelled particles' images; a memory map will do.
        labels: label key of each; only "dust" is learnt from.
        splits: "train", "validation" or "test" of each.
        kind: key in the registry.
        config: how to train.
        runs: run of each particle, for the intervals of the areas; None for none.
        unknown: uint8 (m, 128, 128), images of particles that no class covers; None to leave them out.

    Raises:
        LabelledDataError: no dust to learn from, to stop by or to test on.
        ValueError: unknown kind, or a loss that is no number.
    """
    config = config or AutoencoderConfig()
    label, side = np.asarray(list(labels), dtype=object), np.asarray(list(splits), dtype=object)
    dust = {name: np.flatnonzero((label == DUST) & (side == name)) for name in (TRAIN, VALIDATION, TEST)}
    if empty := [name for name, rows in dust.items() if not len(rows)]:
        raise LabelledDataError(f"no labelled dust in {' and '.join(empty)}: add dust runs and split again")
    fitted = fit_to_images(images[dust[TRAIN]], images[dust[VALIDATION]], kind, config)
    test = np.flatnonzero(side == TEST)
    errors = run_autoencoder(fitted.module, images[test]).errors
    is_dust = label[test] == DUST
    of_dust = errors[is_dust]
    stopped_by = run_autoencoder(fitted.module, images[dust[VALIDATION]]).errors
    run_of = None if runs is None else np.asarray(list(runs), dtype=object)[test]
    strange = None if unknown is None else run_autoencoder(fitted.module, unknown).errors
    return TrainedAutoencoder(
        # Validation dust only chose the epoch: with it, the share of dust is known twice as finely.
        model=DustAutoencoder(kind, fitted.module, np.sort(np.concatenate([of_dust, stopped_by]))),
        config=config,
        state=fitted.state,
        history=fitted.history,
        best_epoch=fitted.best_epoch,
        trained_on=len(dust[TRAIN]),
        separation=separation_of(errors, label[test], run_of),
        separation_from_unknown=None
        if strange is None
        else separation_from(of_dust, strange, None if run_of is None else run_of[is_dust]),
    )


@dataclass(frozen=True)
class ImageFit:
    """An autoencoder fitted to images; attributes as those of `TrainedAutoencoder`."""

    module: "ParticleAutoencoder"
    state: dict[str, "torch.Tensor"]
    history: pd.DataFrame
    best_epoch: int


def fit_to_images(train: np.ndarray, validation: np.ndarray, kind: str, config: AutoencoderConfig) -> ImageFit:
    """Fit an autoencoder to images, whatever they show, and keep the weights with the lowest validation loss.

    Args:
        train: uint8 (n, 128, 128), images to learn from.
        validation: uint8 (m, 128, 128), images that decide when to stop.
        kind: key in the registry.
        config: how to train.
    """
    import torch
    from tqdm import tqdm

    plan = autoencoder_plan(kind)
    learn, ask = (torch.from_numpy(contrast_of(images)).unsqueeze(1) for images in (train, validation))
    history: list[dict[str, float]] = []
    best_loss, best_epoch, best_state = np.inf, 0, dict[str, torch.Tensor]()
    with torch_set_up(config.seed, config.threads, "cpu"):
        module = build_autoencoder(plan)
        optimiser = torch.optim.Adam(module.parameters(), lr=config.learning_rate)
        for epoch in tqdm(range(1, config.epochs + 1), desc=f"{kind} autoencoder", unit="epoch", disable=None):
            started = time.perf_counter()
            loss = _one_epoch(module, optimiser, learn, plan, config)
            if not np.isfinite(loss):
                raise ValueError(f"training loss is {loss} in epoch {epoch}: lower the learning rate")
            asked = _loss_of_all(module, ask, plan, config)
            seconds = time.perf_counter() - started
            history.append({"epoch": epoch, "train_loss": loss, "validation_loss": asked, "seconds": seconds})
            if asked < best_loss:
                best_loss, best_epoch = asked, epoch
                best_state = {name: value.detach().clone() for name, value in module.state_dict().items()}
            elif epoch - best_epoch >= config.patience:
                break
        module.load_state_dict(best_state)
    log.info("%s autoencoder: best of %d epochs is %d, loss %.3g", kind, len(history), best_epoch, best_loss)
    return ImageFit(module.eval(), best_state, pd.DataFrame(history).astype({"epoch": int}), best_epoch)


def _one_epoch(
    module: "ParticleAutoencoder",
    optimiser: "torch.optim.Optimizer",
    images: "torch.Tensor",
    plan: AutoencoderPlan,
    config: AutoencoderConfig,
) -> float:
    """Learn from every image once, each turned and mirrored at random: particles lie as they please."""
    module.train()
    total = 0.0
    for batch in _batches(images, config.batch_size):
        optimiser.zero_grad(set_to_none=True)
        loss = _loss(module, _turned(batch), plan, config)
        loss.backward()
        optimiser.step()
        total += loss.item() * len(batch)
    return total / len(images)


def _loss_of_all(
    module: "ParticleAutoencoder", images: "torch.Tensor", plan: AutoencoderPlan, config: AutoencoderConfig
) -> float:
    import torch

    module.eval()
    with torch.inference_mode():
        batches = images.split(config.batch_size)
        return sum(_loss(module, batch, plan, config).item() * len(batch) for batch in batches) / len(images)


def _loss(
    module: "ParticleAutoencoder", images: "torch.Tensor", plan: AutoencoderPlan, config: AutoencoderConfig
) -> "torch.Tensor":
    """Mean squared difference a pixel; variational: with the code's divergence from the standard normal, and noise.

    The negative evidence bound of Kingma & Welling 2013 (appendix B) for normal noise of standard deviation s is
    sum((x - y)^2) / (2 s^2) - sum(1 + log v - m^2 - v) / 2 a particle; here it is multiplied by 2 s^2 / pixels.
    """
    import torch

    middles, log_variances = module.encode(images)
    if not plan.variational or log_variances is None:
        return torch.nn.functional.mse_loss(module.decode(middles), images)
    codes = middles
    if module.training:
        codes = middles + torch.randn_like(middles) * torch.exp(0.5 * log_variances)
    divergence = -0.5 * (1 + log_variances - middles**2 - log_variances.exp()).sum(dim=1).mean()
    weight = 2 * config.noise_contrast**2 / images[0].numel()
    return torch.nn.functional.mse_loss(module.decode(codes), images) + weight * divergence


def _batches(images: "torch.Tensor", batch_size: int) -> "Iterator[torch.Tensor]":
    import torch

    yield from (images[rows] for rows in torch.randperm(len(images)).split(batch_size))


def _turned(images: "torch.Tensor") -> "torch.Tensor":
    """Every image in one of the eight ways to lay a square, drawn from torch's generator."""
    import torch

    turned = images.clone()
    across, upside_down, diagonal = torch.rand(3, len(images)) < 0.5
    turned[across] = turned[across].flip(-1)
    turned[upside_down] = turned[upside_down].flip(-2)
    turned[diagonal] = turned[diagonal].transpose(-1, -2)
    return turned
