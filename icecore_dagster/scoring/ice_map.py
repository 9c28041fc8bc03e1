"""The ice of all cores on two maps: all of it on that of the labelled particles, a share of it on a map of its own."""

import numpy as np
import pandas as pd

from icecore_dagster.learning.maps import fit_map
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.tables.schemas import SEGMENT_ANOMALY_SCORES, SEGMENT_EMBEDDING, SEGMENT_PREDICTIONS
from icecore_dagster.particles.tables.store import column_names, count_rows, find_rows, read_table


class NothingToMapError(ValueError):
    """No segment has been embedded."""


def map_ice(lab: Laboratory, *, share: float, most: int, seed: int) -> pd.DataFrame:
    """Fit a map on a sample of every embedded segment.

    Args:
        lab: the laboratory.
        share: share of each segment's particles to take (0-1].
        most: particles at most; a larger share is cut to this.
        seed: of the sample and of the fit.

    Returns:
        `schemas.MAP`: one row a sampled particle, class being the predicted one.

    Raises:
        NothingToMapError: no segment has been embedded.
    """
    stored = lab.store.tables(SEGMENT_EMBEDDING.name)
    total = sum(count_rows(path) for path in stored)
    if not total:
        raise NothingToMapError(f"no embedded segment in {lab.store.root}; score one first")
    share = min(share, most / total)
    samples = []
    for path in stored:
        cell = (path.parent.name, path.stem)
        rng = np.random.default_rng([seed, *"|".join(cell).encode()])
        placed = read_table(path, ["particle_id", "map_x"]).dropna(subset="map_x")["particle_id"]
        chosen = placed.sample(max(1, round(share * len(placed))), random_state=rng) if len(placed) else placed
        # The coordinates of a million particles would fill a gigabyte.
        samples.append(_with_scores(lab, cell, find_rows(path, "particle_id", set(chosen), column_names(path))))
    points = pd.concat(samples, ignore_index=True)
    if points.empty:
        raise NothingToMapError(f"no scored particle in {lab.store.root} has an image; there is nothing to map")
    vectors = points[[c for c in points if str(c).startswith("e_")]].to_numpy(dtype=np.float32)
    coordinates = fit_map(vectors, seed).coordinates
    return pd.DataFrame(
        {
            "particle_id": points["particle_id"],
            "run": points["run"],
            "class": points["predicted_class"],
            "anomaly_score": points["anomaly_score"],
            "map_x": coordinates[:, 0],
            "map_y": coordinates[:, 1],
        }
    )


def placed_ice(lab: Laboratory) -> pd.DataFrame:
    """Every embedded particle of the ice where it lies on the map of the labelled particles.

    Args:
        lab: the laboratory.

    Returns:
        class (the predicted one), anomaly_score, map_x and map_y, one row a particle; some 25 bytes each.

    Raises:
        NothingToMapError: no segment has been embedded.
    """
    places = []
    for path in lab.store.tables(SEGMENT_EMBEDDING.name):
        places.append(
            _with_scores(lab, (path.parent.name, path.stem), read_table(path, ["particle_id", "map_x", "map_y"]))
            .drop(columns="particle_id")
            .astype({"anomaly_score": np.float32})
        )
    if not places:
        raise NothingToMapError(f"no embedded segment in {lab.store.root}; score one first")
    return pd.concat(places, ignore_index=True).rename(columns={"predicted_class": "class"})


def _with_scores(lab: Laboratory, cell: tuple[str, str], particles: pd.DataFrame) -> pd.DataFrame:
    """Particles of a segment with their predicted class and anomaly score, missing where they have none."""
    for table, column in ((SEGMENT_PREDICTIONS, "predicted_class"), (SEGMENT_ANOMALY_SCORES, "anomaly_score")):
        scores = read_table(lab.store.table(table.name, *cell), ["particle_id", column])
        particles = particles.merge(scores, on="particle_id", how="left", validate="one_to_one")
    return particles
