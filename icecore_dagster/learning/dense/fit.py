"""From the labelled particles to a saved dense network, measured in energy."""

from collections.abc import Collection
from dataclasses import dataclass

from icecore_dagster.learning.dense.training import DenseConfig, TrainedDense, train_dense
from icecore_dagster.learning.energy import measure_energy
from icecore_dagster.learning.features.gather import gather_features
from icecore_dagster.learning.features.sets import MEASURED, feature_set_of
from icecore_dagster.learning.labelled_set import SplitKind, open_labelled_set, provenance_of, sides_of
from icecore_dagster.learning.models.card import ModelCard
from icecore_dagster.learning.models.dense_file import save_dense
from icecore_dagster.particles.labels import TASKS
from icecore_dagster.particles.laboratory import Laboratory


@dataclass(frozen=True)
class FittedDense:
    """A trained dense network and the card under which it was saved."""

    card: ModelCard
    trained: TrainedDense


def fit_dense(
    lab: Laboratory,
    task: str,
    config: DenseConfig,
    *,
    features: str = MEASURED,
    architecture: str = "A3",
    left_out: Collection[str] = (),
    split: SplitKind = SplitKind.BY_RUN,
    country: str = "DNK",
) -> FittedDense:
    """Train a dense network on a feature set and save it as `models/dense_model/<task>/<features>`.

    Args:
        lab: the laboratory.
        task: key of the task.
        config: how to train.
        features: key of the feature set.
        architecture: of the image network that learned features come from.
        left_out: properties not to learn from.
        split: which division of the labelled particles to use.
        country: ISO code of the country whose electricity is used.

    Raises:
        FeaturesError: features of the image are not there, or cannot be used.
    """
    labelled, chosen = open_labelled_set(lab), feature_set_of(features)
    gathered = gather_features(
        lab, labelled, chosen, task=task, architecture=architecture, split=split, left_out=left_out
    )
    labels, sides, runs = labelled.table["label"], sides_of(labelled, split), labelled.table["run"]
    with measure_energy(country) as meter:
        trained = train_dense(gathered.table, labels, sides, TASKS[task], config, runs)
    provenance = gathered.in_provenance(provenance_of(labelled, split, meter.use))
    root = lab.store.models / "dense_model" / task / features
    return FittedDense(save_dense(root, trained, provenance, gathered.built_on), trained)
