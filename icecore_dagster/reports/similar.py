"""The particles that look like a given one, for people: a sheet of crops, a table, or a page with both."""

from pathlib import Path

import numpy as np
import pandas as pd

from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.tables.store import atomic_file
from icecore_dagster.reports.core_report import first_crops
from icecore_dagster.reports.figures.drawing import class_title
from icecore_dagster.reports.figures.gallery import contact_sheet
from icecore_dagster.reports.page import data_uri, environment
from icecore_dagster.reports.wording import count, depth_range, is_known, number, size
from icecore_dagster.scoring.similar import Similar

TEMPLATE = "similar.html.j2"
ENDINGS = (".html", ".csv", ".png")


def require_known_ending(output: Path) -> None:
    """Refuse a file that is none of page, table and picture, before anything is searched.

    Raises:
        ValueError: the file has another ending.
    """
    if output.suffix not in ENDINGS:
        raise ValueError(f"{output}: give the file one of the endings {', '.join(ENDINGS)}")


def write_similar(lab: Laboratory, similar: Similar, output: Path, title: str) -> None:
    """Write what was found as a page, a table or a picture, by the file's ending.

    Args:
        lab: the laboratory, whose crops are shown.
        similar: what was found.
        output: .html, .csv or .png.
        title: how it was looked for, a line.

    Raises:
        ValueError: the file has another ending.
    """
    require_known_ending(output)
    with atomic_file(output) as path:
        if output.suffix == ".csv":
            similar.found.to_csv(path, index=False)
        elif output.suffix == ".png":
            path.write_bytes(similar_sheet(lab, similar))
        else:
            path.write_text(_page(lab, similar, title), encoding="utf-8")


def similar_sheet(lab: Laboratory, similar: Similar) -> bytes:
    """The crop of the particle that was asked for, as #0, and those of the found ones: PNG."""
    query = similar.query
    crops: dict[str, np.ndarray] = {query.particle_id: query.crop}
    if len(similar.found):
        crops |= first_crops(lab, similar.core, similar.found)
    asked = query.particle.assign(rank=0).reindex(columns=similar.found.columns)
    return contact_sheet(pd.concat([asked, similar.found], ignore_index=True), crops)


def rows_for_people(found: pd.DataFrame) -> list[dict[str, str]]:
    """What was found, written out: rank, particle, distance, class, size and depth."""
    return [
        {
            "rank": str(row["rank"]),
            "particle": str(row["particle_id"]),
            "distance": number(row["distance"]),
            "class": class_title(str(row["predicted_class"])) if is_known(row["predicted_class"]) else "unknown",
            "ESD": size(row["diameter_esd_um"]),
            "depth in the bag": depth_range(str(row["segment"])),
        }
        for _, row in found.iterrows()
    ]


def _page(lab: Laboratory, similar: Similar, title: str) -> str:
    return (
        environment()
        .get_template(TEMPLATE)
        .render(
            particle_id=similar.query.particle_id,
            core=similar.core,
            title=title,
            searched=count(similar.searched),
            sheet=data_uri(similar_sheet(lab, similar)),
            rows=rows_for_people(similar.found),
        )
    )
