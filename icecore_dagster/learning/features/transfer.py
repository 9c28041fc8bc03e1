"""ImageNet features of the labelled particles: computed once, kept as a table, read back in the particles' order."""

import hashlib
import time
from dataclasses import dataclass

import numpy as np
import pandas as pd

from icecore_dagster.learning.features.imagenet import (
    FEATURE_COUNT,
    INPUT_PX,
    WEIGHTS_SHA256,
    build_imagenet_network,
    image_features,
)
from icecore_dagster.learning.features.sets import TRANSFER_PREFIX
from icecore_dagster.learning.labelled_set import LabelledSet, open_labelled_set
from icecore_dagster.learning.networks.training import torch_set_up
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.tables.schemas import TRANSFER_FEATURES
from icecore_dagster.particles.tables.store import ROW_GROUP, TableWriter, atomic_file, read_note, read_table

_BATCHES_OF = 256
"""Images between two steps of the progress bar."""
COLUMNS: tuple[str, ...] = tuple(f"{TRANSFER_PREFIX}{i:04d}" for i in range(FEATURE_COUNT))


class FeaturesError(ValueError):
    """Features that a model is to learn from are not there, or are of other particles."""


@dataclass(frozen=True)
class TransferKept:
    """What was kept.

    Attributes:
        particles: rows of the table.
        images_a_second: how fast the network saw them.
        head: some rows of the table.
        version: of the particles, the weights and the size of the images together.
        components: sample of the particles on the first two principal components of their features: class (the label),
            map_x, map_y.
        shares: share of the variance that each of the two carries (0-1).
    """

    particles: int
    images_a_second: float
    head: pd.DataFrame
    version: str
    components: pd.DataFrame
    shares: tuple[float, float]


def keep_transfer_features(lab: Laboratory, *, threads: int | None = None, shown: int = 3_000) -> TransferKept:
    """Compute the ImageNet features of every labelled particle, and keep them.

    Args:
        lab: the laboratory.
        threads: of the processor; None for torch's choice.
        shown: particles on the first two principal components at most.
    """
    from tqdm import tqdm

    labelled = open_labelled_set(lab)
    tensors, version = labelled.tensors, _version(labelled)
    identity, seconds = labelled.table[["particle_id", "run"]], 0.0
    network = build_imagenet_network(lab.scratch)
    every = -(-len(tensors) // shown)
    sample: list[pd.DataFrame] = []
    target = lab.store.table(TRANSFER_FEATURES.name)
    note = {"fingerprint": labelled.versions["synthetic_particles"], "version": version}
    with (
        torch_set_up(0, threads, "cpu"),
        atomic_file(target) as path,
        TableWriter(path, TRANSFER_FEATURES, note) as writer,
        tqdm(total=len(tensors), desc="ImageNet features", unit="image", disable=None) as bar,
    ):
        for start in range(0, len(tensors), ROW_GROUP):
            stop = min(start + ROW_GROUP, len(tensors))
            parts, began = [], time.perf_counter()
            for first in range(start, stop, _BATCHES_OF):
                parts.append(image_features(network, tensors.images[first : min(first + _BATCHES_OF, stop)]))
                bar.update(len(parts[-1]))
            seconds += time.perf_counter() - began
            block = pd.DataFrame(np.concatenate(parts), columns=list(COLUMNS), index=identity.index[start:stop])
            block = pd.concat([identity.iloc[start:stop], block], axis=1)
            writer.write(block)
            sample.append(block.iloc[-start % every :: every])
    some = pd.concat(sample)
    components, shares = _components(some[list(COLUMNS)].to_numpy(), labelled.table["label"].to_numpy()[::every])
    return TransferKept(len(tensors), len(tensors) / seconds, some.head(), version, components, shares)


def read_transfer_features(lab: Laboratory, labelled: LabelledSet) -> tuple[pd.DataFrame, str]:
    """The kept features in the order of the labelled particles, float32 (n, 1280), and their version.

    Raises:
        FeaturesError: none were kept, or of other particles or images than these.
    """
    source = lab.store.table(TRANSFER_FEATURES.name)
    if not source.exists():
        raise FeaturesError(f"no ImageNet features in {source}: materialise transfer_features first")
    version = _version(labelled)
    table = read_table(source) if read_note(source).get("version") == version else pd.DataFrame()
    if len(table) != len(labelled.table) or (table["particle_id"] != labelled.table["particle_id"]).any():
        raise FeaturesError(
            "transfer_features was not made from the present synthetic_particles; materialise transfer_features again"
        )
    return table[list(COLUMNS)], version


def _version(labelled: LabelledSet) -> str:
    made_of = (labelled.versions["synthetic_particles"], WEIGHTS_SHA256, str(INPUT_PX))
    return hashlib.sha256("\n".join(made_of).encode()).hexdigest()


def _components(features: np.ndarray, labels: np.ndarray) -> tuple[pd.DataFrame, tuple[float, float]]:
    from sklearn.decomposition import PCA

    pca = PCA(n_components=2, random_state=0)
    places = pca.fit_transform(features)
    first, second = pca.explained_variance_ratio_
    return pd.DataFrame({"class": labels, "map_x": places[:, 0], "map_y": places[:, 1]}), (float(first), float(second))
