"""From the labelled particles to a saved map of them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from icecore_dagster.learning.energy import measure_energy
from icecore_dagster.learning.labelled_set import SplitKind, open_labelled_set, provenance_of
from icecore_dagster.learning.maps import MapConfig, fit_map
from icecore_dagster.learning.models.card import ModelCard
from icecore_dagster.learning.models.files import load_forest, load_network, save_map
from icecore_dagster.learning.networks.training import run_on_rows
from icecore_dagster.learning.networks.transforms import TransformSpec
from icecore_dagster.learning.trees.boosting import feature_matrix
from icecore_dagster.particles.laboratory import Laboratory


@dataclass(frozen=True)
class MappedParticles:
    """The card of a saved map, and a row a labelled particle: particle_id, run, class, anomaly_score, map_x, map_y."""

    card: ModelCard
    points: pd.DataFrame


def fit_labelled_map(
    lab: Laboratory, task: str, architecture: str, config: MapConfig, *, most: int, seed: int, country: str = "DNK"
) -> MappedParticles:
    """Map the labelled particles by a network's embedding and save the map as `models/synthetic_umap`.

    Args:
        lab: the laboratory.
        task: task of the network whose embedding is mapped.
        architecture: its architecture.
        config: how the map is fitted.
        most: particles to map at most; more are sampled, the same share of each label.
        seed: of the sample and of the fit.
        country: ISO code of the country whose electricity is used.
    """
    labelled = open_labelled_set(lab)
    model = load_network(lab.store.models / "cnn_model" / task / architecture)
    rows = sample_evenly(labelled.table["label"], most, seed)
    chosen = labelled.table.iloc[rows].reset_index(drop=True)
    transform = model.card.transform or TransformSpec()
    properties = feature_matrix(labelled.table, model.card.features)
    with measure_energy(country) as meter:
        seen = run_on_rows(model.network, labelled.tensors, rows, transform, properties)
        fitted = fit_map(seen.embeddings, seed, config)
    provenance = replace(provenance_of(labelled, SplitKind.BY_RUN, meter.use), split_kind=model.card.split_kind)
    card = save_map(lab.store.models / "synthetic_umap", fitted, model.card, provenance)
    forest = load_forest(lab.store.models / "isolation_forest").forest
    points = pd.DataFrame(
        {
            "particle_id": chosen["particle_id"],
            "run": chosen["run"],
            "class": chosen["label"],
            "anomaly_score": forest.score(chosen),
            "map_x": fitted.coordinates[:, 0],
            "map_y": fitted.coordinates[:, 1],
        }
    )
    return MappedParticles(card, points)


def sample_evenly(groups: pd.Series, most: int, seed: int) -> np.ndarray:
    """Positions of at most `most` rows, the same share of every group, in ascending order: int64 (m,).

    Args:
        groups: group of each row.
        most: how many rows at most; every group keeps at least one.
        seed: the same seed takes the same rows.
    """
    if len(groups) <= most:
        return np.arange(len(groups))
    rng = np.random.default_rng(seed)
    return np.sort(np.concatenate(list(_shares(groups, most / len(groups), rng))))


def _shares(groups: pd.Series, share: float, rng: np.random.Generator) -> Iterator[np.ndarray]:
    positions = pd.Series(np.arange(len(groups)))
    for _, members in positions.groupby(groups.to_numpy(), sort=True):
        yield rng.choice(members.to_numpy(), max(1, int(share * len(members))), replace=False)
