"""Why a core's first particles rank first: SHAP values of their classes by the trees that scored them."""

from dataclasses import dataclass

import pandas as pd

from icecore_dagster.learning.models.card import ModelNotFoundError
from icecore_dagster.learning.models.files import load_trees
from icecore_dagster.learning.trees.explanation import Explanation, explain_trees
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.tables.schemas import SEGMENT_PARTICLES
from icecore_dagster.particles.tables.store import find_rows


@dataclass(frozen=True)
class Reasons:
    """Why some ranked particles are of their predicted classes.

    Attributes:
        particles: rows of the ranking.
        explanation: of the same particles, in the same order.
    """

    particles: pd.DataFrame
    explanation: Explanation


def explain_first(
    lab: Laboratory, core: str, ranking: pd.DataFrame, *, task: str, features: str, most: int = 6
) -> Reasons | None:
    """Explain the first particles of a ranking by the present LightGBM model.

    Args:
        lab: the laboratory.
        core: such as GRIP_3046.
        ranking: `schemas.ANOMALY_RANKING` of the core, its first rows at least.
        task: key of the task that was predicted.
        features: key of the feature set of the trees.
        most: particles at most.

    Returns:
        None where no particle is ranked, no trees are there, or they tell apart other classes than those that were
        predicted.
    """
    try:
        trees = load_trees(lab.store.models / "lightgbm_model" / task / features)
    except ModelNotFoundError:
        return None
    first = ranking.head(most).reset_index(drop=True)
    if first.empty or not set(first["predicted_class"]) <= set(trees.card.classes):
        return None
    columns = ["particle_id", *trees.card.features]
    measured = pd.concat(
        find_rows(lab.store.table(SEGMENT_PARTICLES.name, core, str(segment)), "particle_id", set(ids), columns)
        for segment, ids in first.groupby("segment")["particle_id"]
    )
    of_first = measured.set_index("particle_id").loc[first["particle_id"]].reset_index()
    return Reasons(first, explain_trees(trees.booster, of_first, trees.card.features, trees.card.classes))
