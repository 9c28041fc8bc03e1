"""What people read, one partition a core: class distribution, ranking, report."""

import dagster as dg
from pydantic import Field

from icecore_dagster.orchestration.assets.declare import OWNERS
from icecore_dagster.orchestration.automation import WHEN_A_SEGMENT_IS_DONE
from icecore_dagster.orchestration.metadata import Stopwatch, numbers, picture, stored_at, table_head
from icecore_dagster.orchestration.partitions import SCORED_BY, cells_of_core, cores
from icecore_dagster.orchestration.resources import LaboratoryResource
from icecore_dagster.particles.tables.schemas import ANOMALY_RANKING, CLASS_DISTRIBUTION
from icecore_dagster.particles.tables.store import first_rows
from icecore_dagster.reports.core_report import first_crops, write_core_report
from icecore_dagster.reports.figures.gallery import contact_sheet
from icecore_dagster.reports.figures.models.trees import reasons_figure
from icecore_dagster.reports.figures.particles import class_distribution_figure
from icecore_dagster.scoring.core.reasons import explain_first
from icecore_dagster.scoring.core.rollup import (
    FIRST_ANOMALIES,
    keep_class_distribution,
    keep_first_of_all_cores,
    keep_ranking,
)

GROUP = "cores"
_FIRST = 24
"""Particles of a ranking that its asset shows."""


def _of_segments(*names: str) -> list[dg.AssetDep]:
    return [dg.AssetDep(name, partition_mapping=cells_of_core) for name in names]


@dg.asset(
    deps=_of_segments("segment_predictions"),
    partitions_def=cores,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"parquet"},
    code_version="1",
    automation_condition=WHEN_A_SEGMENT_IS_DONE,
    description="Particles of each class in a core, by segment and replicate, per ml with Poisson intervals.",
)
def class_distribution(context: dg.AssetExecutionContext, laboratory: LaboratoryResource) -> dg.MaterializeResult:
    """Count the predicted classes of a core."""
    lab, core, watch = laboratory.open(), context.partition_key, Stopwatch()
    distribution = keep_class_distribution(lab, core, SCORED_BY.task)
    pooled = distribution[distribution["replicate"].isna()]
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(distribution),
            **numbers({f"particles predicted {c}": int(n) for c, n in pooled.groupby("class")["count"].sum().items()}),
            **watch.facts,
            "picture": picture(class_distribution_figure(distribution), "classes by segment and replicate"),
            "table": table_head(pooled, rows=len(pooled)),
            "file": stored_at(lab.store.table(CLASS_DISTRIBUTION.name, core)),
        }
    )


@dg.asset(
    deps=_of_segments("segment_predictions", "segment_anomaly_scores", "segment_crops"),
    partitions_def=cores,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"parquet"},
    code_version="2",
    automation_condition=WHEN_A_SEGMENT_IS_DONE,
    description="Every particle of a core, most interesting first: log-odds of not being dust or contamination, plus "
    "how few of the core's particles are as odd among them; each score stands in its own column.",
)
def anomaly_ranking(context: dg.AssetExecutionContext, laboratory: LaboratoryResource) -> dg.MaterializeResult:
    """Rank the particles of a core."""
    lab, core, watch = laboratory.open(), context.partition_key, Stopwatch()
    ranked = keep_ranking(lab, core)
    stored = lab.store.table(ANOMALY_RANKING.name, core)
    first = first_rows(stored, _FIRST)
    reasons = explain_first(lab, core, first, task=SCORED_BY.task, features=SCORED_BY.features)
    explained = reasons_figure(reasons.particles, reasons.explanation) if reasons else None
    shown = ["rank", "particle_id", "predicted_class", "interest", "anomaly_score", "rank_score", "diameter_esd_um"]
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": ranked,
            **watch.facts,
            "first candidates": picture(
                contact_sheet(first, first_crops(lab, core, first)), "the first of the ranking"
            ),
            **({"why the first six": picture(explained, "SHAP values of the first six")} if explained else {}),
            "head": table_head(first[shown], rows=20),
            "file": stored_at(stored),
        }
    )


class FirstAnomaliesConfig(dg.Config):
    """How many particles are shown."""

    count: int = Field(default=6, ge=1, le=60, description="Particles of all cores to show; the study shows six")


@dg.asset(
    deps=[
        dg.AssetDep(anomaly_ranking, partition_mapping=dg.AllPartitionMapping()),
        dg.AssetDep("segment_crops", partition_mapping=dg.AllPartitionMapping()),
    ],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"parquet"},
    code_version="1",
    description="The first anomalies of all cores together, with id, class, size and scores. Renewed at night.",
)
def first_anomalies(
    context: dg.AssetExecutionContext, config: FirstAnomaliesConfig, laboratory: LaboratoryResource
) -> dg.MaterializeResult:
    """Show what to look at first."""
    lab, watch = laboratory.open(), Stopwatch()
    first = keep_first_of_all_cores(lab, config.count)
    crops = {
        particle: crop
        for core, of_core in first.groupby("core")
        for particle, crop in first_crops(lab, str(core), of_core).items()
    }
    shown = ["rank", "particle_id", "predicted_class", "rank_score", "interest", "anomaly_score", "diameter_esd_um"]
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(first),
            **watch.facts,
            "first anomalies": picture(contact_sheet(first, crops), "the first of the rankings of all cores"),
            "head": table_head(first[shown], rows=len(first)),
            "file": stored_at(lab.store.table(FIRST_ANOMALIES)),
        }
    )


@dg.asset(
    deps=[class_distribution, anomaly_ranking, *_of_segments("segment_embedding", "segment_crops")],
    partitions_def=cores,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"html"},
    code_version="1",
    automation_condition=WHEN_A_SEGMENT_IS_DONE,
    description="One page a core that opens offline: classes, sizes, first 60 candidates, map, what was refused.",
)
def core_report(context: dg.AssetExecutionContext, laboratory: LaboratoryResource) -> dg.MaterializeResult:
    """Write the page of a core."""
    watch = Stopwatch()
    written = write_core_report(laboratory.open(), context.partition_key)
    return dg.MaterializeResult(
        metadata={
            **numbers(written.facts),
            **watch.facts,
            "head": table_head(written.candidates),
            "page": stored_at(written.address),
            "first candidates": picture(written.sheet, "the first of the ranking"),
        }
    )
