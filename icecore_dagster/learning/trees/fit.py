"""From the labelled particles to saved trees, measured in energy, and why they say what they say."""

from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd

from icecore_dagster.learning.energy import measure_energy
from icecore_dagster.learning.features.gather import gather_features
from icecore_dagster.learning.features.sets import MEASURED, feature_set_of
from icecore_dagster.learning.labelled_map import sample_evenly
from icecore_dagster.learning.labelled_set import SplitKind, open_labelled_set, provenance_of, sides_of
from icecore_dagster.learning.models.card import ModelCard
from icecore_dagster.learning.models.files import save_trees
from icecore_dagster.learning.trees.boosting import TrainedTrees, TreesConfig, train_trees
from icecore_dagster.learning.trees.explanation import MOST_EXPLAINED, Explanation, explain_trees
from icecore_dagster.particles.labels import TASKS, Task
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.split import TEST


@dataclass(frozen=True)
class FittedTrees:
    """Trained trees, the card under which they were saved, and SHAP values of some test particles.

    Attributes:
        card: as saved.
        trained: the trees.
        explanation: None where the features have no names.
    """

    card: ModelCard
    trained: TrainedTrees
    explanation: Explanation | None


def fit_trees(
    lab: Laboratory,
    task: str,
    config: TreesConfig,
    *,
    features: str = MEASURED,
    architecture: str = "A3",
    left_out: Collection[str] = (),
    split: SplitKind = SplitKind.BY_RUN,
    country: str = "DNK",
) -> FittedTrees:
    """Train LightGBM on a feature set and save it as `models/lightgbm_model/<task>/<features>`.

    Args:
        lab: the laboratory.
        task: key of the task.
        config: how the trees are grown.
        features: key of the feature set.
        architecture: of the image network that learned features come from.
        left_out: properties not to learn from.
        split: which division of the labelled particles to use.
        country: ISO code of the country whose electricity is used.

    Raises:
        FeaturesError: features of the image are not there, or cannot be used.
    """
    labelled, chosen = open_labelled_set(lab), feature_set_of(features)
    labels, sides = labelled.table["label"], sides_of(labelled, split)
    gathered = gather_features(
        lab, labelled, chosen, task=task, architecture=architecture, split=split, left_out=left_out
    )
    with measure_energy(country) as meter:
        trained = train_trees(
            gathered.table, labels, sides, TASKS[task], config, gathered.columns, labelled.table["run"]
        )
    provenance = gathered.in_provenance(provenance_of(labelled, split, meter.use))
    root = lab.store.models / "lightgbm_model" / task / features
    card = save_trees(root, trained, provenance, gathered.built_on)
    explained = _explained(trained, gathered.table, labels, sides, TASKS[task]) if chosen.is_measured else None
    return FittedTrees(card, trained, explained)


def _explained(
    trained: TrainedTrees, features: pd.DataFrame, labels: pd.Series, sides: pd.Series, task: Task
) -> Explanation:
    """SHAP values of some test particles, the same share of each label."""
    of_test = (sides == TEST) & labels.isin(task.class_of)
    rows = sample_evenly(labels[of_test], MOST_EXPLAINED, trained.config.seed)
    return explain_trees(trained.booster(), features[of_test].iloc[rows], trained.features, trained.classes)
