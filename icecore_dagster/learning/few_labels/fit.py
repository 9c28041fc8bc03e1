"""From the labelled particles to a saved siamese network, measured in energy and against two other ways."""

import logging
from dataclasses import asdict, dataclass

import pandas as pd

from icecore_dagster.learning.energy import measure_energy
from icecore_dagster.learning.few_labels.episodes import EpisodeConfig, few_shot_table
from icecore_dagster.learning.few_labels.files import SIAMESE_MODEL, save_siamese
from icecore_dagster.learning.few_labels.representations import (
    by_classifier,
    by_properties,
    by_siamese,
    choose_held_out_set,
)
from icecore_dagster.learning.few_labels.siamese import SiameseConfig, TrainedSiamese, train_siamese
from icecore_dagster.learning.few_labels.zero_shot import zero_shot_table
from icecore_dagster.learning.labelled_set import SplitKind, open_labelled_set, provenance_of, sides_of
from icecore_dagster.learning.models.card import ModelCard, ModelNotFoundError
from icecore_dagster.learning.models.files import NetworkModel, load_network
from icecore_dagster.particles.laboratory import Laboratory

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FittedSiamese:
    """A trained siamese network, the card under which it was saved, and what it can do.

    Attributes:
        card: as saved.
        trained: the network.
        few_shot: accuracy by method, setting, ways and shots (`episodes.few_shot_table`).
        zero_shot: ROC AUC by method and question (`zero_shot.zero_shot_table`).
    """

    card: ModelCard
    trained: TrainedSiamese
    few_shot: pd.DataFrame
    zero_shot: pd.DataFrame


def fit_siamese(
    lab: Laboratory,
    config: SiameseConfig,
    episodes: EpisodeConfig | None = None,
    *,
    compare_with: tuple[str, str] | None = None,
    country: str = "DNK",
) -> FittedSiamese:
    """Train a siamese network on the labelled particles, measure it, and save it as `models/siamese_model`.

    The labelled particles are divided by run, always: particles of one run know one another by their background.

    Args:
        lab: the laboratory.
        config: how to train; its held-out labels are what is measured on.
        episodes: how to measure.
        compare_with: task and architecture of an image classifier whose embedding is measured too, if it is trained;
            the measured properties always are.
        country: ISO code of the country whose electricity is used.
    """
    episodes = episodes or EpisodeConfig()
    labelled = open_labelled_set(lab)
    sides = sides_of(labelled, SplitKind.BY_RUN)
    with measure_energy(country) as meter:
        trained = train_siamese(labelled.tensors, labelled.table["label"], sides, config)
    chosen = choose_held_out_set(
        labelled.table.assign(split=sides), config.held_out, most=episodes.a_label, seed=episodes.seed
    )
    ways = [by_siamese(trained, labelled.tensors, chosen), by_properties(chosen)]
    classifier = _classifier(lab, compare_with)
    if classifier is not None:
        ways.insert(1, by_classifier(classifier, labelled, chosen))
    few_shot = few_shot_table(chosen, ways, episodes)
    zero_shot = zero_shot_table(chosen, ways, seed=episodes.seed)
    measured = {
        "few_shot": few_shot.to_dict(orient="records"),
        "zero_shot": zero_shot.to_dict(orient="records"),
        "episodes": {**asdict(episodes), "shots": list(episodes.shots)},
        "compared_with": classifier.card.content_hash if classifier else None,
    }
    provenance = provenance_of(labelled, SplitKind.BY_RUN, meter.use)
    card = save_siamese(lab.store.models / SIAMESE_MODEL, trained, measured, provenance)
    return FittedSiamese(card, trained, few_shot, zero_shot)


def _classifier(lab: Laboratory, compare_with: tuple[str, str] | None) -> NetworkModel | None:
    if compare_with is None:
        return None
    try:
        return load_network(lab.store.models.joinpath("cnn_model", *compare_with))
    except ModelNotFoundError as error:
        log.warning("the siamese network is not compared with a classifier: %s", error)
        return None
