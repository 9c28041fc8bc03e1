"""From the labelled dust to a saved isolation forest or autoencoder, measured in energy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from icecore_dagster.learning.anomaly.autoencoders import redraw
from icecore_dagster.learning.anomaly.forest import ForestConfig, TrainedForest, train_forest
from icecore_dagster.learning.anomaly.reconstruction import AutoencoderConfig, TrainedAutoencoder, train_autoencoder
from icecore_dagster.learning.anomaly.separation import DUST, Curves, curves_of
from icecore_dagster.learning.anomaly.strangers import STRANGERS, draw_strangers
from icecore_dagster.learning.energy import measure_energy
from icecore_dagster.learning.labelled_set import (
    SplitKind,
    open_labelled_set,
    provenance_of,
    sides_of,
)
from icecore_dagster.learning.models.autoencoder_file import save_autoencoder
from icecore_dagster.learning.models.card import ModelCard
from icecore_dagster.learning.models.files import save_forest
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.properties import FEATURES
from icecore_dagster.particles.split import TEST, TRAIN

UNKNOWN = "unknown"
"""What drawn particles of no known class are called in tables of scores."""
_EXAMPLES = 4
"""Particles of each class that are drawn again to be looked at."""


@dataclass(frozen=True)
class FittedForest:
    """A grown forest and what came of it.

    Attributes:
        card: under which it was saved.
        trained: the forest.
        scores: label and anomaly_score of held-out labelled particles and of drawn ones of no known class ("unknown").
        curves: what a threshold trades, for other labels and for the unknown against held-out dust, by name.
    """

    card: ModelCard
    trained: TrainedForest
    scores: pd.DataFrame
    curves: Mapping[str, Curves]


@dataclass(frozen=True)
class FittedAutoencoder:
    """A trained autoencoder and what came of it.

    Attributes:
        card: under which it was saved.
        trained: the autoencoder.
        scores: label, reconstruction_error and the code's first principal components component_1 and component_2 of
            test particles and of drawn ones of no known class ("unknown").
        component_shares: shares of the codes' variance that the two components hold.
        curves: as those of `FittedForest`.
        redrawn: by label, what the autoencoder was shown and what it drew: float32 (k, 64, 64) each, contrast.
    """

    card: ModelCard
    trained: TrainedAutoencoder
    scores: pd.DataFrame
    component_shares: tuple[float, float]
    curves: Mapping[str, Curves]
    redrawn: Mapping[str, tuple[np.ndarray, np.ndarray]]


def fit_forest(
    lab: Laboratory,
    config: ForestConfig,
    *,
    columns: Sequence[str] = FEATURES,
    split: SplitKind = SplitKind.BY_RUN,
    strangers: int = STRANGERS,
    country: str = "DNK",
) -> FittedForest:
    """Grow the isolation forest on labelled dust and save it as `models/isolation_forest`.

    Args:
        lab: the laboratory.
        config: how to grow it.
        columns: properties to learn from.
        split: which division of the labelled particles to use.
        strangers: particles of no known class to draw and to measure the forest on as well.
        country: ISO code of the country whose electricity is used.
    """
    labelled = open_labelled_set(lab)
    sides = sides_of(labelled, split)
    unknown = draw_strangers(strangers, config.seed).properties
    table = labelled.table
    with measure_energy(country) as meter:
        trained = train_forest(table, table["label"], sides, config, columns, table["run"], unknown)
    card = save_forest(lab.store.models / "isolation_forest", trained, provenance_of(labelled, split, meter.use))
    held_out = table[sides != TRAIN]
    scores = pd.DataFrame(
        {
            "label": [*held_out["label"], *[UNKNOWN] * len(unknown)],
            "anomaly_score": np.concatenate([trained.model.score(held_out), trained.model.score(unknown)]),
        }
    )
    return FittedForest(card, trained, scores, _curves(scores["label"], -scores["anomaly_score"]))


def fit_autoencoder(
    lab: Laboratory,
    kind: str,
    config: AutoencoderConfig,
    *,
    split: SplitKind = SplitKind.BY_RUN,
    strangers: int = STRANGERS,
    country: str = "DNK",
) -> FittedAutoencoder:
    """Train an autoencoder on labelled dust and save it as `models/autoencoder/<kind>`.

    Args:
        lab: the laboratory.
        kind: key in the registry of autoencoders.
        config: how to train.
        split: which division of the labelled particles to use.
        strangers: particles of no known class to draw and to measure the autoencoder on as well.
        country: ISO code of the country whose electricity is used.
    """
    labelled = open_labelled_set(lab)
    sides, labels = sides_of(labelled, split), labelled.table["label"]
    unknown = draw_strangers(strangers, config.seed).images
    with measure_energy(country) as meter:
        trained = train_autoencoder(
            labelled.tensors.images, labels, sides, kind, config, labelled.table["run"], unknown
        )
    provenance = provenance_of(labelled, split, meter.use)
    card = save_autoencoder(lab.store.models / "autoencoder" / kind, trained, provenance)
    test = np.flatnonzero(sides == TEST)
    images = np.concatenate([labelled.tensors.images[test], unknown])
    named = pd.Series([*labels.iloc[test], *[UNKNOWN] * len(unknown)], dtype=object)
    errors, codes = trained.model.reconstruct(images)
    places, shares = _principal_components(codes)
    scores = pd.DataFrame(
        {
            "label": named,
            "reconstruction_error": errors,
            "component_1": places[:, 0],
            "component_2": places[:, 1],
        }
    )
    redrawn = {
        str(label): redraw(trained.model.module, images[_some(rows)])
        for label, rows in named.groupby(named).groups.items()
    }
    return FittedAutoencoder(card, trained, scores, shares, _curves(named, scores["reconstruction_error"]), redrawn)


def _curves(labels: pd.Series, anomalousness: pd.Series) -> dict[str, Curves]:
    """What a threshold trades, for known labels and for no known class, each against the same dust."""
    is_unknown, is_dust, score = labels == UNKNOWN, labels == DUST, anomalousness.to_numpy(dtype=np.float64)
    curves = {}
    for name, others in (("other labels", ~is_unknown & ~is_dust), ("no known class (drawn)", is_unknown)):
        if others.any():
            among = (others | is_dust).to_numpy()
            curves[name] = curves_of(score[among], others.to_numpy()[among])
    return curves


def _principal_components(codes: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """The two directions in which codes (n, latent) vary most: places float64 (n, 2), and their shares of variance."""
    centred = codes.astype(np.float64) - codes.mean(axis=0, dtype=np.float64)
    _, lengths, directions = np.linalg.svd(centred, full_matrices=False)
    shares = lengths**2 / max(float((lengths**2).sum()), 1e-12)
    return centred @ directions[:2].T, (float(shares[0]), float(shares[1]))


def _some(rows: pd.Index) -> np.ndarray:
    """A few of a class's rows, from first to last, so that they are of several runs."""
    places = np.linspace(0, len(rows) - 1, min(_EXAMPLES, len(rows))).astype(int)
    return rows.to_numpy()[places]
