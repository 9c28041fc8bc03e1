"""Searches for a network and the constants of its training, one partition a task."""

import dagster as dg
from pydantic import Field

from icecore_dagster.learning.search.space import SearchSpace
from icecore_dagster.learning.search.study import SearchConfig, search_network
from icecore_dagster.orchestration.assets.declare import half_of_the_cores, model_asset
from icecore_dagster.orchestration.assets.labelled import synthetic_split, synthetic_tensors
from icecore_dagster.orchestration.metadata import numbers, picture, stored_at, table_head
from icecore_dagster.orchestration.partitions import tasks
from icecore_dagster.orchestration.resources import LaboratoryResource
from icecore_dagster.reports.figures.models.search import search_history_figure, search_importance_figure


class NetworkSearchConfig(dg.Config):
    """How networks are searched for."""

    trials: int = Field(default=12, ge=1, description="Trainings in all; a search run again makes the missing ones")
    epochs: int = Field(default=4, ge=1, description="Passes over the training images of each trial at most")
    most_of_label: int = Field(default=500, ge=0, description="Training images of each label at most; 0 for all")
    architectures: list[str] = Field(
        default_factory=lambda: list(SearchSpace().architectures), description="Networks to choose from"
    )
    name: str = Field(default="", description="Name of the configuration to save; empty for best_<task>")
    seed: int = Field(default=0, description="Of the sampler and of every training")
    threads: int = Field(
        default_factory=half_of_the_cores, ge=1, description="Cores to use; two models train at a time"
    )


@model_asset(
    deps=[synthetic_split, synthetic_tensors],
    partitions_def=tasks,
    kinds={"optuna", "torch"},
    description="Search for a network, its learning rate, batch size and drawing of classes, by balanced accuracy on "
    "validation runs. The best is saved under a name that cnn_model takes as its configuration.",
)
def network_search(
    context: dg.AssetExecutionContext, config: NetworkSearchConfig, laboratory: LaboratoryResource
) -> dg.MaterializeResult:
    """Search for a task."""
    space = SearchSpace(tuple(config.architectures))
    constants = config.model_dump(include={"trials", "epochs", "seed", "threads"})
    searching = SearchConfig(**constants, most_of_label=config.most_of_label or None, space=space)
    lab, task = laboratory.open(), context.partition_key
    found = search_network(lab, task, searching, name=config.name, country=laboratory.country)
    best = found.best
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(found.trials),
            **numbers({"validation: balanced accuracy of the best": best.study["validation_balanced_accuracy"]}),
            **numbers({"best network": best.architecture, **{n: best.training[n] for n in best.searched}}),
            **numbers({"configuration": best.name, "study": found.study}),
            **numbers({f"all trials: {n}": float(found.trials[n].sum()) for n in ("seconds", "kwh", "co2eq_g")}),
            "history": picture(search_history_figure(found.trials), "balanced accuracy by trial"),
            "importance": picture(search_importance_figure(found.importance), "what made the difference"),
            "trials": table_head(found.trials.drop(columns=["study", "method"]), rows=len(found.trials)),
            "file": stored_at(found.saved_at),
        }
    )
