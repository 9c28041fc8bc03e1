"""Scores of the ice, one cell a segment: predictions, anomaly scores and embedding from one pass over its crops."""

from collections.abc import Iterator

import dagster as dg

from icecore_dagster.orchestration.assets.declare import OWNERS
from icecore_dagster.orchestration.assets.ice import segment_crops, segment_particles
from icecore_dagster.orchestration.assets.maps import synthetic_umap
from icecore_dagster.orchestration.assets.models.anomaly import isolation_forest
from icecore_dagster.orchestration.assets.models.networks import cnn_model
from icecore_dagster.orchestration.assets.models.trees import lightgbm_model
from icecore_dagster.orchestration.automation import WHEN_INPUTS_ARE_SOUND
from icecore_dagster.orchestration.metadata import HEAD_ROWS, energy_facts, numbers, picture, stored_at, table_head
from icecore_dagster.orchestration.partitions import SCORED_BY, cell_of, cells
from icecore_dagster.orchestration.resources import LaboratoryResource
from icecore_dagster.particles.labels import TASKS
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.tables.schemas import Table
from icecore_dagster.particles.tables.store import first_rows, stream_table
from icecore_dagster.reports.figures.scores import SCORES_SHOWN, score_figure
from icecore_dagster.scoring.segments import SCORES, SegmentScored, score_segment

GROUP = "scores"

_MODELS: list[dg.AssetDep | dg.AssetsDefinition] = [
    dg.AssetDep(cnn_model, partition_mapping=SCORED_BY.the_network),
    dg.AssetDep(lightgbm_model, partition_mapping=SCORED_BY.the_trees),
    isolation_forest,
    synthetic_umap,
]
_DESCRIPTIONS = {
    "segment_predictions": "Class probabilities of every particle: by image network, by LightGBM, and both.",
    "segment_anomaly_scores": "How unlike dust every particle is: isolation forest (more negative is odder), and "
    "the autoencoder's error (larger is odder) where one has been trained.",
    "segment_embedding": "Every particle in the network's own coordinates, and on the labelled map.",
}


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            table.name,
            deps=[segment_particles, segment_crops, *_MODELS],
            group_name=GROUP,
            owners=OWNERS,
            kinds={"torch", "lightgbm", "parquet"},
            code_version="4",
            automation_condition=WHEN_INPUTS_ARE_SOUND,
            description=_DESCRIPTIONS[table.name],
            skippable=True,
        )
        for table in SCORES
    ],
    partitions_def=cells,
    can_subset=True,
)
def segment_scores(context: dg.AssetExecutionContext, laboratory: LaboratoryResource) -> Iterator[dg.MaterializeResult]:
    """Score a segment. The models are loaded together and refused if they do not belong together."""
    lab, (core, segment) = laboratory.open(), cell_of(context)
    wanted = {key.to_user_string() for key in context.selected_asset_keys}
    scored = score_segment(
        lab,
        core,
        segment,
        task=SCORED_BY.task,
        architecture=SCORED_BY.architecture,
        features=SCORED_BY.features,
        wanted=wanted,
        country=laboratory.country,
    )
    # Together, so that what depends on one of them does not start while another is still being described.
    yield from [_described(lab, table, core, segment, scored) for table in SCORES if table.name in wanted]


def _described(lab: Laboratory, table: Table, core: str, segment: str, scored: SegmentScored) -> dg.MaterializeResult:
    target = lab.store.table(table.name, core, segment)
    shown = stream_table(target, SCORES_SHOWN[table.name])
    return dg.MaterializeResult(
        asset_key=table.name,
        metadata={
            "dagster/row_count": scored.rows,
            **numbers({f"{kind} model": version[:12] for kind, version in scored.models.items()}),
            **energy_facts(scored.energy),
            **numbers({"particles a second": (scored.rows - scored.kept) / max(scored.energy.seconds, 1e-9)}),
            "head": table_head(first_rows(target, HEAD_ROWS)),
            "picture": picture(score_figure(table.name, shown, TASKS[SCORED_BY.task].classes), table.row),
            "file": stored_at(target),
        },
    )
