"""The autoencoders: which kinds there are, how one is built from its numbers, and how images go through it.

They learn to draw dust again from a few numbers; what they draw badly is unlike dust. The kinds are those of the
reference study: of dense layers, of convolutions, and variational (Kingma & Welling 2013, arXiv:1312.6114).
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

import cv2
import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import nn

    class ParticleAutoencoder(nn.Module):
        """The shape of what `build_autoencoder` builds, for type checkers; torch is imported only when it is used."""

        code: nn.Linear

        def encode(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
            """Codes (n, latent), and the logarithms of their variances where the kind is variational."""
            ...

        def decode(self, codes: torch.Tensor) -> torch.Tensor:
            """Images (n, 1, size, size) drawn from codes (n, latent)."""
            ...


IMAGE_PX = 64
"""Side of the images; a quarter of the networks' pixels, for speed."""
PREPARATION_VERSION = 2
"""Raised whenever `contrast_of` would give other values for the same image."""
BATCH_SIZE = 64


@dataclass(frozen=True)
class AutoencoderPlan:
    """One autoencoder: convolutions of stride two, dense layers, the code, and the same backwards.

    Attributes:
        key: name in partitions and files.
        convolutions: channels of each block convolution 3x3 stride 2 - ReLU; none for dense layers only.
        hidden: units of the dense layer on either side of the code.
        latent: numbers in the code.
        variational: whether the code is a distribution that is held near the standard normal one.
    """

    key: str
    convolutions: tuple[int, ...]
    hidden: int
    latent: int
    variational: bool


AUTOENCODERS: dict[str, AutoencoderPlan] = {
    plan.key: plan
    for plan in (
        AutoencoderPlan("vanilla", (), 128, 16, False),
        AutoencoderPlan("convolutional", (8, 16, 32), 64, 16, False),
        AutoencoderPlan("variational", (8, 16, 32), 64, 16, True),
    )
}


class Reconstruction(NamedTuple):
    """What a pass through an autoencoder gives.

    Attributes:
        errors: float64 (n,), mean squared difference of contrast between image and reconstruction, no unit; the larger,
            the less like dust.
        codes: float32 (n, latent).
    """

    errors: np.ndarray
    codes: np.ndarray


def autoencoder_plan(key: str) -> AutoencoderPlan:
    """The registered autoencoder of that name.

    Raises:
        ValueError: there is none.
    """
    if key not in AUTOENCODERS:
        raise ValueError(f"no autoencoder {key!r}; known: {', '.join(AUTOENCODERS)}")
    return AUTOENCODERS[key]


def build_autoencoder(plan: AutoencoderPlan) -> "ParticleAutoencoder":
    """Build an autoencoder with fresh weights from torch's current random state.

    Args:
        plan: its numbers.

    Returns:
        A module on float32 (n, 1, IMAGE_PX, IMAGE_PX) whose `encode` gives codes and whose `decode` draws images.
    """
    import torch
    from torch import nn

    class Autoencoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = _encoder(plan)
            self.code = nn.Linear(plan.hidden, plan.latent)
            self.spread = nn.Linear(plan.hidden, plan.latent) if plan.variational else None
            self.decoder = _decoder(plan)

        def encode(self, images: "torch.Tensor") -> "tuple[torch.Tensor, torch.Tensor | None]":
            seen = self.encoder(images)
            return self.code(seen), None if self.spread is None else self.spread(seen)

        def decode(self, codes: "torch.Tensor") -> "torch.Tensor":
            return self.decoder(codes)

    # Convolutions on a CPU run faster in this layout.
    return cast("ParticleAutoencoder", Autoencoder().to(memory_format=torch.channels_last))


def contrast_of(images: np.ndarray) -> np.ndarray:
    """Images as autoencoders take them: how much darker or lighter than its own background each pixel is.

    grey / background - 1, where the background is the median grey of the image's outermost pixels: a run's background
    and lamp then count as nothing strange. Pixels are averaged two by two.

    Args:
        images: uint8 (n, 128, 128), squashed by `tensors.to_network_input`.

    Returns:
        float32 (n, 64, 64), no unit; 0 is the background, -1 is black.

    Raises:
        ValueError: the images are not twice as wide and high as an autoencoder's.
    """
    if images.shape[1:] != (2 * IMAGE_PX, 2 * IMAGE_PX):
        raise ValueError(f"autoencoders take images of {2 * IMAGE_PX} x {2 * IMAGE_PX} pixels, not {images.shape[1:]}")
    halved = np.empty((len(images), IMAGE_PX, IMAGE_PX), np.float32)
    for i, image in enumerate(images):
        halved[i] = cv2.resize(image, (IMAGE_PX, IMAGE_PX), interpolation=cv2.INTER_AREA)
    border = [halved[:, 0], halved[:, -1], halved[:, 1:-1, 0], halved[:, 1:-1, -1]]
    # At least one grey level: a black border has no contrast to speak of.
    background = np.maximum(np.median(np.concatenate(border, axis=1), axis=1), 1)[:, None, None]
    return halved / background - 1


