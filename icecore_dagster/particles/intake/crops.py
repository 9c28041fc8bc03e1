"""Packing crops: the images of a segment in one table at native size, written and read as a stream."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from upath import UPath

from icecore_dagster.flowcam.run import Run
from icecore_dagster.particles.segment import border_grey
from icecore_dagster.particles.tables.store import column_names, find_rows, read_table, stream_table

BLOCK = 1_024
"""Crops held in memory at once while packing or streaming."""
_STORED = ("particle_id", "height_px", "width_px", "pixels")


@dataclass(frozen=True)
class CropBlock:
    """Consecutive crops of a packed table: ids (n), and n arrays of uint8 (h, w)."""

    particle_ids: list[str]
    crops: list[np.ndarray]


def pack_run(run: Run, run_name: str) -> Iterator[pd.DataFrame]:
    """A run's crops as blocks of the `segment_crops` table, in the order of its files.

    Args:
        run: a validated run.
        run_name: prefix of the particle ids.

    Yields:
        Frames of at most `BLOCK` rows: particle_id, run, height_px, width_px, background_grey, pixels. Particles
        without an image are left out.
    """
    rows: list[dict[str, object]] = []
    numbers = run.particles["Particle ID"].to_numpy()
    for i, crop, _ in run.iter_crops():
        if crop is None:
            continue
        rows.append(
            {
                "particle_id": f"{run_name}_{numbers[i]}",
                "run": run_name,
                "height_px": crop.shape[0],
                "width_px": crop.shape[1],
                "background_grey": float(border_grey(crop)),
                "pixels": crop.tobytes(),
            }
        )
        if len(rows) == BLOCK:
            yield pd.DataFrame(rows)
            rows = []
    if rows:
        yield pd.DataFrame(rows)


def stream_crops(source: UPath, rows: int = BLOCK, skip: int = 0) -> Iterator[CropBlock]:
    """Read packed crops block by block, but for the first `skip`.

    Raises:
        ValueError: the table is of an earlier version, or damaged.
    """
    _check_version(source)
    for frame in _behind(stream_table(source, list(_STORED), rows), skip):
        yield CropBlock(frame["particle_id"].tolist(), _unpacked(frame))


def _check_version(source: UPath) -> None:
    if "pixels" not in column_names(source):
        raise ValueError(f"{source}: packed by an earlier version; materialise segment_crops of this segment again")


def _unpacked(frame: pd.DataFrame) -> list[np.ndarray]:
    """The crops, uint8 (h, w), of rows with the columns `_STORED`."""
    rows = zip(frame["pixels"], frame["height_px"].tolist(), frame["width_px"].tolist(), strict=True)
    try:
        return [np.frombuffer(pixels, np.uint8).reshape(height, width) for pixels, height, width in rows]
    except ValueError as error:
        raise ValueError(f"a packed crop is damaged ({error}); materialise segment_crops again") from error


def _behind(frames: Iterator[pd.DataFrame], skip: int) -> Iterator[pd.DataFrame]:
    """Blocks of a table behind its first rows."""
    for frame in frames:
        if skip < len(frame):
            yield frame.iloc[skip:].reset_index(drop=True) if skip else frame
        skip = max(skip - len(frame), 0)


def read_crops(source: UPath, particle_ids: Iterable[str]) -> dict[str, np.ndarray]:
    """The crops of a few particles, by id; ids without a crop are absent."""
    _check_version(source)
    chosen = find_rows(source, "particle_id", set(particle_ids), list(_STORED))
    return dict(zip(chosen["particle_id"], _unpacked(chosen), strict=True))


def blocks_with_crops(
    particles: UPath, crops: UPath, rows: int = BLOCK, skip: int = 0
) -> Iterator[tuple[pd.DataFrame, list]]:
    """Particles and their crops side by side, in the order of the particle table, in bounded memory.

    Both tables hold the runs of a segment in the same order, so that the crops are read forward only once.

    Args:
        particles: address of a `segment_particles` table.
        crops: address of the `segment_crops` table of the same segment.
        rows: particles a block.
        skip: particles at the beginning that are passed over, their crops undecoded.

    Yields:
        (particles, crops): a frame of up to `rows` rows, and for each row its crop, uint8 (h, w), or None.

    Raises:
        ValueError: a particle that has an image is not among the crops; segment_crops is out of date.
    """
    waiting: dict[str, np.ndarray] = {}
    images_before = int(read_table(particles, ["has_image"])["has_image"].iloc[:skip].sum()) if skip else 0
    stream = stream_crops(crops, rows, skip=images_before)
    for frame in _behind(stream_table(particles, rows=rows), skip):
        wanted = frame.loc[frame["has_image"], "particle_id"].tolist()
        for particle_id in wanted:
            while particle_id not in waiting:
                block = next(stream, None)
                if block is None:
                    raise ValueError(
                        f"{crops}: no crop of particle {particle_id}; materialise segment_crops of this segment again"
                    )
                waiting.update(zip(block.particle_ids, block.crops, strict=True))
        has_image = frame["has_image"].to_numpy()
        ids = frame["particle_id"].tolist()
        yield frame, [waiting.pop(pid) if has else None for pid, has in zip(ids, has_image, strict=True)]
