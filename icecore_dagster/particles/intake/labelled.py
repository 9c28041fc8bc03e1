"""The labelled laboratory particles: importing runs of known material into one table, and reading their crops again."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from icecore_dagster.flowcam.landing import find_runs, fingerprint
from icecore_dagster.flowcam.run import read_run
from icecore_dagster.particles.intake.cells import combined_fingerprint
from icecore_dagster.particles.intake.ingest import ingest_run
from icecore_dagster.particles.labels import LABEL_KEYS, label_of_run
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.tables.schemas import SEGMENT_REJECTS, SYNTHETIC_PARTICLES
from icecore_dagster.particles.tables.store import read_note, write_table


class LabelledError(ValueError):
    """No labelled particles are there, or a run's name does not say what it holds."""


@dataclass(frozen=True)
class LabelledSource:
    """One labelled run folder or published table, and the label its name states."""

    path: Path
    label: str


def labelled_sources(lab: Laboratory) -> list[LabelledSource]:
    """Labelled runs (`labelled/<label>_...`) and published tables (`datasets/<label>.csv`), by name.

    Raises:
        LabelledError: a run folder's name does not start with a label.
    """
    sources = []
    for source in find_runs(lab.labelled):
        label = label_of_run(source.name)
        if label is None:
            raise LabelledError(
                f"{source.path}: the name does not start with a label; call it <label>_<date>_<run>_<cell>_<objective>,"
                f" such as camp_11nov_4_fc80_20x, where label is one of {', '.join(LABEL_KEYS)}"
            )
        sources.append(LabelledSource(source.path, label))
    for label in LABEL_KEYS:
        table = lab.published / f"{label}.csv"
        if table.exists():
            sources.append(LabelledSource(table, label))
    return sources


@dataclass(frozen=True)
class LabelledImport:
    """What reading the labelled sources gave.

    Attributes:
        particles: `schemas.SYNTHETIC_PARTICLES`, only particles that have an image.
        rejects: `schemas.SEGMENT_REJECTS`.
        without_image: particles left out because their crop is not there.
        fingerprint: one SHA-256 for the bytes of all sources.
    """

    particles: pd.DataFrame
    rejects: pd.DataFrame
    without_image: int
    fingerprint: str


def chosen_sources(lab: Laboratory, simulated: set[str], mix_simulated: bool) -> list[LabelledSource]:
    """The sources to learn from: simulated ones only where nothing was imported, unless they are to be mixed."""
    sources = labelled_sources(lab)
    imported = [source for source in sources if source.path.name not in simulated]
    return sources if mix_simulated or not imported else imported


def import_labelled(
    lab: Laboratory, simulated: set[str], *, mix_simulated: bool = False, progress: bool = True
) -> LabelledImport:
    """Read the labelled sources into one table.

    Args:
        lab: the laboratory.
        simulated: names of sources that were drawn by the simulator.
        mix_simulated: whether to learn from those as well where imported sources are there.
        progress: show a progress bar.

    Raises:
        LabelledError: there is no labelled source.
    """
    sources = chosen_sources(lab, simulated, mix_simulated)
    if not sources:
        raise LabelledError(
            f"no labelled particles: put runs into {lab.labelled}, the published tables into {lab.published}, "
            "or draw some with `icecore simulate labelled`"
        )
    particles, rejects, prints = [], [], {}
    for source in tqdm(sources, desc="reading labelled runs", unit="run", disable=not progress):
        run = read_run(source.path)
        piece = ingest_run(run)
        origin = "simulated" if source.path.name in simulated else "imported"
        particles.append(piece.particles.assign(label=source.label, source=origin))
        rejects.append(piece.rejects)
        prints[source.path.name] = _fingerprint(source.path)
    table = pd.concat(particles, ignore_index=True)
    with_image = table[table["has_image"]].reset_index(drop=True)
    return LabelledImport(
        with_image, pd.concat(rejects, ignore_index=True), len(table) - len(with_image), combined_fingerprint(prints)
    )


def keep_labelled(
    lab: Laboratory, simulated: set[str], *, mix_simulated: bool = False, progress: bool = True
) -> LabelledImport:
    """Read the labelled sources and keep their table and what was refused; arguments as `import_labelled`."""
    imported = import_labelled(lab, simulated, mix_simulated=mix_simulated, progress=progress)
    target = lab.store.table(SYNTHETIC_PARTICLES.name)
    write_table(target, imported.particles, SYNTHETIC_PARTICLES, {"fingerprint": imported.fingerprint})
    write_table(lab.store.table("synthetic_rejects"), imported.rejects, SEGMENT_REJECTS)
    return imported


def is_kept(lab: Laboratory, simulated: set[str], *, mix_simulated: bool = False) -> bool:
    """Whether the kept table is of the labelled sources as they lie now; arguments as `import_labelled`."""
    target = lab.store.table(SYNTHETIC_PARTICLES.name)
    if not target.exists():
        return False
    sources = chosen_sources(lab, simulated, mix_simulated)
    now = combined_fingerprint({source.path.name: _fingerprint(source.path) for source in sources})
    return read_note(target).get("fingerprint") == now


def _fingerprint(source: Path) -> str:
    if source.is_dir():
        return fingerprint(source)
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def labelled_crops(lab: Laboratory, runs: set[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Ids and crops, uint8 (h, w), of the labelled particles of the given runs, in the order of `import_labelled`."""
    for source in labelled_sources(lab):
        if source.path.is_dir() and source.path.name not in runs:
            continue
        run = read_run(source.path)
        names = run.particles["Run"].to_numpy()
        numbers = run.particles["Particle ID"].to_numpy()
        for i, crop, _ in run.iter_crops():
            if crop is not None and names[i] in runs:
                yield f"{names[i]}_{numbers[i]}", crop
