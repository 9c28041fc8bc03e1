"""Is a particle like anything known? Distance to the known classes in a network's embedding and its own properties.

The embedding alone is a weak judge: a network keeps what tells its classes apart and drops the rest, which is what a
stranger differs in. The measured properties keep it.
"""

from dataclasses import dataclass, replace

import numpy as np

ORDINARY_SHARE = 0.99
"""Share of held-out known particles that are called ordinary."""
_QUANTILES = 500


@dataclass(frozen=True)
class Familiarity:
    """What the known classes look like: one Gaussian a class, each with a covariance of its own.

    The distance to the nearest is that of Lee et al. 2018 (NeurIPS 31, 7167-7177, without its input perturbation, and
    with a covariance a class); covariances are shrunk as by Ledoit & Wolf 2004 (doi 10.1016/S0047-259X(03)00096-4).

    Attributes:
        shift: float64 (d,), middle of each embedding dimension over all known particles.
        scale: float64 (d,), what it is divided by.
        quantiles: float64 (q, p), ascending quantiles of each property of the known particles; (q, 0) without.
        means: float64 (classes, d + p), middle of each class.
        whitenings: float64 (classes, d + p, d + p), turns a difference into standard deviations of the class.
        held_out: float64 (m,), distances of known particles that nothing was learnt from, ascending.
    """

    shift: np.ndarray
    scale: np.ndarray
    quantiles: np.ndarray
    means: np.ndarray
    whitenings: np.ndarray
    held_out: np.ndarray

    def distance(self, embeddings: np.ndarray, properties: np.ndarray | None = None) -> np.ndarray:
        """Distance to the nearest class, in standard deviations of that class.

        Args:
            embeddings: float (n, d).
            properties: float (n, p), the columns that were learnt from, NaN where missing (which counts as ordinary);
                None if none were.

        Returns:
            float64 (n,).

        Raises:
            ValueError: other properties than were learnt from.
        """
        places = np.hstack(
            [(embeddings - self.shift) / self.scale, _as_normal(properties, self.quantiles, len(embeddings))]
        )
        pairs = zip(self.means, self.whitenings, strict=True)
        return np.sqrt(np.stack([(((places - mean) @ whitening) ** 2).sum(axis=1) for mean, whitening in pairs]).min(0))

    def strangeness(self, embeddings: np.ndarray, properties: np.ndarray | None = None) -> np.ndarray:
        """Share of the held-out known particles that lie nearer to a class: float64 (n,), 0 to 1."""
        return np.searchsorted(self.held_out, self.distance(embeddings, properties)) / len(self.held_out)


def learn_familiarity(
    embeddings: np.ndarray,
    targets: np.ndarray,
    held_out: np.ndarray,
    properties: np.ndarray | None = None,
    held_out_properties: np.ndarray | None = None,
) -> Familiarity:
    """Learn what known particles look like.

    Each property is replaced by the normal deviate of its quantile, so that no heavy tail outweighs the rest.

    Args:
        embeddings: float (n, d), of particles of known class.
        targets: int (n,), class of each, 0 to classes - 1; every class occurs.
        held_out: float (m, d), of known particles that are not among them.
        properties: float (n, p), measured properties of the particles, NaN where missing; None to do without.
        held_out_properties: float (m, p), of the held-out ones.

    Returns:
        The classes' middles and spreads, and the held-out distances.

    Raises:
        ValueError: nothing is held out, a class has no particle, or properties are given for one set only.
    """
    if len(held_out) == 0:
        raise ValueError("no known particles were held out to set the scale of strangeness")
    counts = np.bincount(targets)
    if (counts == 0).any():
        raise ValueError(f"class {int(np.argmin(counts))} has no particle to learn from")
    vectors = np.asarray(embeddings, np.float64)
    spread = np.concatenate([_centred(vectors[targets == i]) for i in range(len(counts))]).std(axis=0)
    # Activations that are nearly always zero have hardly any spread: do not blow them up.
    shift, scale = vectors.mean(axis=0), spread + 0.1 * spread.mean() + 1e-12
    quantiles = _quantiles(properties)
    places = np.hstack([(vectors - shift) / scale, _as_normal(properties, quantiles, len(vectors))])
    of_class = [places[targets == i] for i in range(len(counts))]
    usual_variance = float(np.concatenate([_centred(members) for members in of_class]).var())
    familiar = Familiarity(
        shift=shift,
        scale=scale,
        quantiles=quantiles,
        means=np.stack([members.mean(axis=0) for members in of_class]),
        whitenings=np.stack([_whitening(members, usual_variance) for members in of_class]),
        held_out=np.empty(0),
    )
    distances = familiar.distance(held_out, held_out_properties)
    return replace(familiar, held_out=np.sort(distances))


def _centred(members: np.ndarray) -> np.ndarray:
    return members - members.mean(axis=0)


def _quantiles(properties: np.ndarray | None) -> np.ndarray:
    """Ascending quantiles of each known property: float64 (q, p)."""
    if properties is None:
        return np.empty((_QUANTILES, 0))
    shares = np.linspace(0, 1, _QUANTILES)
    known = [column[~np.isnan(column)] for column in np.asarray(properties, np.float64).T]
    return np.column_stack([np.quantile(column, shares) if len(column) else np.zeros(_QUANTILES) for column in known])


def _as_normal(properties: np.ndarray | None, quantiles: np.ndarray, n: int) -> np.ndarray:
    """Properties of n particles as normal deviates of their quantiles, 0 where missing: float64 (n, p)."""
    from scipy.special import ndtri

    given = 0 if properties is None else properties.shape[1]
    if given != quantiles.shape[1]:
        raise ValueError(f"{quantiles.shape[1]} properties were learnt from, {given} are given: give the same ones")
    if properties is None:
        return np.empty((n, 0))
    shares = np.linspace(0, 1, len(quantiles))
    deviates = np.zeros(properties.shape)
    for i, (column, known) in enumerate(zip(np.asarray(properties, np.float64).T, quantiles.T, strict=True)):
        # From below and from above, so that a value that many particles share lies in the middle of its quantiles.
        share = (np.interp(column, known, shares) + 1 - np.interp(-column, -known[::-1], shares)) / 2
        # What lies beyond all known particles is as far out as half a step of the quantiles.
        deviates[:, i] = np.where(np.isnan(column), 0, ndtri(np.clip(share, 0.5 / len(shares), 1 - 0.5 / len(shares))))
    return deviates


def _whitening(members: np.ndarray, usual_variance: float) -> np.ndarray:
    """Turns differences from a class's middle into standard deviations, float64 (k, k)."""
    from sklearn.covariance import ledoit_wolf

    spread = ledoit_wolf(members)[0] if len(members) > 1 else np.zeros((members.shape[1],) * 2)
    # A class of few particles has no spread in most directions; every class keeps a little of the usual one.
    spread = spread + 0.01 * max(usual_variance, 1e-12) * np.eye(len(spread))
    values, directions = np.linalg.eigh(spread)
    return directions / np.sqrt(values)
