"""Saving a model again with another card, as if it had been trained otherwise."""

from pathlib import Path

from upath import UPath

from icecore_dagster.learning.models.card import EXPORT_FILE, ModelCard, ModelKind, load_model, save_model


def save_again(root: UPath | Path, kind: ModelKind, **changes: object) -> ModelCard:
    """Make the current model current with these fields of its card changed; its files stay as they are."""
    card, weights = load_model(root, kind)
    exported = root / card.content_hash / EXPORT_FILE
    return save_model(
        root, card.model_copy(update=changes), weights, exported.read_bytes() if exported.exists() else None
    )
