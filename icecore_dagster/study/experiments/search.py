"""A search over networks and constants of their training."""

from collections.abc import Iterator

from icecore_dagster.learning.search.study import SearchConfig, search_network
from icecore_dagster.study.bench import Bench
from icecore_dagster.study.measurement import Measurement

TASK = "six_class"


def hyperparameters(bench: Bench) -> Iterator[Measurement]:
    """The best trial and the median one, by balanced accuracy on validation runs."""
    size = bench.size
    config = SearchConfig(
        trials=size.trials, epochs=min(size.epochs, 4), most_of_label=size.most_of_label, seed=size.seed
    )
    result = search_network(bench.lab, TASK, config, country=bench.country)
    reached = result.trials["validation_balanced_accuracy"].dropna()
    note = f"{result.best.architecture}, saved as configuration {result.best.name}; chosen on these runs"
    model = "Optuna search"
    yield Measurement("search.trials", TASK, model, "trials that led to a result", len(reached), n=len(result.trials))
    yield Measurement(
        "search.best",
        TASK,
        model,
        "best balanced accuracy, validation runs",
        float(reached.max()),
        **result.best.study["interval"],
        n=len(reached),
        note=note,
    )
    yield Measurement(
        "search.median",
        TASK,
        model,
        "median balanced accuracy, validation runs",
        float(reached.median()),
        n=len(reached),
    )
