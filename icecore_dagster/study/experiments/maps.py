"""Maps of particles: the labelled ones, a share of the ice, and how well neighbours stay neighbours on them."""

from collections.abc import Iterator

import numpy as np

from icecore_dagster.learning.labelled_map import fit_labelled_map
from icecore_dagster.learning.maps import MapConfig
from icecore_dagster.learning.models.files import load_map
from icecore_dagster.particles.tables.schemas import MAP, SEGMENT_EMBEDDING
from icecore_dagster.particles.tables.store import count_rows, write_table
from icecore_dagster.scoring.files import DEFAULT_ARCHITECTURE, DEFAULT_TASK
from icecore_dagster.scoring.ice_map import map_ice
from icecore_dagster.study.bench import Bench
from icecore_dagster.study.measurement import Measurement

_MOST_TRUSTED = 4_000
"""Trustworthiness compares all pairs: a sample keeps that bounded."""
_NEIGHBOURS = 15
STUDY_SHARE = 0.15


def labelled_map(bench: Bench) -> Iterator[Measurement]:
    """UMAP of the labelled particles by the scoring network's embedding."""
    mapped = fit_labelled_map(
        bench.lab,
        DEFAULT_TASK,
        DEFAULT_ARCHITECTURE,
        MapConfig(),
        most=bench.size.mapped,
        seed=bench.size.seed,
        country=bench.country,
    )
    write_table(bench.lab.store.table("synthetic_umap"), mapped.points, MAP)
    fitted = load_map(bench.lab.store.models / "synthetic_umap").fitted
    model = f"UMAP of {DEFAULT_ARCHITECTURE}'s embedding"
    yield Measurement("maps.labelled.particles", DEFAULT_TASK, model, "labelled particles mapped", len(mapped.points))
    trust = _trustworthiness(fitted.vectors, fitted.coordinates, bench.size.seed)
    yield Measurement(
        "maps.labelled.trustworthiness",
        DEFAULT_TASK,
        model,
        f"trustworthiness, {_NEIGHBOURS} neighbours",
        trust,
        n=min(len(fitted.vectors), _MOST_TRUSTED),
        note="1: whatever is near on the map is near in the embedding (Venna & Kaski 2001)",
    )


def _trustworthiness(vectors: np.ndarray, coordinates: np.ndarray, seed: int) -> float:
    from sklearn.manifold import trustworthiness

    rows = np.random.default_rng(seed).permutation(len(vectors))[:_MOST_TRUSTED]
    return float(trustworthiness(vectors[rows], coordinates[rows], n_neighbors=_NEIGHBOURS))


def ice_map(bench: Bench) -> Iterator[Measurement]:
    """UMAP fitted on the study's share of the ice alone."""
    lab = bench.lab
    points = map_ice(lab, share=STUDY_SHARE, most=bench.size.mapped, seed=bench.size.seed)
    write_table(lab.store.table("ice_umap"), points, MAP)
    every = sum(count_rows(path) for path in lab.store.tables(SEGMENT_EMBEDDING.name))
    yield Measurement(
        "maps.ice.share",
        DEFAULT_TASK,
        "UMAP of ice alone",
        "share of the ice that the map is fitted on",
        len(points) / every,
        n=len(points),
        note="all ice is placed on the labelled map besides",
    )
    predicted = points["class"].value_counts(normalize=True)
    yield Measurement(
        "maps.ice.dust",
        DEFAULT_TASK,
        "UMAP of ice alone",
        "share of mapped ice predicted dust",
        float(predicted.get("dust", 0.0)),
        n=len(points),
    )
