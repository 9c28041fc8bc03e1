"""Scoring files that are not part of a core: a run folder, a folder of crops, one image. No Dagster, nothing kept."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from icecore_dagster.flowcam.run import Run, read_run
from icecore_dagster.learning.features.sets import MEASURED
from icecore_dagster.particles.intake.crops import BLOCK
from icecore_dagster.particles.intake.ingest import UM_PER_PX_AT_20X, ingest_run
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.tables.store import atomic_file
from icecore_dagster.scoring.engine import load_scoring_models, score_blocks

SIZES = ("diameter_abd_um", "diameter_esd_um", "diameter_fd_um", "length_um", "width_um")

DEFAULT_TASK, DEFAULT_ARCHITECTURE, DEFAULT_FEATURES = "seven_class", "hybrid_strided", MEASURED
"""Ice holds contamination; and the hybrid keeps the size and the grey that a squashed image loses."""


def score_path(
    path: Path,
    lab: Laboratory,
    *,
    um_per_px: float | None = None,
    task: str = DEFAULT_TASK,
    architecture: str = DEFAULT_ARCHITECTURE,
    progress: bool = True,
) -> pd.DataFrame:
    """Score every particle of a run folder, a folder of crops, a table of images or one image.

    Args:
        path: what to score.
        lab: the laboratory whose trained models score.
        um_per_px: calibration (um/px) for images that state none. Without one, properties are measured as if the
            images were of the 20x objective that the labelled particles were imaged with, and sizes are left empty.
        task: task whose models score.
        architecture: of the image network.
        progress: show a progress bar.

    Returns:
        One row a particle: particle_id, predicted_class, p_<class> (mean of the models), p_cnn_<class>,
        p_lightgbm_<class>, interest, anomaly_score, dust_share_more_anomalous, reconstruction_error,
        dust_share_worse_drawn, sizes in um (NaN where no calibration is known), calibration_um_per_px.

    Raises:
        flowcam.run.RunError: the files cannot be read.
        ModelNotFoundError: no models have been trained.
    """
    models = load_scoring_models(lab.store.models, task, architecture, embedding=False)
    run = read_run(path)
    known = ingest_run(run, um_per_px=um_per_px).particles
    if known.empty:
        raise ValueError(f"{path}: no particle can be scored; `icecore inspect {path}` says what is wrong")
    measured = known if known["calibration_um_per_px"].notna().all() else _as_if_at_20x(run, known)
    pieces = []
    blocks = score_blocks(_blocks(run, measured), models, embedding=False)
    with tqdm(total=len(measured), desc="scoring", unit="particle", disable=not progress) as bar:
        for block in blocks:
            assert block.predictions is not None
            assert block.anomaly is not None
            shared = [c for c in block.anomaly.columns if c in block.predictions.columns]
            pieces.append(block.predictions.join(block.anomaly.drop(columns=shared)))
            bar.update(len(block.predictions))
    scores = pd.concat(pieces, ignore_index=True) if pieces else pd.DataFrame()
    sizes = known[[*SIZES, "calibration_um_per_px"]].reset_index(drop=True)
    return pd.concat([scores, sizes], axis=1)


def _as_if_at_20x(run: Run, known: pd.DataFrame) -> pd.DataFrame:
    """Properties with the 20x calibration wherever none is known."""
    assumed = ingest_run(run, um_per_px=UM_PER_PX_AT_20X).particles
    return known.where(known["calibration_um_per_px"].notna(), assumed)


def _blocks(run: Run, particles: pd.DataFrame) -> Iterator[tuple[pd.DataFrame, list[np.ndarray | None]]]:
    """Particles with their crops, which are read in the particles' own order; those without an image come last."""
    stream = run.iter_crops()
    for start in range(0, len(particles), BLOCK):
        block = particles.iloc[start : start + BLOCK]
        yield block, [next(stream)[1] if has_image else None for has_image in block["has_image"]]


def require_known_ending(output: Path) -> None:
    """Refuse a file of scores that is neither Parquet nor CSV, before anything is scored.

    Raises:
        ValueError: the file has another ending.
    """
    if output.suffix not in (".parquet", ".csv"):
        raise ValueError(f"{output}: scores are written as .parquet or .csv; give the file one of these endings")


def write_scores(scores: pd.DataFrame, output: Path) -> None:
    """Write scores as Parquet or CSV, by the file's ending.

    Raises:
        ValueError: the file has another ending.
    """
    require_known_ending(output)
    with atomic_file(output) as path:
        if output.suffix == ".parquet":
            scores.to_parquet(path, index=False)
        else:
            scores.to_csv(path, index=False)
