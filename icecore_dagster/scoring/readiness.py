"""Can segments be scored now? Asked of the models' cards alone, without loading a model."""

from pathlib import Path

from upath import UPath

from icecore_dagster.learning.features.sets import MEASURED
from icecore_dagster.learning.models.card import (
    ModelCard,
    ModelKind,
    ModelMismatchError,
    ModelNotFoundError,
    load_exported,
    load_model,
)
from icecore_dagster.learning.quality import good_enough


def why_not_ready(models_root: UPath | Path, task: str, architecture: str, features: str = MEASURED) -> str:
    """What keeps segments from being scored: a model that is missing, changed, not good enough, or of another network.

    Args:
        models_root: folder of the trained models, local or remote.
        task: key of the task to predict.
        architecture: of the image network.
        features: key of the feature set of the trees.

    Returns:
        The first obstacle in words; empty where there is none.
    """
    places: dict[ModelKind, UPath | Path] = {
        "network": models_root / "cnn_model" / task / architecture,
        "trees": models_root / "lightgbm_model" / task / features,
        "forest": models_root / "isolation_forest",
        "map": models_root / "synthetic_umap",
    }
    cards: dict[str, ModelCard] = {}
    try:
        for kind, place in places.items():
            cards[kind], _ = (load_exported if kind == "network" else load_model)(place, kind)
    except (ModelNotFoundError, ModelMismatchError) as error:
        return str(error)
    for kind in ("network", "trees", "forest"):
        quality = good_enough(cards[kind])
        if not quality.passed:
            return f"the {kind} model is not good enough: {quality.summary}"
    if cards["map"].built_on.get("network") != cards["network"].content_hash:
        return "the map of the labelled particles is of another network than the current one"
    return ""
