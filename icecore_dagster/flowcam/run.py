"""Reading one run: the particle table, its images, the facts of the run, and everything that was wrong with it."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from icecore_dagster.flowcam.crops import Crops
from icecore_dagster.flowcam.facts import (
    Metadata,
    RunFacts,
    gather_facts,
    grey_weights,
    read_metadata,
    software_version,
)
from icecore_dagster.flowcam.images import SafeFolder
from icecore_dagster.flowcam.linking import Linked, dataset_finder, link_collages, link_single_images
from icecore_dagster.flowcam.naming import identify, images_by_number, table_of_images
from icecore_dagster.flowcam.problems import Problem, Reject, RunError, rejects_table
from icecore_dagster.flowcam.source import RunFiles, find_run_files, single_images
from icecore_dagster.flowcam.tables.derived import add_date_and_time, add_derived
from icecore_dagster.flowcam.tables.export import read_export
from icecore_dagster.flowcam.tables.lists import ParticleTable, read_list
from icecore_dagster.flowcam.tables.merge import fill_from_export

__all__ = ["Problem", "Run", "RunError", "RunFacts", "read_run"]

log = logging.getLogger(__name__)

_COLLAGE_COLUMNS = {"Image File", "Image X", "Image Y", "Image Width", "Image Height"}
_SINCE_VERSION_3 = ("_run_summary.txt", "_summary.csv")


@dataclass(frozen=True, eq=False)
class Run:
    """A validated run.

    Attributes:
        facts: the run as a whole.
        particles: the rows kept, one a particle, with a RangeIndex; VisualSpreadsheet 4's column names without units,
            and `Run` (text) and `Row` (line in the source file).
        rejects: the rows refused: Run, Particle ID (Int64), file, row, reason, remedy.
        problems: what was wrong and did not stop the run.
        crops: the particles' images, not decoded until they are asked for.
    """

    facts: RunFacts
    particles: pd.DataFrame
    rejects: pd.DataFrame
    problems: tuple[Problem, ...]
    crops: Crops

    def __post_init__(self) -> None:
        accounted = len(self.particles) + len(self.rejects)
        if self.facts.particles_found != accounted or len(self.crops) != len(self.particles):
            raise AssertionError(
                f"{self.facts.path}: {self.facts.particles_found} rows in, {len(self.particles)} kept, "
                f"{len(self.rejects)} refused: rows were lost in reading; please report this run"
            )

    def crop(self, i: int) -> np.ndarray | None:
        """Grey image of particle i, uint8 (h, w), or None if it has none."""
        return self.crops.crop(i)

    def mask(self, i: int) -> np.ndarray | None:
        """Which pixels of the crop belong to particle i, bool (h, w), or None if that is not known."""
        return self.crops.mask(i)

    def iter_crops(self) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
        """(i, crop, mask) of every particle that has an image.

        They come in the order of the table, page by page; each collage is decoded once, and one is held at a time.
        """
        return iter(self.crops)


def read_run(path: str | Path) -> Run:
    """Read a run.

    Args:
        path: a run folder, a list, an export, a table with one image file a particle, a folder of single images, or
            one image.

    Returns:
        The run: rows that cannot be used are in `rejects`, what was tolerated is in `problems`.

    Raises:
        FileNotFoundError: nothing is there.
        RunError: a file cannot be read at all; names the file, the line and the remedy.
    """
    files = find_run_files(Path(path))
    metadata = read_metadata(files)
    table = _read_table(files)
    rows, rejects, doubts = identify(table, files.name)
    linked = _link(rows, table, files, metadata)
    rejects += _rejected_for_images(rows, linked, table.file)
    facts, contradictions = gather_facts(files, table, metadata, [*_missing_files(files, table), *linked.missing])
    kept = np.ones(len(rows), dtype=bool)
    kept[list(linked.refused)] = False
    run = Run(
        facts,
        _finished(rows, linked.crops, table)[kept].reset_index(drop=True),
        rejects_table([*table.rejects, *rejects], files.name),
        (*table.problems, *doubts, *linked.problems, *contradictions),
        linked.crops.take(kept),
    )
    log.info("%s: %d particles kept, %d rows refused", facts.name, len(run.particles), len(run.rejects))
    return run


def _read_table(files: RunFiles) -> ParticleTable:
    """The particle table: the list, completed from its export; or the export; or the images alone."""
    if files.particle_list:
        table = read_list(files.particle_list)
        rows = add_derived(table.rows, width_over_length=table.format == "list 013")
        return _filled(replace(table, rows=rows), files.table)
    if files.table:
        return read_export(files.table)
    return table_of_images(files.images, files.name)


def _filled(table: ParticleTable, export: Path | None) -> ParticleTable:
    if export is None:
        return table
    try:
        rows, problems = fill_from_export(table.rows, read_export(export))
    except RunError as error:
        unused = Problem(export.name, None, f"the export beside the list is not used ({error})", "export it again")
        return replace(table, problems=(*table.problems, unused))
    return replace(table, rows=rows, problems=(*table.problems, *problems))


def _link(rows: pd.DataFrame, table: ParticleTable, files: RunFiles, metadata: Metadata) -> Linked:
    """Find every row's image, in the way in which this kind of table names images."""
    weights = grey_weights(table, software_version(metadata))
    if table.format == "image table" and files.table:
        find = dataset_finder(files.table, files.folder if files.is_folder else None)
        return link_single_images(rows, rows["imgpaths"].fillna("").tolist(), find, weights, table.file)
    here = SafeFolder(files.folder).find
    if table.format == "images":
        return link_single_images(rows, rows["Image File"].tolist(), here, weights, table.file)
    in_collages = set(rows) >= _COLLAGE_COLUMNS
    images = single_images(files.folder) if table.format == "export" else []
    if images and not (in_collages and _any_collage(rows, images)):
        names, problems = images_by_number(rows, images, files.stem, table.file)
        linked = link_single_images(rows, names, here, weights, table.file)
        return replace(linked, problems=[*problems, *linked.problems])
    if in_collages:
        saved = metadata.context.text("CaptureRegion/SaveBinaryImageFiles") != "0" and table.format != "list 013"
        return link_collages(rows, files.folder, weights, masks_expected=saved)
    without = link_single_images(rows, [""] * len(rows), here, weights, table.file)
    remedy = "export the images one by one as <run>_<particle number>.png into the run's folder"
    return replace(without, problems=[Problem(table.file, None, "the table names no images", remedy)], missing=[])


