"""Maps of particles: the labelled ones, and the ice of all cores."""

import dagster as dg
from pydantic import Field

from icecore_dagster.learning.labelled_map import fit_labelled_map
from icecore_dagster.learning.maps import MapConfig
from icecore_dagster.orchestration.assets.declare import OWNERS, TRAINING_POOL
from icecore_dagster.orchestration.assets.labelled import synthetic_tensors
from icecore_dagster.orchestration.assets.models.anomaly import isolation_forest
from icecore_dagster.orchestration.assets.models.networks import cnn_model
from icecore_dagster.orchestration.automation import WHEN_THE_NETWORK_IS_NEW
from icecore_dagster.orchestration.jobs import SEGMENT_SCORES
from icecore_dagster.orchestration.metadata import Stopwatch, energy_facts, numbers, picture, stored_at, table_head
from icecore_dagster.orchestration.partitions import SCORED_BY
from icecore_dagster.orchestration.resources import LaboratoryResource
from icecore_dagster.particles.tables.schemas import MAP
from icecore_dagster.particles.tables.store import read_table, write_table
from icecore_dagster.reports.core_report import LABELLED_MAP
from icecore_dagster.reports.figures.maps import map_by_anomaly, map_by_class, map_of_anomaly, map_of_each_class
from icecore_dagster.reports.figures.models.learning import anomaly_histogram
from icecore_dagster.scoring.ice_map import map_ice, placed_ice

GROUP = "maps"


class LabelledMapConfig(dg.Config):
    """How the labelled particles are mapped."""

    most: int = Field(
        default=4_000, ge=10, description="Labelled particles on the map at most, the same share of each label"
    )
    n_neighbors: int = Field(default=25, ge=2, description="Neighbours whose distances the map tries to keep")
    min_dist: float = Field(default=0.6, ge=0, description="How close two points may lie on the map")
    seed: int = Field(default=0, description="The same seed gives the same map")


@dg.asset(
    deps=[
        dg.AssetDep(cnn_model, partition_mapping=SCORED_BY.the_network),
        isolation_forest,
        synthetic_tensors,
    ],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"umap", "parquet"},
    code_version="1",
    pool=TRAINING_POOL,
    automation_condition=WHEN_THE_NETWORK_IS_NEW,
    description="UMAP of the labelled particles by the scoring network's embedding; ice particles are placed on it.",
)
def synthetic_umap(
    context: dg.AssetExecutionContext, config: LabelledMapConfig, laboratory: LaboratoryResource
) -> dg.MaterializeResult:
    """Map the labelled particles."""
    lab = laboratory.open()
    mapped = fit_labelled_map(
        lab,
        SCORED_BY.task,
        SCORED_BY.architecture,
        MapConfig(n_neighbors=config.n_neighbors, min_dist=config.min_dist),
        most=config.most,
        seed=config.seed,
        country=laboratory.country,
    )
    target = lab.store.table("synthetic_umap")
    write_table(target, mapped.points, MAP)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(mapped.card.content_hash),
        metadata={
            "dagster/row_count": len(mapped.points),
            **numbers({"network": mapped.card.built_on["network"][:12]}),
            **energy_facts(mapped.card.energy),
            "by class": picture(map_by_class(mapped.points), "labelled particles by class"),
            "by anomaly": picture(map_by_anomaly(mapped.points), "labelled particles by anomaly score"),
            "head": table_head(mapped.points),
            "file": stored_at(target),
        },
    )


class IceMapConfig(dg.Config):
    """How much of the ice is mapped."""

    share: float = Field(
        default=0.15, gt=0, le=1, description="Share of each segment's particles that the map is fitted on"
    )
    most: int = Field(default=20_000, ge=10, description="Particles on the map at most")
    seed: int = Field(default=0, description="The same seed gives the same map")


@dg.asset(
    deps=[
        synthetic_umap,
        *(dg.AssetDep(name, partition_mapping=dg.AllPartitionMapping()) for name in SEGMENT_SCORES),
    ],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"umap", "parquet"},
    code_version="2",
    pool=TRAINING_POOL,
    description="The ice of all cores: all of it where it lies on the labelled map, and a share of it on a map fitted "
    "on the ice alone; by predicted class and by anomaly. Renewed at night.",
)
def ice_umap(
    context: dg.AssetExecutionContext, config: IceMapConfig, laboratory: LaboratoryResource
) -> dg.MaterializeResult:
    """Map the ice."""
    lab, watch = laboratory.open(), Stopwatch()
    points = map_ice(lab, share=config.share, most=config.most, seed=config.seed)
    target = lab.store.table("ice_umap")
    write_table(target, points, MAP)
    every, labelled = placed_ice(lab), read_table(lab.store.table(LABELLED_MAP))
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(points),
            **numbers({"particles on the labelled map": int(every["map_x"].notna().sum())}),
            **watch.facts,
            "labelled map, by class": picture(map_of_each_class(every, labelled), "all ice by predicted class"),
            "labelled map, by anomaly": picture(map_of_anomaly(every, labelled), "all ice by anomaly score"),
            "own map, by class": picture(map_by_class(points), "ice particles by predicted class"),
            "own map, by anomaly": picture(map_by_anomaly(points), "ice particles by anomaly score"),
            "scores": picture(anomaly_histogram(every, by="class"), "anomaly scores of all ice by predicted class"),
            "head": table_head(points),
            "file": stored_at(target),
        }
    )
