import numpy as np
import pytest

from icecore_dagster.learning.maps import FittedMap, MapConfig, fit_map, place_on_map


def _clusters(n: int = 90) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.normal(0, 0.3, (n, 8)) + 10 * np.eye(8)[np.arange(n) % 3]).astype(np.float32)


@pytest.fixture(scope="module")
def fitted() -> FittedMap:
    """Three clusters far apart, laid out by hand: placing needs no UMAP."""
    vectors = _clusters()
    corners = np.array([[0, 0], [10, 0], [0, 10]])[np.arange(len(vectors)) % 3]
    return FittedMap((corners + vectors[:, :2] / 10).astype(np.float32), vectors, MapConfig(), seed=4)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_map_and_like_lies_with_like() -> None:
    first, again = (fit_map(_clusters(), seed=4) for _ in range(2))
    np.testing.assert_array_equal(again.coordinates, first.coordinates)
    assert (first.coordinates.shape, first.coordinates.dtype) == ((90, 2), np.float32)
    assert first.config == MapConfig(n_neighbors=25, min_dist=0.6, set_op_mix_ratio=0.8)
    assert len(fit_map(_clusters(6), seed=0).coordinates) == 6
    middles = np.stack([first.coordinates[i::3].mean(axis=0) for i in range(3)])
    nearest = np.linalg.norm(first.coordinates[:, None] - middles, axis=2).argmin(axis=1)
    np.testing.assert_array_equal(nearest, np.arange(90) % 3)


def test_a_fitted_particle_lands_on_its_own_place(fitted: FittedMap) -> None:
    np.testing.assert_allclose(place_on_map(fitted, fitted.vectors), fitted.coordinates, atol=1e-4)


def test_a_new_particle_lands_among_its_like(fitted: FittedMap) -> None:
    new = (10 * np.eye(8)[1] + 0.05).astype(np.float32)[None]
    place = place_on_map(fitted, new)[0]
    middles = np.stack([fitted.coordinates[i::3].mean(axis=0) for i in range(3)])
    assert np.linalg.norm(middles - place, axis=1).argmin() == 1


def test_a_place_does_not_depend_on_who_else_is_placed(fitted: FittedMap) -> None:
    new = np.random.default_rng(1).normal(3, 3, (8, 8)).astype(np.float32)
    alone = np.concatenate([place_on_map(fitted, row[None]) for row in new])
    np.testing.assert_allclose(place_on_map(fitted, new), alone, atol=1e-5)


def test_too_few_particles_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        fit_map(_clusters(4), seed=0)


def test_unfit_vectors_are_refused(fitted: FittedMap) -> None:
    with pytest.raises(ValueError, match="dimensions"):
        place_on_map(fitted, np.zeros((2, 9), np.float32))
    with pytest.raises(ValueError, match="without an image"):
        fit_map(np.full((10, 8), np.nan), seed=0)


def test_among_many_fitted_particles_the_nearest_decide() -> None:
    from sklearn.neighbors import NearestNeighbors

    rng = np.random.default_rng(8)
    centres = rng.normal(size=(30, 16)) * 3
    fitted_at, new = ((centres[rng.integers(30, size=n)] + rng.normal(size=(n, 16))).astype("f") for n in (5_000, 300))
    places = rng.normal(size=(5_000, 2)).astype("f")
    fitted = FittedMap(places, fitted_at, MapConfig(), seed=1)
    distance, index = NearestNeighbors(n_neighbors=15, algorithm="brute").fit(fitted_at).kneighbors(new)
    expected = (places[index] / distance[:, :, None]).sum(axis=1) / (1 / distance).sum(axis=1)[:, None]
    off = np.abs(place_on_map(fitted, new) - expected).max(axis=1)
    assert (off < 1e-3).mean() > 0.99
    np.testing.assert_allclose(place_on_map(fitted, fitted_at[:40]), places[:40], atol=1e-4)
