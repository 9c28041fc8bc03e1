"""The nearest particles, from a stream of which only the best so far are kept."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from icecore_dagster.scoring.similar import Metric, Places, distances, nearest

N, D = 500, 6


@pytest.fixture
def places() -> Places:
    rng = np.random.default_rng(4)
    vectors = rng.normal(size=(N, D)).astype(np.float32)
    vectors[17] = np.nan
    vectors[3] = vectors[4]
    return Places("0_20", np.array([f"p{i:03d}" for i in range(N)], dtype=object), vectors)


def _cut(places: Places, rows: int) -> Iterator[Places]:
    for i in range(0, N, rows):
        yield Places(places.segment, places.particle_ids[i : i + rows], places.vectors[i : i + rows])


@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("rows", [7, 100, N])
def test_the_nearest_are_those_of_the_whole_however_it_is_cut(places: Places, metric: Metric, rows: int) -> None:
    vector = places.vectors[42]
    whole = pd.DataFrame({"particle_id": places.particle_ids, "distance": distances(places.vectors, vector, metric)})
    expected = whole[whole["particle_id"] != "p042"].sort_values(["distance", "particle_id"]).head(12)
    found, searched = nearest(_cut(places, rows), vector, 12, metric, without="p042")
    assert found["particle_id"].tolist() == expected["particle_id"].tolist()
    np.testing.assert_allclose(found["distance"], expected["distance"], atol=1e-12)
    assert searched == N - 2


def test_fewer_than_asked_for_are_all_given(places: Places) -> None:
    found, searched = nearest(_cut(places, 60), places.vectors[0], 10_000, Metric.COSINE)
    assert (len(found), searched) == (N - 1, N - 1)


def test_distances_are_those_of_the_definitions() -> None:
    vectors = np.array([[2.0, 0], [0, 3], [-1, 0], [0, 0], [np.nan, 0]])
    np.testing.assert_allclose(distances(vectors, np.array([1.0, 0]), Metric.COSINE), [0, 1, 2, 1, np.nan])
    np.testing.assert_allclose(distances(vectors, np.array([1.0, 0]), Metric.EUCLIDEAN), [1, np.sqrt(10), 2, 1, np.nan])
