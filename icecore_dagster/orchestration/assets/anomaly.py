"""Models of what is ordinary, by which the anomalous is found."""

import dagster as dg
from pydantic import Field

from icecore_dagster.learning.anomaly.fit import fit_forest
from icecore_dagster.learning.anomaly.forest import ForestConfig
from icecore_dagster.orchestration.assets.declare import leave_out, model_asset
from icecore_dagster.orchestration.assets.labelled import synthetic_particles, synthetic_split
from icecore_dagster.orchestration.metadata import model_facts, numbers, picture, stored_at, table_head
from icecore_dagster.orchestration.resources import LaboratoryResource
from icecore_dagster.particles.properties import features_without
from icecore_dagster.reports.learning_figures import anomaly_histogram


class IsolationForestConfig(dg.Config):
    """How the isolation forest is grown."""

    trees: int = Field(default=ForestConfig().trees, ge=1, description="Number of trees")
    seed: int = Field(default=0, description="Of the random cuts")
    leave_out: list[str] = leave_out()


@model_asset(
    deps=[synthetic_particles, synthetic_split],
    kinds={"scikitlearn"},
    description="Isolation forest grown on labelled dust alone: the more negative the score, the less like dust.",
)
def isolation_forest(
    context: dg.AssetExecutionContext, config: IsolationForestConfig, laboratory: LaboratoryResource
) -> dg.MaterializeResult:
    """Grow the forest."""
    lab = laboratory.open()
    growing = ForestConfig(**config.model_dump(exclude={"leave_out"}))
    fitted = fit_forest(lab, growing, columns=features_without(config.leave_out), country=laboratory.country)
    separation = fitted.trained.separation
    shown = {"ROC AUC": separation.roc_auc, "average precision": separation.average_precision} if separation else {}
    return dg.MaterializeResult(
        data_version=dg.DataVersion(fitted.card.content_hash),
        metadata={
            **numbers({"dust particles learnt from": fitted.trained.trained_on}),
            **numbers({f"{name}, held-out others against dust": value for name, value in shown.items()}),
            **model_facts(fitted.card),
            "scores": picture(anomaly_histogram(fitted.scores), "anomaly scores of held-out particles by label"),
            "head": table_head(fitted.scores.groupby("label")["anomaly_score"].describe().reset_index(), rows=10),
            "folder": stored_at(lab.store.models / "isolation_forest"),
        },
    )
