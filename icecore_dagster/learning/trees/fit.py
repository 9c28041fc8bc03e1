"""From the labelled particles to saved trees, measured in energy."""

from collections.abc import Sequence
from dataclasses import dataclass

from icecore_dagster.learning.energy import measure_energy
from icecore_dagster.learning.labelled_set import SplitKind, open_labelled_set, provenance_of, sides_of
from icecore_dagster.learning.models.card import ModelCard
from icecore_dagster.learning.models.files import save_trees
from icecore_dagster.learning.trees.boosting import TrainedTrees, TreesConfig, train_trees
from icecore_dagster.particles.labels import TASKS
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.properties import FEATURES


@dataclass(frozen=True)
class FittedTrees:
    """Trained trees and the card under which they were saved."""

    card: ModelCard
    trained: TrainedTrees


def fit_trees(
    lab: Laboratory,
    task: str,
    config: TreesConfig,
    *,
    columns: Sequence[str] = FEATURES,
    split: SplitKind = SplitKind.BY_RUN,
    country: str = "DNK",
) -> FittedTrees:
    """Train LightGBM on the labelled particles' properties and save it as `models/lightgbm_model/<task>`."""
    labelled = open_labelled_set(lab)
    labels, sides = labelled.table["label"], sides_of(labelled, split)
    with measure_energy(country) as meter:
        trained = train_trees(labelled.table, labels, sides, TASKS[task], config, columns, labelled.table["run"])
    root = lab.store.models / "lightgbm_model" / task
    return FittedTrees(save_trees(root, trained, provenance_of(labelled, split, meter.use)), trained)