def run_autoencoder(
    autoencoder: "ParticleAutoencoder", images: np.ndarray, *, batch_size: int = BATCH_SIZE
) -> Reconstruction:
    """Pass images through a trained autoencoder: the middle of each code, nothing random and no gradients.

    Every batch has the same size (the last is filled up), so that an image's result does not depend on how many
    others it came with.

    Args:
        autoencoder: from `build_autoencoder`, with weights loaded.
        images: uint8 (n, 128, 128), squashed by `tensors.to_network_input`; a memory map is read batch by batch.
        batch_size: images at a time.
    """
    errors, codes = [np.empty(0)], list[np.ndarray]()
    for contrast, coded, drawn in _passes(autoencoder, images, batch_size):
        errors.append(((contrast - drawn) ** 2).mean(axis=(1, 2), dtype=np.float64))
        codes.append(coded)
    nothing = np.empty((0, autoencoder.code.out_features), np.float32)
    return Reconstruction(np.concatenate(errors), np.concatenate([nothing, *codes]))


def redraw(autoencoder: "ParticleAutoencoder", images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What an autoencoder is shown of some images, and what it draws: float32 (n, 64, 64) each, as `contrast_of`."""
    shown = [(contrast, drawn) for contrast, _, drawn in _passes(autoencoder, images, BATCH_SIZE)]
    return np.concatenate([contrast for contrast, _ in shown]), np.concatenate([drawn for _, drawn in shown])


def _passes(
    autoencoder: "ParticleAutoencoder", images: np.ndarray, batch_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Contrast, code and reconstruction of batch after batch."""
    import torch

    autoencoder.eval()
    with torch.inference_mode():
        for start in range(0, len(images), batch_size):
            contrast = contrast_of(images[start : start + batch_size])
            full = np.zeros((batch_size, 1, IMAGE_PX, IMAGE_PX), np.float32)
            full[: len(contrast), 0] = contrast
            codes, _ = autoencoder.encode(torch.from_numpy(full))
            drawn = autoencoder.decode(codes)
            yield contrast, codes[: len(contrast)].numpy(), drawn[: len(contrast), 0].numpy()


def _encoder(plan: AutoencoderPlan) -> "nn.Sequential":
    from torch import nn

    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels, side = 1, IMAGE_PX
    for number, width in enumerate(plan.convolutions, start=1):
        layers[f"conv_{number}"] = nn.Conv2d(channels, width, 3, stride=2, padding=1)
        layers[f"relu_{number}"] = nn.ReLU()
        channels, side = width, side // 2
    layers["flatten"] = nn.Flatten()
    layers["dense"] = nn.Linear(channels * side * side, plan.hidden)
    layers["dense_relu"] = nn.ReLU()
    return nn.Sequential(layers)


def _decoder(plan: AutoencoderPlan) -> "nn.Sequential":
    from torch import nn

    side = IMAGE_PX // 2 ** len(plan.convolutions)
    channels = plan.convolutions[-1] if plan.convolutions else 1
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["code"] = nn.Linear(plan.latent, plan.hidden)
    layers["code_relu"] = nn.ReLU()
    layers["dense"] = nn.Linear(plan.hidden, channels * side * side)
    layers["unflatten"] = nn.Unflatten(1, (channels, side, side))
    widths = (*reversed(plan.convolutions[:-1]), 1) if plan.convolutions else ()
    for number, width in enumerate(widths, start=1):
        layers[f"relu_{number}"] = nn.ReLU()
        # Four channels become one of twice the side (Shi et al. 2016, arXiv:1609.05158): the convolution runs on a
        # quarter of the pixels, which takes half the time of a transposed one (measured).
        layers[f"conv_{number}"] = nn.Conv2d(channels, 4 * width, 3, padding=1)
        layers[f"enlarge_{number}"] = nn.PixelShuffle(2)
        channels = width
    return nn.Sequential(layers)
