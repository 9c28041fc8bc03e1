"""Placing further particles on a fitted map, beside umap-learn's own transform."""

import time

import numpy as np

from benchmarks.rows import Row, rate, row
from icecore_dagster.learning.maps import FittedMap, MapConfig, place_on_map

FITTED, PLACED, BY_PEER, WIDTH, KINDS = 20_000, 100_000, 2_000, 64, 12
NEIGHBOURS = 15


def place_on_maps() -> list[Row]:
    """Rows a second, and how well the neighbourhoods of what was placed are kept.

    The vectors are drawn: clusters of uneven size and spread in 64 dimensions, cut off at zero as a network's
    activations are.
    """
    import umap

    fitted_from, placed = _vectors(FITTED, 1), _vectors(PLACED, 2)
    config = MapConfig()
    reducer = umap.UMAP(
        n_neighbors=config.n_neighbors,
        min_dist=config.min_dist,
        set_op_mix_ratio=config.set_op_mix_ratio,
        random_state=0,
        n_jobs=1,
    )
    coordinates = reducer.fit_transform(fitted_from).astype(np.float32)
    fitted = FittedMap(coordinates, fitted_from, config, seed=0)
    some = placed[:BY_PEER]
    reducer.transform(placed[-10:])  # compiled at its first use
    began = time.perf_counter()
    theirs = reducer.transform(some)
    peer = len(some) / (time.perf_counter() - began)
    ours = rate(lambda: len(place_on_map(fitted, placed)))
    own = place_on_map(fitted, some)
    return [
        row("umap_place", "particles/s", ours, peer),
        row("umap_place_trustworthiness", "0 to 1", *(_kept(some, places)[0] for places in (own, theirs))),
        row("umap_place_continuity", "0 to 1", *(_kept(some, places)[1] for places in (own, theirs))),
    ]


def _vectors(n: int, seed: int) -> np.ndarray:
    kinds = np.random.default_rng(0)
    centres, spread = kinds.normal(0, 2, (KINDS, WIDTH)), kinds.uniform(0.3, 1.5, KINDS)
    share = kinds.dirichlet(np.ones(KINDS))
    rng = np.random.default_rng(seed)
    kind = rng.choice(KINDS, size=n, p=share)
    return np.maximum(centres[kind] + rng.normal(size=(n, WIDTH)) * spread[kind, None], 0).astype(np.float32)


def _kept(vectors: np.ndarray, places: np.ndarray) -> tuple[float, float]:
    """Trustworthiness and continuity (Venna & Kaski 2001, ICANN, 485-491): the latter is the former the other way."""
    from sklearn.manifold import trustworthiness

    return (
        float(trustworthiness(vectors, places, n_neighbors=NEIGHBOURS)),
        float(trustworthiness(places, vectors, n_neighbors=NEIGHBOURS)),
    )
