"""Dividing the labelled particles: by run, so that no run is on two sides; and by image, as the study did."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

TRAIN, VALIDATION, TEST = "train", "validation", "test"


class SplitError(ValueError):
    """The labelled runs cannot be divided so that every class is in every set."""


def split_by_run(particles: pd.DataFrame, *, validation: float = 0.15, test: float = 0.15, seed: int = 0) -> pd.Series:
    """Assign whole runs to train, validation and test, class by class.

    Within a class, runs are shuffled; each goes to a held-out set if that brings the set nearer to its share of the
    class's particles, and one at least (the smallest) does. Images of one run share background, focus and
    date, so that a split by image would let a model recognise the run.

    Args:
        particles: columns run and label, one row a particle; a run holds one label.
        validation: share of each class to hold out for validation.
        test: share of each class to hold out for the test.
        seed: the same seed gives the same split.

    Returns:
        "train", "validation" or "test" for every row, indexed as `particles`.

    Raises:
        SplitError: a run holds several labels, or a class has fewer than three runs.
    """
    counts = particles.groupby(["label", "run"], sort=True).size()
    mixed = counts.reset_index().groupby("run")["label"].nunique()
    if (mixed > 1).any():
        raise SplitError(
            f"runs {list(mixed[mixed > 1].index)} hold more than one label; divide them into one run a label"
        )
    side: dict[str, str] = {}
    rng = np.random.default_rng(seed)
    for label, of_label in counts.groupby(level="label"):
        runs = of_label.droplevel("label")
        if len(runs) < 3:
            raise SplitError(
                f"class {label} has {len(runs)} run(s); a split by run needs at least 3 (train, validation, test): "
                "image the material in more runs, or split by image"
            )
        side.update(_divide(runs.sample(frac=1, random_state=rng), validation, test))
    return particles["run"].map(side).rename("split")


def _divide(runs: pd.Series, validation: float, test: float) -> dict[str, str]:
    total, side, left = runs.sum(), {}, list(runs.index)
    for name, share in ((TEST, test), (VALIDATION, validation)):
        target, held = share * total, 0
        keep_for_the_rest = 2 if name == TEST else 1
        for run in list(left):
            if len(left) > keep_for_the_rest and abs(target - held - runs[run]) < abs(target - held):
                side[run], held = name, held + runs[run]
                left.remove(run)
        if not held:
            smallest = min(left, key=lambda run: runs[run])
            side[smallest] = name
            left.remove(smallest)
    side.update(dict.fromkeys(left, TRAIN))
    return side


def split_by_image(
    particles: pd.DataFrame, *, validation: float = 0.15, test: float = 0.15, seed: int = 0
) -> pd.Series:
    """Assign single particles to the three sets at random, stratified by label and without replacement.

    This is the study's division, kept so that both figures can be reported; it overstates what a model can do on a
    new run.

    Args:
        particles: column label, one row a particle.
        validation: share to hold out for validation.
        test: share to hold out for the test.
        seed: the same seed gives the same split.

    Returns:
        "train", "validation" or "test" for every row, indexed as `particles`.
    """
    rng = np.random.default_rng(seed)
    side = pd.Series(TRAIN, index=particles.index, name="split_by_image", dtype="object")
    for _, members in particles.groupby("label", sort=True):
        order = rng.permutation(members.index.to_numpy())
        n_test, n_validation = round(test * len(order)), round(validation * len(order))
        side.loc[order[:n_test]] = TEST
        side.loc[order[n_test : n_test + n_validation]] = VALIDATION
    return side


NOT_USED = "not used"


def thin(particles: pd.DataFrame, sides: pd.Series, most: Mapping[str, int]) -> pd.Series:
    """Keep only so many particles of each label on a side, evenly from all its runs.

    Args:
        particles: columns run and label, one row a particle.
        sides: side of each row.
        most: side -> particles of each label at most; a side that is not named stays whole.

    Returns:
        The sides, "not used" for particles beyond the most.
    """
    place_in_run = particles.groupby("run").cumcount()
    rank = place_in_run.groupby([particles["label"], sides]).rank(method="first")
    return sides.where(rank <= sides.map(most).astype(float).fillna(np.inf), NOT_USED)
