import numpy as np
import pytest

from icecore_dagster.learning.anomaly.familiarity import learn_familiarity

RNG = np.random.default_rng(3)
MIDDLES = np.array([[0.0, 0.0, 0.0], [20.0, 0.0, 0.0]])
SPREAD = np.array([1.0, 3.0, 0.1])


def _cloud(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % 2
    return MIDDLES[targets] + rng.normal(size=(n, 3)) * SPREAD, targets


def test_known_particles_are_ordinary_and_others_are_strange():
    known, targets = _cloud(600, 0)
    familiar = learn_familiarity(known, targets, _cloud(600, 1)[0])
    ordinary = familiar.strangeness(_cloud(600, 2)[0])
    assert 0.4 < ordinary.mean() < 0.6
    assert (ordinary > 0.99).mean() < 0.05
    assert (familiar.strangeness(np.array([[10.0, 0.0, 0.0], [0.0, 30.0, 0.0]])) > 0.99).all()


def test_distance_is_counted_in_standard_deviations():
    known, targets = _cloud(4_000, 0)
    familiar = learn_familiarity(known, targets, known)
    along_the_wide_axis, along_the_narrow_one = familiar.distance(np.array([[0.0, 3.0, 0.0], [3.0, 0.0, 0.0]]))
    assert along_the_wide_axis == pytest.approx(1, rel=0.1)
    assert along_the_narrow_one == pytest.approx(3, rel=0.1)


def test_without_held_out_particles_or_with_an_empty_class_nothing_is_learnt():
    known, targets = _cloud(20, 0)
    with pytest.raises(ValueError, match="held out"):
        learn_familiarity(known, targets, known[:0])
    with pytest.raises(ValueError, match="class 1 has no particle"):
        learn_familiarity(known[targets == 0], np.array([0, 2] * 5), known)


def test_what_the_embedding_has_forgotten_is_seen_in_the_properties():
    known, targets = _cloud(600, 0)
    rng = np.random.default_rng(5)
    skewed = np.exp(rng.normal(0, 2, (600, 2)))
    skewed[:, 1] = skewed[:, 0] * np.exp(rng.normal(0, 0.05, 600))
    familiar = learn_familiarity(known[:400], targets[:400], known[400:], skewed[:400], skewed[400:])
    usual, odd = np.array([[3.0, 3.0]]), np.array([[3.0, 0.3]])
    assert familiar.strangeness(known[:1], usual)[0] < 0.9
    assert familiar.strangeness(known[:1], odd)[0] > 0.99
    assert np.isfinite(familiar.distance(known[:1], np.array([[np.nan, 1e12]]))).all()
    with pytest.raises(ValueError, match="2 properties were learnt from, 0 are given"):
        familiar.distance(known)


def test_a_class_of_a_single_particle_does_not_claim_everything():
    known, targets = _cloud(300, 0)
    alone = np.vstack([known, [[0.0, 200.0, 0.0]]])
    familiar = learn_familiarity(alone, np.append(targets, 2), _cloud(300, 1)[0])
    assert familiar.strangeness(np.array([[0.0, 120.0, 0.0]]))[0] == 1
