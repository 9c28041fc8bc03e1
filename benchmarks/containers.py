"""What to pack crops in: bytes a particle, packing, streaming and picking out a few, for each container and coding.

Every way holds the same crops losslessly and gives them back as arrays. The first is what `segment_crops` uses.
"""

import io
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Crops = dict[str, np.ndarray]
PICKED = 60
"""Crops of a gallery."""
_BLOCK = 8_192
"""Rows of a row group or record batch, as in the product's tables."""


@dataclass(frozen=True)
class Container:
    """A way to keep crops in one file.

    Attributes:
        name: for the table.
        pack: writes crops to a path.
        stream: reads all of them in order.
        pick: reads some by id.
    """

    name: str
    pack: Callable[[Crops, Path], None]
    stream: Callable[[Path], Iterator[np.ndarray]]
    pick: Callable[[Path, list[str]], Crops]


def compare_containers(crops: Crops, folder: Path) -> list[dict[str, str | float]]:
    """Measure every container with the same crops.

    Args:
        crops: uint8 (h, w) by id.
        folder: to write to.

    Returns:
        For each container its name, bytes_a_particle, packed_a_second, streamed_a_second and pick_ms, the time to read
        `PICKED` crops from all over the file (ms).
    """
    rng = np.random.default_rng(0)
    wanted = [str(name) for name in rng.choice(list(crops), PICKED, replace=False)]
    rows: list[dict[str, str | float]] = []
    for number, way in enumerate(CONTAINERS):
        path = folder / f"container_{number}"
        packing = _seconds(lambda way=way, path=path: way.pack(crops, path))
        back = list(way.stream(path))
        assert len(back) == len(crops), f"{way.name} lost crops"
        assert all(np.array_equal(a, b) for a, b in zip(back, crops.values(), strict=True)), f"{way.name} changed one"
        streaming = _seconds(lambda way=way, path=path: sum(1 for _ in way.stream(path)))
        picking = _seconds(lambda way=way, path=path: way.pick(path, wanted))
        assert sorted(way.pick(path, wanted)) == sorted(wanted), f"{way.name} does not find its crops"
        rows.append(
            {
                "container": way.name,
                "bytes_a_particle": path.stat().st_size / len(crops),
                "packed_a_second": len(crops) / packing,
                "streamed_a_second": len(crops) / streaming,
                "pick_ms": 1e3 * picking,
            }
        )
        path.unlink()
    return rows


def _seconds(work: Callable[[], object], repeats: int = 3) -> float:
    best = float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best


def _png(crop: np.ndarray) -> bytes:
    return cv2.imencode(".png", crop, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def _from_png(png: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)


def _table(crops: Crops, encode: Callable[[np.ndarray], bytes]) -> pa.Table:
    return pa.table(
        {
            "particle_id": list(crops),
            "height_px": pa.array([crop.shape[0] for crop in crops.values()], pa.int32()),
            "width_px": pa.array([crop.shape[1] for crop in crops.values()], pa.int32()),
            "image": pa.array([encode(crop) for crop in crops.values()], pa.binary()),
        }
    )


def _decoded(table: pa.Table, raw: bool) -> Iterator[np.ndarray]:
    sizes = zip(table["height_px"].to_pylist(), table["width_px"].to_pylist(), strict=True)
    for image, (height, width) in zip(table["image"].to_pylist(), sizes, strict=True):
        yield np.frombuffer(image, np.uint8).reshape(height, width) if raw else _from_png(image)


def _chosen(table: pa.Table, wanted: list[str], raw: bool) -> Crops:
    here = table.filter(pc.is_in(table["particle_id"], pa.array(wanted)))
    return dict(zip(here["particle_id"].to_pylist(), _decoded(here, raw), strict=True))


def _parquet(name: str, raw: bool) -> Container:
    encode: Callable[[np.ndarray], bytes] = np.ndarray.tobytes if raw else _png

    def pack(crops: Crops, path: Path) -> None:
        pq.write_table(_table(crops, encode), path, compression="zstd", row_group_size=_BLOCK)

    def stream(path: Path) -> Iterator[np.ndarray]:
        for batch in pq.ParquetFile(path).iter_batches(1_024):
            yield from _decoded(pa.table(batch), raw)

    def pick(path: Path, wanted: list[str]) -> Crops:
        file, found = pq.ParquetFile(path), {}
        for group in range(file.num_row_groups):
            if pc.any(pc.is_in(file.read_row_group(group, ["particle_id"])["particle_id"], pa.array(wanted))).as_py():
                found |= _chosen(file.read_row_group(group), wanted, raw)
        return found

    return Container(name, pack, stream, pick)


def _arrow(name: str, raw: bool, compression: str | None) -> Container:
    encode: Callable[[np.ndarray], bytes] = np.ndarray.tobytes if raw else _png

    def pack(crops: Crops, path: Path) -> None:
        table = _table(crops, encode)
        options = pa.ipc.IpcWriteOptions(compression=compression)
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema, options=options) as writer:
            writer.write_table(table, _BLOCK)

    def batches(path: Path) -> Iterable[pa.Table]:
        with pa.memory_map(str(path)) as source:
            reader = pa.ipc.open_file(source)
            for i in range(reader.num_record_batches):
                yield pa.table(reader.get_batch(i))

    def stream(path: Path) -> Iterator[np.ndarray]:
        for table in batches(path):
            yield from _decoded(table, raw)

    def pick(path: Path, wanted: list[str]) -> Crops:
        found: Crops = {}
        for table in batches(path):
            found |= _chosen(table, wanted, raw)
        return found

    return Container(name, pack, stream, pick)


def _tar(name: str) -> Container:
    """The layout of WebDataset: one PNG a particle in a tar file, read from front to back."""

    def pack(crops: Crops, path: Path) -> None:
        with tarfile.open(path, "w") as archive:
            for pid, crop in crops.items():
                png = _png(crop)
                member = tarfile.TarInfo(f"{pid}.png")
                member.size = len(png)
                archive.addfile(member, io.BytesIO(png))

    def members(path: Path) -> Iterator[tuple[str, bytes]]:
        with tarfile.open(path, "r|") as archive:
            for member in archive:
                file = archive.extractfile(member)
                assert file is not None
                yield member.name.removesuffix(".png"), file.read()

    def stream(path: Path) -> Iterator[np.ndarray]:
        return (_from_png(png) for _, png in members(path))

    def pick(path: Path, wanted: list[str]) -> Crops:
        some = set(wanted)
        return {pid: _from_png(png) for pid, png in members(path) if pid in some}

    return Container(name, pack, stream, pick)


CONTAINERS = (
    _parquet("Parquet, zstd of bare pixels", raw=True),
    _parquet("Parquet, PNG", raw=False),
    _arrow("Arrow IPC, PNG", raw=False, compression=None),
    _arrow("Arrow IPC, zstd of bare pixels", raw=True, compression="zstd"),
    _arrow("Arrow IPC, bare pixels", raw=True, compression=None),
    _tar("tar of PNG (WebDataset)"),
)
