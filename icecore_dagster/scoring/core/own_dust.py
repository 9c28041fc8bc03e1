"""How odd a particle is among those of its own core: the core is its own measure of what dust is."""

import numpy as np
import pandas as pd

from icecore_dagster.learning.anomaly.forest import ForestConfig, grow_in_crowd
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.properties import FEATURES
from icecore_dagster.particles.tables.schemas import SEGMENT_PARTICLES
from icecore_dagster.particles.tables.store import count_rows, stream_table

ODDNESS = "core_anomaly_score"
GROWN_FROM = 50_000
"""Particles of a core that its forest is grown from at most: as many as all trees together can see."""


def core_anomaly(lab: Laboratory, core: str, segments: list[str], seed: int = 0) -> pd.DataFrame:
    """Score the particles of a core by a forest grown on an even sample of themselves, a block at a time.

    Args:
        lab: the laboratory.
        core: such as GRIP_3046.
        segments: those to look at.
        seed: of the sample and of the forest.

    Returns:
        particle_id and core_anomaly_score (more negative is odder), one row a particle, in the order of the tables.
    """
    stored = [lab.store.table(SEGMENT_PARTICLES.name, core, segment) for segment in segments]
    total = sum(count_rows(path) for path in stored)
    share, rng = min(1.0, GROWN_FROM / max(total, 1)), np.random.default_rng(seed)
    sample = [block[rng.random(len(block)) < share] for path in stored for block in stream_table(path, list(FEATURES))]
    forest = grow_in_crowd(pd.concat(sample, ignore_index=True), ForestConfig(seed=seed))
    scored = [
        pd.DataFrame({"particle_id": block["particle_id"], ODDNESS: forest.score(block)})
        for path in stored
        for block in stream_table(path, ["particle_id", *FEATURES])
    ]
    return pd.concat(scored, ignore_index=True)
