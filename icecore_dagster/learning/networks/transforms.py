"""What happens to an image between the disk and the network: normalisation always, random changes in training only.

The random changes are those of the reference study, in its order: crop of 80 px from the native image, resize,
normalise, horizontal flip, vertical flip, Gaussian blur; and one that it did not make, a flip at the diagonal before
the blur. Each draw comes from the generator that the caller passes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from icecore_dagster.learning.networks.tensors import NETWORK_INPUT_PX, to_network_input
from icecore_dagster.particles.segment import border_grey

if TYPE_CHECKING:
    import torch

TRANSFORM_VERSION = 2
"""Raised whenever the same specification would give other pixels than before."""


@dataclass(frozen=True)
class TransformSpec:
    """How images are prepared; recorded with every network, compared before it scores.

    Attributes:
        version: of the code that applies it.
        size_px: side of the square that an image is squashed to.
        grey_mean: subtracted from the grey values (0-255).
        grey_sd: what they are then divided by.
        crop_probability: how often a training image is replaced by a random part of itself.
        crop_px: side of that part, cut from the native pixels.
        crop_padding_grey: grey that surrounds an image smaller than `crop_px` before the cut.
        horizontal_flip_probability: how often a training image is mirrored left to right.
        vertical_flip_probability: how often it is mirrored top to bottom.
        transpose_probability: how often it is then mirrored at its diagonal, which the study did not do; with both
            flips as often as not, an image comes in its eight positions alike.
        blur_probability: how often it is blurred.
        blur_kernel_px: side of the Gaussian kernel.
        blur_sigma_px: smallest and largest standard deviation of the Gaussian, drawn uniformly.
    """

    version: int = TRANSFORM_VERSION
    size_px: int = NETWORK_INPUT_PX
    grey_mean: float = 60.0
    grey_sd: float = 30.0
    crop_probability: float = 0.10
    crop_px: int = 80
    crop_padding_grey: int = 0
    horizontal_flip_probability: float = 0.10
    vertical_flip_probability: float = 0.10
    transpose_probability: float = 0.0
    blur_probability: float = 0.10
    blur_kernel_px: int = 5
    blur_sigma_px: tuple[float, float] = (0.1, 2.0)


def normalise(images: np.ndarray, spec: TransformSpec) -> "torch.Tensor":
    """Prepare stored images for validation, test and scoring: nothing random.

    Args:
        images: uint8 (n, size, size), squashed by `to_network_input`.
        spec: mean and standard deviation to use.

    Returns:
        float32 (n, 1, size, size), channels last in memory.
    """
    import torch

    grey = torch.from_numpy(np.array(images, dtype=np.float32)).unsqueeze(1)
    return grey.sub_(spec.grey_mean).div_(spec.grey_sd).contiguous(memory_format=torch.channels_last)


def augment(
    images: np.ndarray, native: Callable[[int], np.ndarray], spec: TransformSpec, generator: "torch.Generator"
) -> "torch.Tensor":
    """Prepare stored images for training, with the study's random changes.

    Only the few images that are cropped are read and squashed again from their native pixels.

    Args:
        images: uint8 (n, size, size), squashed by `to_network_input`.
        native: native crop, uint8 (h, w), of the i-th of these images.
        spec: probabilities and sizes.
        generator: where every draw comes from; the same state gives the same result.

    Returns:
        float32 (n, 1, size, size).
    """
    import torch

    draws = torch.rand(len(images), 7, generator=generator)
    crop, mirror, flip, blur, down, across, spread = draws.unbind(dim=1)
    changed = np.array(images)
    for i in torch.nonzero(crop < spec.crop_probability).flatten().tolist():
        whole = native(i)
        part = random_part(whole, spec, float(down[i]), float(across[i]))
        # A part's own border may lie inside the particle.
        changed[i] = to_network_input(part, spec.size_px, background_grey=float(border_grey(whole)))
    batch = normalise(changed, spec)
    mirrored = mirror < spec.horizontal_flip_probability
    batch[mirrored] = batch[mirrored].flip(-1)
    flipped = flip < spec.vertical_flip_probability
    batch[flipped] = batch[flipped].flip(-2)
    if spec.transpose_probability:
        # Drawn only where it is asked for, so that the study's own changes stay what they were.
        transposed = torch.rand(len(images), generator=generator) < spec.transpose_probability
        batch[transposed] = batch[transposed].transpose(-2, -1)
    blurred = blur < spec.blur_probability
    low, high = spec.blur_sigma_px
    batch[blurred] = gaussian_blur(batch[blurred], low + (high - low) * spread[blurred], spec.blur_kernel_px)
    return batch


def random_part(crop: np.ndarray, spec: TransformSpec, down: float, across: float) -> np.ndarray:
    """Cut a square of `spec.crop_px` out of a crop, padding on both sides where the crop is smaller.

    Args:
        crop: uint8 (h, w).
        spec: side of the square and grey of the padding.
        down: where from the topmost (0) to the lowest (1) possible place.
        across: where from the leftmost (0) to the rightmost (1) possible place.

    Returns:
        uint8 (crop_px, crop_px).
    """
    side = spec.crop_px
    pad_y, pad_x = (max(0, side - extent) for extent in crop.shape)
    padded = cv2.copyMakeBorder(crop, pad_y, pad_y, pad_x, pad_x, cv2.BORDER_CONSTANT, value=[spec.crop_padding_grey])
    height, width = padded.shape
    top, left = int(down * (height - side + 1)), int(across * (width - side + 1))
    return padded[top : top + side, left : left + side]


def gaussian_blur(batch: "torch.Tensor", sigma_px: "torch.Tensor", kernel_px: int) -> "torch.Tensor":
    """Blur each image with its own Gaussian, edges mirrored.

    Args:
        batch: float32 (n, 1, h, w).
        sigma_px: float (n,), standard deviation for each image.
        kernel_px: odd side of the kernel.

    Returns:
        float32 (n, 1, h, w).
    """
    import torch.nn.functional as nnf
    from torch import arange, exp

    n, _, height, width = batch.shape
    if n == 0:
        return batch
    half = kernel_px // 2
    distance = arange(-half, half + 1, dtype=batch.dtype)
    weights = exp(-0.5 * (distance / sigma_px[:, None]) ** 2)
    weights = weights / weights.sum(dim=1, keepdim=True)
    # One group an image, so that a single convolution applies a different kernel to each.
    planes = nnf.pad(batch.reshape(1, n, height, width), (half, half, half, half), mode="reflect")
    planes = nnf.conv2d(planes, weights[:, None, None, :], groups=n)
    planes = nnf.conv2d(planes, weights[:, None, :, None], groups=n)
    return planes.reshape(n, 1, height, width)
