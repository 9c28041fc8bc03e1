"""From the labelled particles to a saved image network, measured in energy."""

from dataclasses import dataclass

from icecore_dagster.learning.energy import measure_energy
from icecore_dagster.learning.labelled_set import SplitKind, open_labelled_set, provenance_of, sides_of
from icecore_dagster.learning.models.card import ModelCard
from icecore_dagster.learning.models.files import save_network
from icecore_dagster.learning.networks.architectures import architecture_of
from icecore_dagster.learning.networks.inspection import NetworkInside, example_rows, look_into
from icecore_dagster.learning.networks.training import TrainedNetwork, TrainingConfig, select_rows, train_network
from icecore_dagster.learning.trees.boosting import feature_matrix
from icecore_dagster.particles.labels import TASKS
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.split import TEST, TRAIN, VALIDATION, thin

_TEST_OF_LABEL = 2_000
"""Test images of each label that are kept however few are learnt from."""


@dataclass(frozen=True)
class FittedNetwork:
    """A trained network, the card under which it was saved, and what its first convolutions do to examples."""

    card: ModelCard
    trained: TrainedNetwork
    inside: NetworkInside


def fit_network(
    lab: Laboratory,
    task: str,
    architecture: str,
    config: TrainingConfig,
    *,
    split: SplitKind = SplitKind.BY_RUN,
    country: str = "DNK",
) -> FittedNetwork:
    """Train an image network on the labelled particles and save it as `models/cnn_model/<task>/<architecture>`.

    Args:
        lab: the laboratory.
        task: key of the task.
        architecture: key in the registry.
        config: how to train.
        split: which division of the labelled particles to use.
        country: ISO code of the country whose electricity is used.
    """
    labelled = open_labelled_set(lab)
    labels = labelled.table["label"]
    sides = sides_of(labelled, split)
    if config.most_of_label:
        sides = thin(labelled.table, sides, _side_sizes(config.most_of_label))
    with measure_energy(country) as meter:
        trained = train_network(
            labelled.tensors,
            labels,
            sides,
            TASKS[task],
            architecture,
            config,
            labelled.table["run"],
            feature_matrix(labelled.table, architecture_of(architecture).features),
        )
    root = lab.store.models / "cnn_model" / task / architecture
    card = save_network(root, trained, provenance_of(labelled, split, meter.use))
    shown = example_rows(select_rows(labels, sides, TASKS[task]), trained.classes)
    examples = {name: labelled.tensors.images[row] for name, row in shown.items()}
    return FittedNetwork(card, trained, look_into(trained.network(), examples, trained.transform))


def _side_sizes(most_of_label: int) -> dict[str, int]:
    """Images of each label on each side: validation is asked in every epoch, the test only once."""
    return {TRAIN: most_of_label, VALIDATION: max(most_of_label // 3, 1), TEST: max(most_of_label, _TEST_OF_LABEL)}
