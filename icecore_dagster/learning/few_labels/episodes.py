"""Few-shot learning measured: how well k examples of each material tell N materials apart.

An episode draws N labels, k support particles of each from the validation runs and some queries of each from the test
runs, and gives every query to the nearest prototype, the mean of a label's supports (Snell et al. 2017,
arXiv:1703.05175). Supports and queries are thus of different runs, so that a shared background is no help.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from icecore_dagster.learning.few_labels.representations import HeldOutSet, Representation
from icecore_dagster.particles.split import TEST, VALIDATION

log = logging.getLogger(__name__)

HELD_OUT, ALL, GENERALISED = "held-out labels", "all labels", "held-out among all labels"
"""Settings: the N labels are held-out ones; all labels; all labels, but only queries of held-out ones are counted."""
_NORMAL_95 = 1.959964


@dataclass(frozen=True)
class EpisodeConfig:
    """How few-shot learning is measured.

    Attributes:
        shots: k, numbers of examples of each label.
        queries: of each label in an episode; fewer where a label has fewer.
        episodes: of each setting and k.
        a_label: particles of each label and side to draw from, at most.
        seed: the same seed draws the same episodes.
    """

    shots: tuple[int, ...] = (1, 5, 10)
    queries: int = 15
    episodes: int = 300
    a_label: int = 400
    seed: int = 0


@dataclass(frozen=True)
class Episode:
    """One draw.

    Attributes:
        supports: int64 (ways, shots), places in the held-out set.
        queries: int64 (ways, queries), likewise.
        counted: bool (ways,), labels whose queries count.
    """

    supports: np.ndarray
    queries: np.ndarray
    counted: np.ndarray


@dataclass(frozen=True)
class _Pool:
    """Where the particles of one label are drawn from."""

    supports: np.ndarray
    queries: np.ndarray


def few_shot_table(
    chosen: HeldOutSet, representations: Sequence[Representation], config: EpisodeConfig | None = None
) -> pd.DataFrame:
    """Accuracy of every representation on the same episodes.

    The interval is mean +- 1.96 standard errors over the episodes, as is usual in the field. It holds the luck of the
    draw; it does not hold what other runs of the same materials would have given (`query_runs` says how few there are).

    Args:
        chosen: particles to draw from.
        representations: of these particles.
        config: how many episodes of what.

    Returns:
        One row a representation, setting, ways and shots: method, setting, ways, shots, accuracy, low, high, episodes,
        chance (1 / ways), queries_a_label, query_runs (test runs of the label with the fewest), across_runs (whether no
        run gave both supports and queries), saw_held_out (whether the method learnt from the held-out labels). Numbers
        of shots for which a label has too few particles are left out, and said in the log.

    Raises:
        ValueError: no setting has enough particles.
    """
    config = config or EpisodeConfig()
    pools = _pools(chosen)
    rows: list[dict[str, object]] = []
    for setting, labels, ways in _settings(chosen):
        of_setting = {label: pools[label] for label in labels}
        scarce = min(len(pool.supports) for pool in of_setting.values())
        queries = min(config.queries, *(len(pool.queries) for pool in of_setting.values()))
        for shots in config.shots:
            if shots > scarce or queries == 0:
                log.warning("%s, %d shots left out: a label has only %d supports", setting, shots, scarce)
                continue
            drawn = list(_episodes(of_setting, chosen, setting, ways, shots, queries, config))
            facts = {
                "setting": setting,
                "ways": ways,
                "shots": shots,
                "episodes": len(drawn),
                "chance": 1 / ways,
                "queries_a_label": queries,
                "query_runs": min(len(set(chosen.runs[pool.queries])) for pool in of_setting.values()),
                "across_runs": not any(
                    set(chosen.runs[pool.supports]) & set(chosen.runs[pool.queries]) for pool in of_setting.values()
                ),
            }
            for one in representations:
                accuracies = np.array([accuracy_of(episode, one.vectors) for episode in drawn])
                rows.append({"method": one.name, **facts, **_mean(accuracies), "saw_held_out": one.saw_held_out})
    if not rows:
        raise ValueError(
            f"a label has too few validation or test particles for {min(config.shots)} shots; add labelled runs of it"
        )
    order = ["method", "setting", "ways", "shots", "accuracy", "low", "high", "episodes", "chance"]
    return pd.DataFrame(rows)[[*order, "queries_a_label", "query_runs", "across_runs", "saw_held_out"]]


def accuracy_of(episode: Episode, vectors: np.ndarray) -> float:
    """Share of an episode's counted queries that lie nearest to their own prototype.

    Args:
        episode: which particles.
        vectors: float (n, d), of the whole held-out set.
    """
    prototypes = vectors[episode.supports].mean(axis=1)
    queries = vectors[episode.queries]
    squared = ((queries[:, :, None, :] - prototypes[None, None, :, :]) ** 2).sum(axis=-1)
    right = squared.argmin(axis=2) == np.arange(len(prototypes))[:, None]
    return float(right[episode.counted].mean())


def _settings(chosen: HeldOutSet) -> Iterator[tuple[str, tuple[str, ...], int]]:
    """Setting, the labels that an episode draws from, and how many it draws."""
    for ways in range(2, len(chosen.held_out) + 1):
        yield HELD_OUT, chosen.held_out, ways
    everything = (*chosen.known, *chosen.held_out)
    for setting in (ALL, GENERALISED):
        yield setting, everything, len(everything)


def _pools(chosen: HeldOutSet) -> dict[str, _Pool]:
    labels, sides = chosen.labels, chosen.sides
    return {
        label: _Pool(
            np.flatnonzero((labels == label) & (sides == VALIDATION)),
            np.flatnonzero((labels == label) & (sides == TEST)),
        )
        for label in (*chosen.known, *chosen.held_out)
    }


def _episodes(
    pools: dict[str, _Pool],
    chosen: HeldOutSet,
    setting: str,
    ways: int,
    shots: int,
    queries: int,
    config: EpisodeConfig,
) -> Iterator[Episode]:
    rng = np.random.default_rng([config.seed, ways, shots])
    names = list(pools)
    for _ in range(config.episodes):
        labels = [names[i] for i in rng.permutation(len(names))[:ways]]
        yield Episode(
            supports=np.stack([rng.choice(pools[label].supports, shots, replace=False) for label in labels]),
            queries=np.stack([rng.choice(pools[label].queries, queries, replace=False) for label in labels]),
            counted=np.array([setting != GENERALISED or label in chosen.held_out for label in labels]),
        )


def _mean(accuracies: np.ndarray) -> dict[str, float]:
    mean = float(accuracies.mean())
    spread = float(accuracies.std(ddof=1)) if len(accuracies) > 1 else np.nan
    half = _NORMAL_95 * spread / np.sqrt(len(accuracies))
    return {"accuracy": mean, "low": max(0.0, mean - half), "high": min(1.0, mean + half)}