def _any_collage(rows: pd.DataFrame, images: list[Path]) -> bool:
    return bool(rows["Image File"].str.lower().isin({path.name.lower() for path in images}).any())


def _rejected_for_images(rows: pd.DataFrame, linked: Linked, file: str) -> list[Reject]:
    places = list(linked.refused)
    identity = rows.loc[places, ["Particle ID", "Row", "Run"]].itertuples(index=False, name=None)
    return [
        Reject(int(number), file, int(line), *linked.refused[i], run=run)
        for i, (number, line, run) in zip(places, identity, strict=True)
    ]


def _missing_files(files: RunFiles, table: ParticleTable) -> list[str]:
    if table.format in ("images", "image table"):
        return []
    if table.format == "list 013":
        return [name for name in files.missing if not name.endswith(_SINCE_VERSION_3)]
    return list(files.missing)


def _finished(rows: pd.DataFrame, crops: Crops, table: ParticleTable) -> pd.DataFrame:
    """The columns that every run has, whatever it was read from."""
    rows = add_date_and_time(rows)
    rows = rows[["Run", "Particle ID", *rows.columns.drop(["Run", "Particle ID", "Row"]), "Row"]]
    if table.format not in ("images", "image table"):
        return rows
    if "Image Width" not in rows:
        rows = rows.assign(**{"Image Width": crops.boxes[:, 2], "Image Height": crops.boxes[:, 3]})
    return rows
