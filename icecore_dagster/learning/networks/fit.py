"""From the labelled particles to a saved image network, measured in energy."""

from dataclasses import dataclass

from icecore_dagster.learning.energy import measure_energy
from icecore_dagster.learning.labelled_set import SplitKind, open_labelled_set, provenance_of, sides_of
from icecore_dagster.learning.models.card import ModelCard
from icecore_dagster.learning.models.files import save_network
from icecore_dagster.learning.networks.training import TrainedNetwork, TrainingConfig, train_network
from icecore_dagster.particles.labels import TASKS
from icecore_dagster.particles.laboratory import Laboratory


@dataclass(frozen=True)
class FittedNetwork:
    """A trained network and the card under which it was saved."""

    card: ModelCard
    trained: TrainedNetwork


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
    with measure_energy(country) as meter:
        trained = train_network(
            labelled.tensors,
            labelled.table["label"],
            sides_of(labelled, split),
            TASKS[task],
            architecture,
            config,
            labelled.table["run"],
        )
    root = lab.store.models / "cnn_model" / task / architecture
    return FittedNetwork(save_network(root, trained, provenance_of(labelled, split, meter.use)), trained)
