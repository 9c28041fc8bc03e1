"""Model files: what a saved model says about itself, and how it is saved, found again and checked.

A model is a folder named by its content hash, holding the weights and `card.json`; `current.json` beside the folders
names the one in use. Weights are safetensors or LightGBM text: formats that hold numbers, never code to run.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from upath import UPath

from icecore_dagster.learning.energy import EnergyUse
from icecore_dagster.learning.networks.transforms import TransformSpec
from icecore_dagster.particles.tables.store import atomic_files

FORMAT_VERSION = 1
CARD_FILE, CURRENT_FILE = "card.json", "current.json"

ModelKind = Literal["network", "trees", "forest", "map", "dense", "autoencoder", "siamese"]
WEIGHTS_FILE: dict[ModelKind, str] = {
    "network": "weights.safetensors",
    "trees": "trees.txt",
    "forest": "forest.safetensors",
    "map": "map.safetensors",
    "dense": "weights.safetensors",
    "autoencoder": "weights.safetensors",
    "siamese": "weights.safetensors",
}
EXPORT_FILE = "network.onnx"
"""A network as it is run to score, beside its weights."""
_NOT_CONTENT = {"content_hash", "created_at", "energy", "exported_sha256"}
"""Fields about the act of training and exporting, not about the model: the same training twice gives the same hash."""


class ModelNotFoundError(FileNotFoundError):
    """No model has been saved where one is needed."""


class ModelMismatchError(ValueError):
    """A model cannot be used for what it is asked to score, or its files are not what was saved."""


class ModelCard(BaseModel):
    """Everything about a saved model but its weights.

    Attributes:
        kind: what sort of model it is.
        format_version: of the folder's layout.
        task: key of the task; None for models that serve every task.
        classes: in the order of the outputs.
        architecture: key of the network's architecture.
        features: columns in the order that the model expects.
        transform: how a network's images are prepared.
        medians: what stands in for a missing property.
        built_on: content hash of each model that this one was made from, by kind.
        training_data: version of each asset that was learnt from, by name.
        split_kind: how the labelled particles were divided, "by run" or "by image".
        metrics: results on held-out particles, JSON values.
        config: how the model was trained, JSON values.
        energy: what the training cost; None if not tracked.
        library_versions: of the libraries that made the weights.
        created_at: when, with time zone.
        weights_sha256: of the weights file.
        exported_sha256: of the file that is run to score; empty where the weights file is.
        content_hash: of the weights and of every field but the energy, the time, the exported file and this one.
    """

    model_config = ConfigDict(frozen=True)

    kind: ModelKind
    format_version: int = FORMAT_VERSION
    task: str | None = None
    classes: tuple[str, ...] = ()
    architecture: str | None = None
    features: tuple[str, ...] = ()
    transform: TransformSpec | None = None
    medians: dict[str, float] = {}
    built_on: dict[str, str] = {}
    training_data: dict[str, str]
    split_kind: str
    metrics: dict[str, Any]
    config: dict[str, Any]
    energy: EnergyUse | None = None
    library_versions: dict[str, str]
    created_at: datetime
    weights_sha256: str = ""
    exported_sha256: str = ""
    content_hash: str = ""

    def sealed(self, weights: bytes) -> "ModelCard":
        """The card with the hashes that bind it to its weights."""
        bound = self.model_copy(update={"weights_sha256": hashlib.sha256(weights).hexdigest()})
        content = bound.model_dump(mode="json", exclude=_NOT_CONTENT)
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return bound.model_copy(update={"content_hash": digest})


@dataclass(frozen=True)
class Provenance:
    """Where a model comes from: what the training itself cannot know.

    Attributes:
        training_data: version of each asset that was learnt from, by name.
        split_kind: how the labelled particles were divided, "by run" or "by image".
        energy: what the training cost; None if not tracked.
    """

    training_data: dict[str, str]
    split_kind: str
    energy: EnergyUse | None = None


def save_model(root: UPath | Path, card: ModelCard, weights: bytes, exported: bytes | None = None) -> ModelCard:
    """Save a model and make it the current one; a failure on the way leaves the former one current.

    Args:
        root: folder of this model, local or remote; earlier contents stay beside the new.
        card: everything but the hashes.
        weights: content of the weights file.
        exported: content of the file that is run to score, where that is another.

    Returns:
        The card as saved, with its hashes.
    """
    if exported is not None:
        card = card.model_copy(update={"exported_sha256": hashlib.sha256(exported).hexdigest()})
    card = card.sealed(weights)
    folder = root / card.content_hash
    contents = {
        folder / WEIGHTS_FILE[card.kind]: weights,
        **({} if exported is None else {folder / EXPORT_FILE: exported}),
        folder / CARD_FILE: card.model_dump_json(indent=2).encode(),
        # Last, so that it never names a model that is not complete.
        root / CURRENT_FILE: json.dumps({"format_version": FORMAT_VERSION, "content_hash": card.content_hash}).encode(),
    }
    with atomic_files(list(contents)) as parts:
        for part, content in zip(parts, contents.values(), strict=True):
            part.write_bytes(content)
    return card


def current_hash(root: UPath | Path) -> str | None:
    """Content hash of the model in use, or None if none was saved."""
    pointer = root / CURRENT_FILE
    return json.loads(pointer.read_text())["content_hash"] if pointer.exists() else None


def load_model(root: UPath | Path, kind: ModelKind) -> tuple[ModelCard, bytes]:
    """Read the current model's card and weights and hold both against their hashes.

    Args:
        root: folder of this model, local or remote.
        kind: what sort of model is expected.

    Raises:
        ModelNotFoundError: none was saved there.
        ModelMismatchError: another kind or format, or files that are not those that were saved.
    """
    card, folder = _current_card(root, kind)
    try:
        weights = (folder / WEIGHTS_FILE[kind]).read_bytes()
    except FileNotFoundError as error:
        raise ModelNotFoundError(f"{folder} lacks {WEIGHTS_FILE[kind]}: train the model again") from error
    if not card.sealed(weights).content_hash == card.content_hash == folder.name:
        raise ModelMismatchError(f"{folder}: card or weights were changed after saving; restore them or train again")
    return card, weights


def load_exported(root: UPath | Path, kind: ModelKind) -> tuple[ModelCard, bytes]:
    """Read the current model's card, and the file that is run to score, and hold both against their hashes.

    Args:
        root: folder of this model, local or remote.
        kind: what sort of model is expected.

    Raises:
        ModelNotFoundError: none was saved there, or it was not exported.
        ModelMismatchError: another kind or format, or files that are not those that were saved.
    """
    card, _ = load_model(root, kind)
    path = root / card.content_hash / EXPORT_FILE
    if not card.exported_sha256 or not path.exists():
        raise ModelNotFoundError(f"{path} is missing, without which nothing is scored: train the {kind} model again")
    exported = path.read_bytes()
    if hashlib.sha256(exported).hexdigest() != card.exported_sha256:
        raise ModelMismatchError(f"{path} was changed after saving; restore it or train the {kind} model again")
    return card, exported


def load_card(root: UPath | Path, kind: ModelKind) -> ModelCard:
    """Read the current model's card and leave its weights, against which nothing is held; raises as `load_model`."""
    return _current_card(root, kind)[0]


