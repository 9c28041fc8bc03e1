"""Blocking checks: what must hold before anything is built on a result.

The questions are asked in `particles.plausibility` and `learning.metrics`; here their answers become Dagster's. Checks
of a segment carry its partition, so that one bad segment gates itself alone.
"""

from collections.abc import Iterator
from functools import partial

import dagster as dg

from icecore_dagster.learning.models.card import load_model
from icecore_dagster.learning.quality import good_enough
from icecore_dagster.orchestration.metadata import numbers, table_head
from icecore_dagster.orchestration.partitions import cell_of, cells, classifier_of, classifiers, network_of, networks
from icecore_dagster.orchestration.resources import LaboratoryResource
from icecore_dagster.particles.intake.cells import UNREADABLE
from icecore_dagster.particles.tables.plausibility import Outcome, believable, believable_labelled
from icecore_dagster.particles.tables.store import count_rows, read_table, stream_table

SEGMENT_CHECKS: dict[str, str] = {
    "schema": "Every declared column is there, and every value within its declared bounds",
    "row_balance": "Rows found in the runs = rows kept + rows refused",
    "unique_ids": "No particle id stands twice",
    "plausible_sizes": "The sizes are what a flow imaging microscope can see, so that their unit is µm",
    "flowcam_consistency": "Properties that follow from one another do so (circularity x compactness = 1, ...)",
    "share_of_rejects": "At most 5 % of the rows were refused",
}


def as_result(name: str, asset: str, outcome: Outcome) -> dg.AssetCheckResult:
    """A domain answer as Dagster shows it."""
    metadata = numbers({key: float(value) for key, value in outcome.numbers.items()})
    if not outcome.evidence.empty:
        metadata["evidence"] = table_head(outcome.evidence)
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=name,
        passed=outcome.passed,
        description=outcome.summary,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata=metadata,
    )


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec(name, asset="segment_particles", blocking=True, description=text, partitions_def=cells)
        for name, text in SEGMENT_CHECKS.items()
    ]
)
def segment_is_believable(
    context: dg.AssetCheckExecutionContext, laboratory: LaboratoryResource
) -> Iterator[dg.AssetCheckResult]:
    """Ask every question of `plausibility.believable` about the stored segment."""
    store, cell = laboratory.open().store, cell_of(context)
    particles = store.table("segment_particles", *cell)
    rejects = count_rows(store.table("segment_rejects", *cell))
    runs = read_table(store.table("segment_runs", *cell))
    outcomes = believable(partial(stream_table, particles), rejects, runs)
    for name, outcome in outcomes.items():
        yield as_result(name, "segment_particles", outcome)


LABELLED_CHECKS = ("schema", "unique_ids", "plausible_sizes", "flowcam_consistency")


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec(name, asset="synthetic_particles", blocking=True, description=SEGMENT_CHECKS[name])
        for name in LABELLED_CHECKS
    ]
)
def labelled_are_believable(
    context: dg.AssetCheckExecutionContext, laboratory: LaboratoryResource
) -> Iterator[dg.AssetCheckResult]:
    """Ask every question of `plausibility.believable_labelled` about the stored table."""
    particles = read_table(laboratory.open().store.table("synthetic_particles"))
    for name, outcome in believable_labelled(particles).items():
        yield as_result(name, "synthetic_particles", outcome)


@dg.asset_check(
    asset="segment_particles",
    name="every_run_readable",
    description="Every run of the segment could be read; one that could not leaves the others unaffected",
    partitions_def=cells,
)
def every_run_is_readable(
    context: dg.AssetCheckExecutionContext, laboratory: LaboratoryResource
) -> dg.AssetCheckResult:
    """Warn, without gating, of runs that could not be read at all."""
    runs = read_table(laboratory.open().store.table("segment_runs", *cell_of(context)))
    unreadable = runs.loc[runs["format"] == UNREADABLE, ["run", "problems"]]
    return dg.AssetCheckResult(
        passed=unreadable.empty,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(unreadable["problems"]) or f"all {len(runs)} runs were read",
        metadata={"unreadable": table_head(unreadable)},
    )


GATE = "model_quality"
_GATE_TEXT = "Clearly better than guessing on labelled runs that the model did not learn from"


@dg.asset_check(asset="cnn_model", name=GATE, blocking=True, description=_GATE_TEXT, partitions_def=networks)
def network_is_good_enough(
    context: dg.AssetCheckExecutionContext, laboratory: LaboratoryResource
) -> dg.AssetCheckResult:
    """Gate what a network would score by its balanced accuracy on validation runs."""
    task, architecture = network_of(context)
    card, _ = load_model(laboratory.open().store.models / "cnn_model" / task / architecture, "network")
    return as_result(GATE, "cnn_model", good_enough(card))


@dg.asset_check(asset="lightgbm_model", name=GATE, blocking=True, description=_GATE_TEXT, partitions_def=classifiers)
def trees_are_good_enough(
    context: dg.AssetCheckExecutionContext, laboratory: LaboratoryResource
) -> dg.AssetCheckResult:
    """Gate what LightGBM would score by its balanced accuracy on validation runs."""
    task, features = classifier_of(context)
    card, _ = load_model(laboratory.open().store.models / "lightgbm_model" / task / features, "trees")
    return as_result(GATE, "lightgbm_model", good_enough(card))


@dg.asset_check(asset="dense_model", name=GATE, blocking=True, description=_GATE_TEXT, partitions_def=classifiers)
def dense_is_good_enough(context: dg.AssetCheckExecutionContext, laboratory: LaboratoryResource) -> dg.AssetCheckResult:
    """Hold the dense network's balanced accuracy on validation runs against the same bar."""
    task, features = classifier_of(context)
    card, _ = load_model(laboratory.open().store.models / "dense_model" / task / features, "dense")
    return as_result(GATE, "dense_model", good_enough(card))


@dg.asset_check(asset="isolation_forest", name=GATE, blocking=True, description=_GATE_TEXT)
def forest_is_good_enough(
    context: dg.AssetCheckExecutionContext, laboratory: LaboratoryResource
) -> dg.AssetCheckResult:
    """Gate anomaly scores by the forest's separating power."""
    card, _ = load_model(laboratory.open().store.models / "isolation_forest", "forest")
    return as_result(GATE, "isolation_forest", good_enough(card))


CHECKS = (
    labelled_are_believable,
    segment_is_believable,
    every_run_is_readable,
    network_is_good_enough,
    trees_are_good_enough,
    dense_is_good_enough,
    forest_is_good_enough,
)
