"""The map of the ice itself: UMAP fitted on a share of every segment's particles, all cores together."""

import numpy as np
import pandas as pd

from icecore_dagster.learning.maps import fit_map
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.tables.schemas import SEGMENT_ANOMALY_SCORES, SEGMENT_EMBEDDING, SEGMENT_PREDICTIONS
from icecore_dagster.particles.tables.store import count_rows, read_table


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
        embedded = read_table(path)
        rng = np.random.default_rng([seed, *"|".join(cell).encode()])
        sample = embedded[embedded["map_x"].notna()]
        if len(sample):
            sample = sample.sample(max(1, round(share * len(sample))), random_state=rng).sort_index()
        for table, column in ((SEGMENT_PREDICTIONS, "predicted_class"), (SEGMENT_ANOMALY_SCORES, "anomaly_score")):
            scores = read_table(lab.store.table(table.name, *cell), ["particle_id", column])
            sample = sample.merge(scores, on="particle_id", how="left", validate="one_to_one")
        samples.append(sample)
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
