"""Which files of a folder make up a run: the particle table and what lies beside it."""

import re
from dataclasses import dataclass
from pathlib import Path

from icecore_dagster.flowcam.images import IMAGE_SUFFIXES, image_files, visible_files
from icecore_dagster.flowcam.problems import RunError
from icecore_dagster.flowcam.tables.export import read_heading

_INSTRUMENT_IMAGE = re.compile(r"(?:cal_image_|rawfile_|collage_).*|.*_bin\.\w+", re.IGNORECASE)
_MARK_OF_A_RUN = re.compile(r"(?:cal_image_|rawfile_|collage_).*|.*_\d{6}_bin\.tiff?", re.IGNORECASE)
_INSTRUMENT_SUFFIXES = (".ctx", ".cla", ".edg", ".flb")
_SUMMARY = "_summary.csv"
_ONE_RUN = "keep one run a folder"


@dataclass(frozen=True)
class RunFiles:
    """The files of one run; None or empty where there is none.

    Attributes:
        name: of the run: the folder's, or that of a single file without its suffix.
        folder: where they lie.
        stem: what their names start with.
        particle_list: the `.lst`.
        table: the export or image table.
        images: single images that may each show one particle, by name.
        context: the `.ctx`.
        run_summary: the `_run_summary.txt`.
        list_summary: the `_summary.csv`.
        is_folder: whether the whole folder is the run, and not one file of it.
    """

    name: str
    folder: Path
    stem: str
    particle_list: Path | None
    table: Path | None
    images: tuple[Path, ...]
    context: Path | None
    run_summary: Path | None
    list_summary: Path | None
    is_folder: bool

    @property
    def path(self) -> Path:
        """What the run was asked for: the folder, or the one file."""
        return self.folder if self.is_folder else self.particle_list or self.table or self.images[0]

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the files that VisualSpreadsheet writes beside a list or an export and that are not here."""
        expected = {
            f"{self.stem}.ctx": self.context,
            f"{self.stem}_run_summary.txt": self.run_summary,
            f"{self.stem}{_SUMMARY}": self.list_summary,
            f"{self.stem}.csv": self.table,
        }
        return tuple(name for name, path in expected.items() if path is None)


def find_run_files(path: Path) -> RunFiles:
    """Find what belongs to a run.

    Args:
        path: a run folder, a particle table, a folder of images, or one image.

    Raises:
        FileNotFoundError: nothing is there.
        RunError: there is no particle table and no image, or more than one table to choose from.
    """
    if path.is_dir():
        return _from_folder(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such run; give a run folder, a particle table, or an image")
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return RunFiles(path.stem, path.parent, path.stem, None, None, (path,), None, None, None, is_folder=False)
    if suffix == ".csv":
        return _files(path.stem, path.parent, path.stem, table=path, is_folder=False)
    if suffix == ".lst":
        return _files(path.parent.name, path.parent, path.stem, particle_list=path, is_folder=False)
    raise RunError.at(
        path.name, None, "no particle table and no image", "give a .lst, .csv, .png or .tif file, or a folder"
    )


def _from_folder(folder: Path) -> RunFiles:
    name = folder.resolve().name
    files = sorted(visible_files(folder))
    lists = [f for f in files if f.suffix.lower() == ".lst"]
    if lists:
        chosen = _one_of(lists, name, "lists", folder)
        return _files(name, folder, chosen.stem, particle_list=chosen, is_folder=True)
    tables = [f for f in files if _is_particle_table(f)]
    if tables:
        chosen = _one_of(tables, name, "particle tables", folder)
        return _files(name, folder, _run_stem(chosen, name), table=chosen, is_folder=True)
    _refuse_leftovers(folder, files)
    images = single_images(folder)
    if not images:
        raise RunError.at(
            folder.name,
            None,
            "no list (.lst), no particle table (.csv) and no image (.png, .tif) lies directly in this folder",
            "put the files of one run into it; folders inside of it are not searched",
        )
    return _files(name, folder, name, images=tuple(images), is_folder=True)


def _files(
    name: str,
    folder: Path,
    stem: str,
    *,
    is_folder: bool,
    particle_list: Path | None = None,
    table: Path | None = None,
    images: tuple[Path, ...] = (),
) -> RunFiles:
    files = sorted(visible_files(folder))
    return RunFiles(
        name,
        folder,
        stem,
        particle_list,
        table or (_export_beside(files, stem) if particle_list else None),
        images,
        _beside(files, stem, ".ctx", alone=is_folder),
        _beside(files, stem, "_run_summary.txt", alone=is_folder),
        _beside(files, stem, _SUMMARY, alone=is_folder),
        is_folder,
    )


def single_images(folder: Path) -> list[Path]:
    """The images of a folder that may show one particle each: no background, raw frame, mask or page of images."""
    return [path for path in image_files(folder) if not _INSTRUMENT_IMAGE.fullmatch(path.name)]


def _is_particle_table(path: Path) -> bool:
    name = path.name.lower()
    return name.endswith(".csv") and not name.endswith(_SUMMARY) and read_heading(path) is not None


def _run_stem(table: Path, name: str) -> str:
    stem = re.sub(r"_data$|^data_export$", "", table.stem, flags=re.IGNORECASE)
    return stem or name


def _one_of(found: list[Path], name: str, what: str, folder: Path) -> Path:
    if len(found) == 1:
        return found[0]
    same = [path for path in found if path.stem == name]
    if same:
        return same[0]
    names = ", ".join(path.name for path in found[:5])
    raise RunError.at(folder.name, None, f"{len(found)} {what} in one folder ({names})", _ONE_RUN)


def _beside(files: list[Path], stem: str, ending: str, *, alone: bool) -> Path | None:
    """The file of the run with that ending, else the only one in the folder with it."""
    ends = [path for path in files if path.name.lower().endswith(ending)]
    same = [path for path in ends if path.name.lower() == (stem + ending).lower()]
    return same[0] if same else ends[0] if alone and len(ends) == 1 else None


def _export_beside(files: list[Path], stem: str) -> Path | None:
    by_name = {path.name.lower(): path for path in files}
    for name in (f"{stem}.csv", f"{stem}_data.csv", "data_export.csv"):
        path = by_name.get(name.lower())
        if path is not None and _is_particle_table(path):
            return path
    return None


def _refuse_leftovers(folder: Path, files: list[Path]) -> None:
    """A run of the instrument that has lost its list must not pass for a folder of single images."""
    marks = [f for f in files if f.suffix.lower() in _INSTRUMENT_SUFFIXES or f.name.lower().endswith(_SUMMARY)]
    marks += [f for f in files if f.suffix.lower() in IMAGE_SUFFIXES and _MARK_OF_A_RUN.fullmatch(f.name)]
    if marks:
        raise RunError.at(
            folder.name,
            None,
            f"files of a FlowCam run ({marks[0].name}), but no list (.lst) and no particle table (.csv)",
            "copy the list from the instrument, or export the run as CSV",
        )
