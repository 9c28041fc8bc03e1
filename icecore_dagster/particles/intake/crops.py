"""Packing crops: the images of a segment in one table at native size, written and read as a stream."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from upath import UPath

from icecore_dagster.flowcam.run import Run
from icecore_dagster.particles.segment import border_grey
from icecore_dagster.particles.tables.store import find_rows, read_table, stream_table

BLOCK = 1_024
"""Crops held in memory at once while packing or streaming."""


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
        Frames of at most `BLOCK` rows: particle_id, run, height_px, width_px, background_grey, png. Particles without
        an image are left out.
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
                "png": encode_crop(crop),
            }
        )
        if len(rows) == BLOCK:
            yield pd.DataFrame(rows)
            rows = []
    if rows:
        yield pd.DataFrame(rows)


def encode_crop(crop: np.ndarray) -> bytes:
    """Lossless PNG of a grey crop, uint8 (h, w)."""
    done, buffer = cv2.imencode(".png", crop, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise ValueError(f"a crop of shape {crop.shape} and type {crop.dtype} could not be encoded as PNG")
    return buffer.tobytes()


def decode_crop(png: bytes) -> np.ndarray:
    """The crop, uint8 (h, w), that `encode_crop` packed."""
    crop = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
    if crop is None:
        raise ValueError("a packed crop could not be decoded: the table is damaged; materialise segment_crops again")
    return crop.astype(np.uint8, copy=False)


def stream_crops(source: UPath, rows: int = BLOCK, skip: int = 0) -> Iterator[CropBlock]:
    """Read packed crops block by block, decoded, but for the first `skip`."""
    for frame in _behind(stream_table(source, ["particle_id", "png"], rows), skip):
        yield CropBlock(frame["particle_id"].tolist(), [decode_crop(png) for png in frame["png"]])


def _behind(frames: Iterator[pd.DataFrame], skip: int) -> Iterator[pd.DataFrame]:
    """Blocks of a table behind its first rows."""
    for frame in frames:
        if skip < len(frame):
            yield frame.iloc[skip:].reset_index(drop=True) if skip else frame
        skip = max(skip - len(frame), 0)


def read_crops(source: UPath, particle_ids: Iterable[str]) -> dict[str, np.ndarray]:
    """The crops of a few particles, by id; ids without a crop are absent."""
    chosen = find_rows(source, "particle_id", set(particle_ids), ["particle_id", "png"])
    return {pid: decode_crop(png) for pid, png in zip(chosen["particle_id"], chosen["png"], strict=True)}


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
