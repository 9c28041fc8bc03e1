"""From the labelled dust to a saved isolation forest, measured in energy."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from icecore_dagster.learning.anomaly.forest import ForestConfig, TrainedForest, train_forest
from icecore_dagster.learning.energy import measure_energy
from icecore_dagster.learning.labelled_set import SplitKind, open_labelled_set, provenance_of, sides_of
from icecore_dagster.learning.models.card import ModelCard
from icecore_dagster.learning.models.files import save_forest
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.properties import FEATURES


@dataclass(frozen=True)
class FittedForest:
    """A grown forest, the card under which it was saved, and the labelled particles' scores (label, anomaly_score)."""

    card: ModelCard
    trained: TrainedForest
    scores: pd.DataFrame


def fit_forest(
    lab: Laboratory,
    config: ForestConfig,
    *,
    columns: Sequence[str] = FEATURES,
    split: SplitKind = SplitKind.BY_RUN,
    country: str = "DNK",
) -> FittedForest:
    """Grow the isolation forest on labelled dust and save it as `models/isolation_forest`."""
    labelled = open_labelled_set(lab)
    sides = sides_of(labelled, split)
    with measure_energy(country) as meter:
        trained = train_forest(labelled.table, labelled.table["label"], sides, config, columns)
    card = save_forest(lab.store.models / "isolation_forest", trained, provenance_of(labelled, split, meter.use))
    held_out = labelled.table[sides != "train"]
    scores = pd.DataFrame({"label": held_out["label"], "anomaly_score": trained.model.score(held_out)})
    return FittedForest(card, trained, scores)
