"""The labelled particles as models take them: table, split and tensors side by side, in one order."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import pandas as pd
from upath import UPath

from icecore_dagster.learning.energy import EnergyUse
from icecore_dagster.learning.models.card import Provenance
from icecore_dagster.learning.networks.tensors import TensorSet, open_tensors, write_tensors
from icecore_dagster.particles.intake.labelled import labelled_crops
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.split import split_by_image, split_by_run
from icecore_dagster.particles.tables.schemas import SYNTHETIC_PARTICLES, SYNTHETIC_SPLIT
from icecore_dagster.particles.tables.store import (
    is_local,
    local_folder,
    local_path,
    put_folder,
    read_note,
    read_table,
    write_table,
)

TENSORS = "tensors/synthetic"


class SplitKind(StrEnum):
    """How the labelled particles are divided: the headline is by run; the study's is by image."""

    BY_RUN = "by run"
    BY_IMAGE = "by image"


_SPLIT_COLUMN = {SplitKind.BY_RUN: "split", SplitKind.BY_IMAGE: "split_by_image"}


class LabelledSetError(ValueError):
    """Table, split and tensors of the labelled particles were not made from one another."""


@dataclass(frozen=True)
class LabelledSet:
    """Everything known of the labelled particles.

    Attributes:
        table: `schemas.SYNTHETIC_PARTICLES` with the columns split and split_by_image.
        tensors: their images, in the order of `table`.
        versions: asset -> the version of it that this set holds.
    """

    table: pd.DataFrame
    tensors: TensorSet
    versions: dict[str, str]


def keep_split(lab: Laboratory, *, validation: float = 0.15, test: float = 0.15, seed: int = 0) -> pd.DataFrame:
    """Divide the labelled particles by run, and beside it by image, and keep which is on which side.

    Args:
        lab: the laboratory.
        validation: share of each class held out for validation.
        test: share of each class held out for the test.
        seed: the same seed gives the same division.

    Returns:
        `schemas.SYNTHETIC_SPLIT`.
    """
    source = lab.store.table(SYNTHETIC_PARTICLES.name)
    particles = read_table(source, ["particle_id", "run", "label"])
    shares = {"validation": validation, "test": test}
    split = particles.assign(
        split=split_by_run(particles, **shares, seed=seed),
        split_by_image=split_by_image(particles, **shares, seed=seed),
    )
    note = {**read_note(source), **shares, "seed": seed}
    write_table(lab.store.table(SYNTHETIC_SPLIT.name), split, SYNTHETIC_SPLIT, note)
    return split


def keep_tensors(lab: Laboratory) -> UPath:
    """Write the tensors of every particle in the labelled table, and return the folder's address.

    Raises:
        LabelledSetError: the labelled runs are not those that the table was made from.
    """
    source = lab.store.table(SYNTHETIC_PARTICLES.name)
    table = read_table(source, ["particle_id", "run"])
    expected, runs = table["particle_id"].tolist(), set(table["run"])
    version = str(read_note(source).get("fingerprint", ""))
    target = lab.store.folder(TENSORS)
    if is_local(target):
        write_tensors(local_path(target), _checked(expected, labelled_crops(lab, runs)), expected, source=version)
        return target
    lab.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=lab.scratch) as temporary:
        folder = Path(temporary) / target.name
        write_tensors(folder, _checked(expected, labelled_crops(lab, runs)), expected, source=version)
        put_folder(folder, target)
    return target


def _checked(expected: list[str], crops: Iterator[tuple[str, np.ndarray]]) -> Iterator[np.ndarray]:
    for wanted in expected:
        found, crop = next(crops, ("none", np.empty((0, 0), np.uint8)))
        if found != wanted:
            raise LabelledSetError(
                f"expected the crop of {wanted} and found {found}: the labelled runs have changed; "
                "materialise synthetic_particles again"
            )
        yield crop


def open_labelled_set(lab: Laboratory) -> LabelledSet:
    """Open table, split and tensors, and make sure that they belong together.

    Raises:
        LabelledSetError: they do not.
    """
    table = read_table(lab.store.table(SYNTHETIC_PARTICLES.name))
    split = read_table(lab.store.table(SYNTHETIC_SPLIT.name))
    version = str(read_note(lab.store.table(SYNTHETIC_PARTICLES.name)).get("fingerprint", ""))
    tensors = open_tensors(local_folder(lab.store.folder(TENSORS), lab.scratch, version[:16]))
    ids = table["particle_id"].to_numpy()
    made_of = str(read_note(lab.store.table(SYNTHETIC_SPLIT.name)).get("fingerprint", ""))
    sources = {"synthetic_split": made_of, "synthetic_tensors": tensors.source}
    for name, others in (
        ("synthetic_split", split["particle_id"].to_numpy()),
        ("synthetic_tensors", tensors.particle_ids),
    ):
        if sources[name] != version or len(ids) != len(others) or not (ids == others).all():
            raise LabelledSetError(
                f"{name} was not made from the present synthetic_particles; materialise {name} again"
            )
    both = table.merge(split[["particle_id", "split", "split_by_image"]], on="particle_id", validate="one_to_one")
    return LabelledSet(both, tensors, {"synthetic_particles": version})


def sides_of(labelled: LabelledSet, split: SplitKind) -> pd.Series:
    """The side of each labelled particle, "train", "validation" or "test", by one way of dividing them."""
    return labelled.table[_SPLIT_COLUMN[split]]


def provenance_of(labelled: LabelledSet, split: SplitKind, energy: EnergyUse) -> Provenance:
    """What a model learnt from, how that was divided, and what the training cost."""
    return Provenance(training_data=labelled.versions, split_kind=split, energy=energy)