def check_fits(
    card: ModelCard,
    *,
    task: str | None = None,
    classes: Sequence[str] | None = None,
    architecture: str | None = None,
    transform: TransformSpec | None = None,
    available: Sequence[str] | None = None,
) -> None:
    """Refuse a model that does not fit what is to be scored; what is not given is not compared.

    Args:
        card: the model's.
        task: key of the task to score for.
        classes: the task's, in order.
        architecture: that the network should have.
        transform: how images are prepared now.
        available: columns of the particles to score.

    Raises:
        ModelMismatchError: naming the difference and what to do.
    """
    again = f"train the {card.kind} model again"
    if task is not None and card.task != task:
        raise ModelMismatchError(f"the {card.kind} model was trained for task {card.task}, not {task}; {again}")
    if classes is not None and card.classes != tuple(classes):
        raise ModelMismatchError(
            f"the {card.kind} model tells apart {list(card.classes)}, the task has {list(classes)}; {again}"
        )
    if architecture is not None and card.architecture != architecture:
        raise ModelMismatchError(f"the network is of architecture {card.architecture}, not {architecture}; {again}")
    if transform is not None and card.transform != transform:
        raise ModelMismatchError(
            f"the network was trained on images prepared by {card.transform}, not by {transform} as now; {again}"
        )
    if available is not None and (missing := [name for name in card.features if name not in set(available)]):
        raise ModelMismatchError(
            f"the {card.kind} model needs the properties {missing}, which the particles lack; measure them, or {again}"
        )


def _current_card(root: UPath | Path, kind: ModelKind) -> tuple[ModelCard, UPath | Path]:
    """The card of the model in use, and the model's folder."""
    digest = current_hash(root)
    if digest is None:
        raise ModelNotFoundError(f"no {kind} model in {root}: train it first")
    folder = root / digest
    card = _read_card(folder / CARD_FILE)
    if card.format_version != FORMAT_VERSION:
        raise ModelMismatchError(
            f"{folder}: format {card.format_version}, this version reads {FORMAT_VERSION}; train the model again"
        )
    if card.kind != kind:
        raise ModelMismatchError(
            f"{folder} holds a {card.kind} model where a {kind} is expected; look at its folder's name"
        )
    return card, folder


def _read_card(path: UPath | Path) -> ModelCard:
    try:
        return ModelCard.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise ModelNotFoundError(f"{path} is missing: train the model again") from error
    except ValidationError as error:
        raise ModelMismatchError(
            f"{path} is not a model card of this version ({error}); train the model again"
        ) from error
