"""Is a particle like anything that a network has seen? Distance to the known classes in the network's embedding.

One Gaussian a class with a covariance that all share; the distance to the nearest (Lee et al. 2018, NeurIPS 31,
7167-7177, without its input perturbation). Known particles that the network did not learn from set the scale.
"""

from dataclasses import dataclass

import numpy as np

ORDINARY_SHARE = 0.99
"""Share of held-out known particles that are called ordinary."""


@dataclass(frozen=True)
class Familiarity:
    """What the known classes look like in a network's embedding.

    Attributes:
        means: float64 (classes, d), middle of each class.
        whitening: float64 (d, d), turns a difference into standard deviations.
        held_out: float64 (m,), distances of known particles that nothing was learnt from, ascending.
    """

    means: np.ndarray
    whitening: np.ndarray
    held_out: np.ndarray

    def distance(self, embeddings: np.ndarray) -> np.ndarray:
        """Distance to the nearest class, in standard deviations.

        Args:
            embeddings: float (n, d).

        Returns:
            float64 (n,).
        """
        return _distance(embeddings, self.means, self.whitening)

    def strangeness(self, embeddings: np.ndarray) -> np.ndarray:
        """Share of the held-out known particles that lie nearer to a class: float64 (n,), 0 to 1."""
        return np.searchsorted(self.held_out, self.distance(embeddings)) / len(self.held_out)


def learn_familiarity(embeddings: np.ndarray, targets: np.ndarray, held_out: np.ndarray) -> Familiarity:
    """Learn what known particles look like.

    Args:
        embeddings: float (n, d), of particles of known class.
        targets: int (n,), class of each, 0 to classes - 1; every class occurs.
        held_out: float (m, d), of known particles that are not among them.

    Returns:
        The classes' middles, their common spread and the held-out distances.

    Raises:
        ValueError: nothing is held out, or a class has no particle.
    """
    if len(held_out) == 0:
        raise ValueError("no known particles were held out to set the scale of strangeness")
    counts = np.bincount(targets)
    if (counts == 0).any():
        raise ValueError(f"class {int(np.argmin(counts))} has no particle to learn from")
    vectors = np.asarray(embeddings, np.float64)
    means = np.stack([vectors[targets == i].mean(axis=0) for i in range(len(counts))])
    spread = np.cov((vectors - means[targets]).T)
    # Activations that are nearly always zero have hardly any variance: shrink towards a ball.
    spread += 0.01 * np.trace(spread) / len(spread) * np.eye(len(spread))
    values, directions = np.linalg.eigh(spread)
    whitening = directions / np.sqrt(values)
    return Familiarity(means, whitening, np.sort(_distance(held_out, means, whitening)))


def _distance(embeddings: np.ndarray, means: np.ndarray, whitening: np.ndarray) -> np.ndarray:
    places, middles = np.asarray(embeddings, np.float64) @ whitening, means @ whitening
    return np.sqrt(np.stack([((places - middle) ** 2).sum(axis=1) for middle in middles]).min(axis=0))
