"""The labelled laboratory particles ("synthetic" in the study's words): table, split, tensors."""

import dagster as dg
from pydantic import Field

from icecore_dagster.learning.labelled_set import keep_split, keep_tensors
from icecore_dagster.learning.networks.tensors import open_tensors
from icecore_dagster.orchestration.assets.declare import OWNERS
from icecore_dagster.orchestration.metadata import Stopwatch, numbers, picture, stored_at, table_head
from icecore_dagster.orchestration.resources import LaboratoryResource
from icecore_dagster.particles.intake.labelled import keep_labelled, labelled_sources
from icecore_dagster.particles.tables.schemas import SYNTHETIC_PARTICLES, SYNTHETIC_SPLIT
from icecore_dagster.particles.tables.store import local_folder, read_note, read_table
from icecore_dagster.reports.figures.gallery import crop_sheet
from icecore_dagster.reports.figures.models.learning import split_figure
from icecore_dagster.reports.figures.particles import size_distributions

GROUP = "labelled"


class LabelledConfig(dg.Config):
    """What to do where no labelled particles are there."""

    draw_if_absent: int = Field(
        default=5_000,
        ge=0,
        description="Labelled particles to simulate if no labelled run is there; 0 to refuse instead",
    )
    seed: int = Field(default=2021, description="The same seed draws the same particles")
    mix_simulated: bool = Field(
        default=False, description="Learn from simulated runs as well where imported ones are there"
    )


class SplitConfig(dg.Config):
    """How the labelled particles are divided."""

    validation: float = Field(default=0.15, gt=0, lt=0.5, description="Share of each class held out for validation")
    test: float = Field(default=0.15, gt=0, lt=0.5, description="Share of each class held out for the test")
    seed: int = Field(default=0, description="The same seed gives the same division")


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"flowcam", "parquet"},
    code_version="1",
    description="Labelled laboratory particles, one row each: imported from data/labelled and data/datasets, or "
    "simulated where nothing is there.",
)
def synthetic_particles(
    context: dg.AssetExecutionContext, config: LabelledConfig, laboratory: LaboratoryResource
) -> dg.MaterializeResult:
    """Read every labelled run into one table."""
    from icecore_dagster.simulation.laboratory import simulate_labelled, simulated_runs

    lab, watch = laboratory.open(), Stopwatch()
    if not labelled_sources(lab) and config.draw_if_absent:
        context.log.info(f"no labelled run in {lab.labelled}: drawing {config.draw_if_absent} particles")
        simulate_labelled(lab.labelled, particles=config.draw_if_absent, seed=config.seed)
    imported = keep_labelled(lab, simulated_runs(lab.labelled), mix_simulated=config.mix_simulated)
    counts = imported.particles["label"].value_counts().to_dict()
    origins = imported.particles["source"].value_counts().to_dict()
    return dg.MaterializeResult(
        data_version=dg.DataVersion(imported.fingerprint),
        metadata={
            "dagster/row_count": len(imported.particles),
            **numbers({f"particles of {label}": int(n) for label, n in counts.items()}),
            **numbers({f"{origin} particles": int(n) for origin, n in origins.items()}),
            **numbers({"runs": imported.particles["run"].nunique(), "rows refused": len(imported.rejects)}),
            **numbers({"particles without an image, left out": imported.without_image}),
            **watch.facts,
            "head": table_head(imported.particles),
            "sizes": picture(size_distributions(imported.particles, by="label"), "size distribution by label"),
            "file": stored_at(lab.store.table(SYNTHETIC_PARTICLES.name)),
        },
    )


@dg.asset(
    deps=[synthetic_particles],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"parquet"},
    code_version="1",
    description="Which labelled particle trains, validates or tests: by run, so that no run is on two sides, and "
    "beside it the study's split by image.",
)
def synthetic_split(
    context: dg.AssetExecutionContext, config: SplitConfig, laboratory: LaboratoryResource
) -> dg.MaterializeResult:
    """Divide the labelled particles."""
    lab, watch = laboratory.open(), Stopwatch()
    split = keep_split(lab, **config.model_dump())
    counts = split.groupby(["label", "split"]).agg(runs=("run", "nunique"), particles=("run", "size")).reset_index()
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(split),
            **numbers({f"particles in {side}": int(n) for side, n in split["split"].value_counts().items()}),
            **watch.facts,
            "head": table_head(split),
            "division": table_head(counts, rows=len(counts)),
            "picture": picture(split_figure(counts), "particles and runs of each label in each set"),
            "file": stored_at(lab.store.table(SYNTHETIC_SPLIT.name)),
        }
    )


@dg.asset(
    deps=[synthetic_particles],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"numpy"},
    code_version="2",
    description="The labelled crops as a network takes them, uint8, memory-mapped: native, and resized to 128x128.",
)
def synthetic_tensors(context: dg.AssetExecutionContext, laboratory: LaboratoryResource) -> dg.MaterializeResult:
    """Resize and keep every labelled crop."""
    lab, watch = laboratory.open(), Stopwatch()
    folder = keep_tensors(lab)
    table = lab.store.table(SYNTHETIC_PARTICLES.name)
    known = read_table(table, ["label", "calibration_um_per_px"])
    tensors = open_tensors(local_folder(folder, lab.scratch, str(read_note(table)["fingerprint"])[:16]))
    first = known.groupby("label").head(8)
    crops = {str(label): [tensors.native(i) for i in rows.index] for label, rows in first.groupby("label")}
    scales = known["calibration_um_per_px"].unique()
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(tensors),
            **numbers({"megabytes": (tensors.images.nbytes + tensors.pixels.nbytes) / 1e6}),
            **numbers({"network input": " x ".join(map(str, tensors.images.shape)) + ", uint8"}),
            **watch.facts,
            "head": table_head(known.value_counts().rename("particles").reset_index()),
            "examples": picture(crop_sheet(crops, scales[0] if len(scales) == 1 else None), "some crops of each label"),
            "folder": stored_at(folder),
        }
    )
