"""What the names of image files say: the run, and the particle's number in it (`camp_11nov_4_fc80_20x_33.png`)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from icecore_dagster.flowcam.images import ImageError, image_size
from icecore_dagster.flowcam.problems import Problem, Reject
from icecore_dagster.flowcam.tables.lists import ParticleTable

_RUN_AND_NUMBER = r"(?:^|[/\\])([^/\\]+)_([0-9]{1,15})\.[A-Za-z]+$"
_NUMBER = r"(?:^|[/\\])([0-9]{1,15})\.[A-Za-z]+$"
_NAME_IMAGES = "name images <run>_<particle number>.png, such as GRIP_3046_40_55_1_2787.png"


def runs_and_numbers(names: pd.Series, run: str) -> tuple[pd.Series, pd.Series]:
    """Run and particle number of image files.

    Args:
        names: file names, with or without folders.
        run: the run of those whose name is a number only, or has none.

    Returns:
        Runs (text), and numbers (Int64, missing where a name has none).
    """
    both = names.str.extract(_RUN_AND_NUMBER)
    alone = names.str.extract(_NUMBER)[0]
    return both[0].fillna(run), both[1].fillna(alone).astype("Int64")


def table_of_images(images: Sequence[Path], run: str) -> ParticleTable:
    """A particle table made of image files alone.

    Images whose names have no number are numbered after those that have one, in the order of their names.

    Args:
        images: files, one particle each.
        run: the run of images whose name does not state one.
    """
    names = pd.Series([path.name for path in images], dtype="str")
    runs, numbers = runs_and_numbers(names, run)
    problems = []
    nameless = numbers.isna()
    if nameless.any():
        last = int(numbers[runs == run].max()) if numbers[runs == run].notna().any() else 0
        numbers[nameless] = np.arange(last + 1, last + 1 + int(nameless.sum()))
        first = names[nameless].iloc[0]
        message = (
            f"{int(nameless.sum())} of {len(names)} images have no particle number in their names (first {first!r})"
        )
        problems.append(Problem(run, None, message, f"they were numbered in the order of their names; {_NAME_IMAGES}"))
    rows = pd.DataFrame({"Run": runs, "Particle ID": numbers.astype("int64"), "Image File": names})
    rows = rows.sort_values(["Run", "Particle ID"], kind="stable", ignore_index=True)
    rows["Row"] = np.arange(1, len(rows) + 1)
    return ParticleTable(run, "images", rows, (), len(rows), problems=tuple(problems))


def identify(table: ParticleTable, run: str) -> tuple[pd.DataFrame, list[Reject], list[Problem]]:
    """Give every row of a table its run and its particle's number.

    In an image table the names of the images decide, because one table may hold several runs.

    Args:
        table: any particle table.
        run: name of the run where the table does not state it.

    Returns:
        The rows with `Run` and `Particle ID` (int64), rows refused for having no number or one that stands already, and
        what was tolerated.
    """
    rows, problems = table.rows, list[Problem]()
    if table.format == "image table":
        rows, problems = _identified_by_image(table, run)
    elif table.format != "images":
        rows = rows.assign(Run=pd.Series(run, index=rows.index, dtype="str"))
    numberless = rows["Particle ID"].isna() | (rows["Particle ID"] < 0).fillna(False)
    rejects = [
        Reject(None, table.file, int(line), "no particle number", f"fill in Particle ID, or {_NAME_IMAGES}")
        for line in rows.loc[numberless, "Row"]
    ]
    rows = rows[~numberless].astype({"Particle ID": "int64"}).reset_index(drop=True)
    again = rows.duplicated(["Run", "Particle ID"])
    if again.any():
        lines = rows.drop_duplicates(["Run", "Particle ID"]).set_index(["Run", "Particle ID"])["Row"]
        for row in rows.loc[again, ["Run", "Particle ID", "Row"]].itertuples(index=False):
            reason = f"Particle ID {row[1]} stands already in line {lines[row[0], row[1]]}"
            remedy = "keep one run a table, and each particle once"
            rejects.append(Reject(row[1], table.file, row[2], reason, remedy, run=row[0]))
    return rows[~again].reset_index(drop=True), rejects, problems


def _identified_by_image(table: ParticleTable, run: str) -> tuple[pd.DataFrame, list[Problem]]:
    runs, numbers = runs_and_numbers(table.rows["imgpaths"].fillna("").astype("str"), run)
    if "Particle ID" not in table.rows:
        return table.rows.assign(**{"Run": runs, "Particle ID": numbers}), []
    stated = table.rows["Particle ID"].astype("Int64")
    other = (numbers.notna() & stated.notna() & (numbers != stated)).fillna(False)
    problems = []
    if other.any():
        line = int(table.rows.loc[other, "Row"].iloc[0])
        message = f"imgpaths has another number than Particle ID in {int(other.sum())} of {len(stated)} rows"
        problems.append(Problem(table.file, line, message, "the name of the image decides; check the table"))
    return table.rows.assign(**{"Run": runs, "Particle ID": numbers.fillna(stated)}), problems


def images_by_number(
    rows: pd.DataFrame, images: Sequence[Path], stem: str, file: str
) -> tuple[list[str], list[Problem]]:
    """The image of each row of an export whose images were saved one by one.

    Some programs count the images from 0 and the particles from 1: the numbering under which more images have the size
    that their row states is taken, and an image of another size than stated is not used.

    Args:
        rows: an export with `Particle ID`.
        images: single images in the run's folder.
        stem: what the names of the run's files start with.
        file: name of the export, for messages.

    Returns:
        A file name for each row, whether the file exists or not, empty where its size does not fit; and what was
        tolerated.
    """
    runs, numbers = runs_and_numbers(pd.Series([path.name for path in images], dtype="str"), "")
    counts = Counter(runs[numbers.notna()])
    prefix = stem if stem in counts or not counts else counts.most_common(1)[0][0]
    named = zip(numbers, runs, images, strict=True)
    image_of = {int(n): path for n, run, path in named if run == prefix and not pd.isna(n)}
    size_of = {n: _size_or_none(path) for n, path in image_of.items()}
    fits = {shift: _fitting(rows, size_of, shift) for shift in (0, 1)}
    shift = 1 if fits[1].sum() > fits[0].sum() else 0
    readable = {n for n, size in size_of.items() if size is not None}
    problems = []
    if shift:
        message = "the images are numbered from 0, the particles from 1"
        problems.append(Problem(file, None, message, "they were matched by their sizes; look at a few to be sure"))
    wanted = (rows["Particle ID"] - shift).tolist()
    unfit = [n in readable and not fit for n, fit in zip(wanted, fits[shift], strict=True)]
    if any(unfit):
        message = f"{sum(unfit)} of {len(rows)} images do not have the size that the table states and are not used"
        problems.append(Problem(file, None, message, "check that the numbers of the images are Particle IDs"))
    exist = [image_of[n].name if n in image_of else f"{prefix}_{n}.png" for n in wanted]
    return ["" if out else name for name, out in zip(exist, unfit, strict=True)], problems


def _fitting(rows: pd.DataFrame, size_of: Mapping[int, tuple[int, int] | None], shift: int) -> np.ndarray:
    """Which rows have an image of the stated size; without stated sizes, which have an image."""
    found = [size_of.get(n) for n in (rows["Particle ID"] - shift).tolist()]
    if "Image Width" not in rows or "Image Height" not in rows:
        return np.array([size is not None for size in found], dtype=bool) & (shift == 0)
    stated = rows[["Image Height", "Image Width"]].to_numpy().tolist()
    return np.array(
        [size is not None and list(size) == box for size, box in zip(found, stated, strict=True)], dtype=bool
    )


def _size_or_none(path: Path) -> tuple[int, int] | None:
    try:
        return image_size(path)
    except ImageError:
        return None
