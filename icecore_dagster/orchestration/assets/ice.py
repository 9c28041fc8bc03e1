"""The ice, one cell a segment: its particles and its crops, read from the runs in the landing folder."""

import dagster as dg

from icecore_dagster.orchestration.assets.declare import OWNERS
from icecore_dagster.orchestration.automation import WHEN_INPUTS_ARE_SOUND
from icecore_dagster.orchestration.metadata import HEAD_ROWS, Stopwatch, numbers, picture, stored_at, table_head
from icecore_dagster.orchestration.partitions import cell_of, cells
from icecore_dagster.orchestration.resources import LaboratoryResource
from icecore_dagster.particles.intake.cells import pack_segment, read_segment
from icecore_dagster.particles.intake.crops import read_crops
from icecore_dagster.particles.tables.schemas import SEGMENT_CROPS, SEGMENT_PARTICLES
from icecore_dagster.particles.tables.store import first_rows, read_table
from icecore_dagster.reports.figures.gallery import contact_sheet
from icecore_dagster.reports.figures.particles import SIZE_COLUMNS, size_distributions

GROUP = "ice"
_SHOWN, _SHOWN_FROM = 12, 1_000
"""Crops on the contact sheet, and the first particles of a segment that they are taken from."""


@dg.asset(
    partitions_def=cells,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"flowcam", "parquet"},
    code_version="1",
    description="Particles of one segment, one row each, read from its runs in the landing folder and validated; what "
    "was refused stands in a table of its own with the reason. Requested by the landing sensor.",
)
def segment_particles(context: dg.AssetExecutionContext, laboratory: LaboratoryResource) -> dg.MaterializeResult:
    """Read the runs of a segment."""
    lab, cell, watch = laboratory.open(), cell_of(context), Stopwatch()
    read = read_segment(lab, *cell)
    stored = lab.store.table(SEGMENT_PARTICLES.name, *cell)
    metadata: dict[str, dg.MetadataValue] = {
        "dagster/row_count": dg.MetadataValue.int(read.rows),
        **numbers({"runs": len(read.runs), "rows refused": len(read.rejects)}),
        **watch.facts,
        "volume imaged (ml)": table_head(read.runs[["run", "volume_imaged_ml", "volume_source"]], rows=len(read.runs)),
        "head": table_head(first_rows(stored, HEAD_ROWS)),
        "sizes": picture(
            size_distributions(read_table(stored, ["run", *SIZE_COLUMNS]), by="run"), "size distribution by run"
        ),
        "file": stored_at(stored),
    }
    if not read.rejects.empty:
        metadata["refused"] = table_head(read.rejects)
    if problems := [p for p in read.runs["problems"] if p]:
        metadata["what was wrong"] = dg.MetadataValue.md(
            "\n".join(f"- {line}" for p in problems for line in p.split("\n"))
        )
    return dg.MaterializeResult(metadata=metadata, data_version=dg.DataVersion(read.fingerprint))


@dg.asset(
    deps=[segment_particles],
    partitions_def=cells,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"parquet"},
    code_version="2",
    automation_condition=WHEN_INPUTS_ARE_SOUND,
    description="Crops of one segment at native size, losslessly packed, ready to be streamed to a network.",
)
def segment_crops(context: dg.AssetExecutionContext, laboratory: LaboratoryResource) -> dg.MaterializeResult:
    """Pack the crops of a segment."""
    lab, cell, watch = laboratory.open(), cell_of(context), Stopwatch()
    packed = pack_segment(lab, *cell)
    target = lab.store.table(SEGMENT_CROPS.name, *cell)
    size = target.stat().st_size
    first = first_rows(lab.store.table(SEGMENT_PARTICLES.name, *cell), _SHOWN_FROM).query("has_image").head(_SHOWN)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": packed,
            **numbers({"megabytes": size / 1e6, "bytes a particle": size / max(packed, 1)}),
            **watch.facts,
            "head": table_head(first_rows(target, HEAD_ROWS).drop(columns="pixels")),
            "crops": picture(contact_sheet(first, read_crops(target, first["particle_id"])), "the first crops"),
            "file": stored_at(target),
        }
    )
