"""The map of particles: UMAP of the network's embedding, and where further particles fall on it.

The map is fitted once on some ten thousand particles; the millions of the ice are placed on it by their neighbours,
which costs a bounded amount of memory and never moves the map.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import faiss

FEWEST_PARTICLES = 5
_A_CELL, _CELLS_SEARCHED = 120, 4
"""Fitted particles in a cell on average, and cells that are looked through for neighbours."""
_FEWEST_IN_CELLS = 1_000
"""Fewer fitted particles are all looked at."""


@dataclass(frozen=True)
class MapConfig:
    """How a map is fitted; the values are those of Maffezzoli et al. 2023.

    Attributes:
        n_neighbors: neighbours whose distances the map tries to keep.
        min_dist: how close two points may lie.
        set_op_mix_ratio: 1 joins neighbourhoods, 0 intersects them.
    """

    n_neighbors: int = 25
    min_dist: float = 0.6
    set_op_mix_ratio: float = 0.8


@dataclass(frozen=True)
class FittedMap:
    """A map with what is needed to place further particles.

    Attributes:
        coordinates: float32 (n, 2), where each fitted particle lies; no unit.
        vectors: float32 (n, d), what they were fitted from.
        config: how it was fitted.
        seed: of the fit.
    """

    coordinates: np.ndarray
    vectors: np.ndarray
    config: MapConfig
    seed: int

    @cached_property
    def neighbours(self) -> "faiss.Index":
        """The fitted particles, so that the nearest are found fast.

        Many are kept in cells about the centres of k-means, and only the cells nearest to what is sought are looked
        through (Jegou et al. 2011, IEEE TPAMI 33, 117-128). Several of the fifteen are then some that are a little
        farther; where a particle falls keeps its quality (`umap_place_trustworthiness` in `benchmarks/`).
        """
        import faiss

        vectors = np.ascontiguousarray(self.vectors, dtype=np.float32)
        cells = len(vectors) // _A_CELL if len(vectors) >= _FEWEST_IN_CELLS else 1
        # One cell for few, too: a search through cells subtracts before it squares, so that small distances are exact.
        index = faiss.IndexIVFFlat(faiss.IndexFlatL2(vectors.shape[1]), vectors.shape[1], cells)
        index.nprobe = _CELLS_SEARCHED
        index.cp.min_points_per_centroid = 1  # One centre of few particles is no reason to warn.
        index.train(vectors)
        index.add(vectors)
        return index


def fit_map(vectors: np.ndarray, seed: int, config: MapConfig | None = None) -> FittedMap:
    """Lay particles out on a plane so that neighbours stay neighbours (McInnes et al. 2018, arXiv:1802.03426).

    Args:
        vectors: float (n, d), one embedding a particle; the fit takes minutes for a hundred thousand.
        seed: the same seed gives the same map.
        config: how to fit.

    Returns:
        The map, with the vectors it was fitted from.

    Raises:
        ValueError: fewer than five particles, or a vector that is not finite.
    """
    config = config or MapConfig()
    points = np.ascontiguousarray(vectors, dtype=np.float32)
    if len(points) < FEWEST_PARTICLES:
        raise ValueError(f"{len(points)} particles are too few for a map; it needs at least {FEWEST_PARTICLES}")
    if not np.isfinite(points).all():
        raise ValueError("embeddings hold values that are not finite: leave out particles without an image")
    import umap

    reducer = umap.UMAP(
        n_neighbors=min(config.n_neighbors, len(points) - 1),
        min_dist=config.min_dist,
        set_op_mix_ratio=config.set_op_mix_ratio,
        init="spectral" if len(points) > 50 else "random",
        random_state=seed,
        n_jobs=1,
    )
    return FittedMap(np.asarray(reducer.fit_transform(points), dtype=np.float32), points, config, seed)


def place_on_map(fitted: FittedMap, vectors: np.ndarray, *, neighbors: int = 15) -> np.ndarray:
    """Place further particles at the mean of their nearest fitted neighbours, weighted by inverse distance.

    Approximate: a particle unlike all fitted ones still lands among those it is least unlike. Each particle is placed
    by itself, so that the result does not depend on which others came with it.

    Args:
        fitted: the map.
        vectors: float (m, d), finite.
        neighbors: how many fitted particles decide.

    Returns:
        float32 (m, 2); a fitted particle lands on its own place.

    Raises:
        ValueError: the vectors have another dimension than the map's.
    """
    if vectors.shape[1] != fitted.vectors.shape[1]:
        raise ValueError(
            f"the map was fitted on {fitted.vectors.shape[1]} dimensions, not {vectors.shape[1]}: map this network"
        )
    if len(vectors) == 0:
        return np.empty((0, 2), dtype=np.float32)
    points = np.ascontiguousarray(vectors, dtype=np.float32)
    squared, index = fitted.neighbours.search(points, min(neighbors, len(fitted.vectors)))
    distance = np.sqrt(squared.astype(np.float64))
    distance[index < 0] = np.inf  # The cells searched held fewer.
    # Far below any distance between particles that differ, and far above rounding: an exact hit takes all the weight.
    weight = 1.0 / np.maximum(distance, 1e-9 * max(1.0, float(np.abs(fitted.vectors).max())))
    weight /= weight.sum(axis=1, keepdims=True)
    return np.einsum("nk,nkc->nc", weight, fitted.coordinates[index].astype(np.float64)).astype(np.float32)
