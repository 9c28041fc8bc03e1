"""Measures how fast the product is, beside what people have today: `make bench`."""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import scipy.fft
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from icecore_dagster.particles.measure import measure_particle
from icecore_dagster.simulation.laboratory import draw_sample, simulate_labelled
from icecore_dagster.simulation.plans import plan_labelled
from icecore_dagster.simulation.shapes.raster import GRID_SIZES_PX

RESULTS = Path(__file__).with_name("results.json")
CROPS, SIDE_PX = 2_000, 40
SIMULATED = 6_000
SEED = 7

Row = dict[str, str | float | None]


def main() -> None:
    """Measure everything, print it, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="empty folder to draw simulated runs into")
    folder = parser.parse_args().folder
    rows = [
        measure()
        for measure in tqdm(
            (extract_properties, lambda: simulate(folder)), desc="measuring", bar_format="{desc} {n_fmt}/{total_fmt}"
        )
    ]
    RESULTS.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n", encoding="utf-8")
    table = Table(title=f"{machine()['processor']}, {machine()['cores']} cores", title_justify="left")
    for name in rows[0]:
        table.add_column(name, justify="left" if name in ("id", "unit") else "right")
    for row in rows:
        table.add_row(*("–" if v is None else f"{v:,.2f}" if isinstance(v, float) else v for v in row.values()))
    Console(width=120).print(table)


def machine() -> dict[str, str | int]:
    """What this was measured on."""
    cpu = Path("/proc/cpuinfo")
    names = (
        [line.split(":", 1)[1].strip() for line in cpu.read_text().splitlines() if line.startswith("model name")]
        if (cpu.exists())
        else []
    )
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 1,
        "python": platform.python_version(),
        "opencv": cv2.__version__,
        "numpy": np.__version__,
    }


def row(name: str, unit: str, ours: float, peer: float | None, limit: float) -> Row:
    """One row of the results; rates, so that more is better."""
    return {
        "id": name,
        "unit": unit,
        "ours": ours,
        "peer": peer,
        "ratio": ours / peer if peer else None,
        "limit": limit,
        "share_of_limit": ours / limit,
    }


def rate(work: Callable[[], int], repeats: int = 3) -> float:
    """Things a second, the best of some repeats."""
    best = 0.0
    for _ in range(repeats):
        began = time.perf_counter()
        done = work()
        best = max(best, done / (time.perf_counter() - began))
    return best


def extract_properties() -> Row:
    """Properties of crops of 40 x 40 px, on one core."""
    from skimage.measure import label, regionprops_table

    cv2.setNumThreads(1)
    rng = np.random.default_rng(SEED)
    found = draw_sample("camp", 400, SEED)
    pairs = []
    for i in rng.integers(len(found), size=CROPS):
        capture = found[i].capture
        mask = cv2.resize(capture.mask.view(np.uint8), (SIDE_PX - 8, SIDE_PX - 8), interpolation=cv2.INTER_NEAREST)
        crop = cv2.resize(capture.crop, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
        pairs.append((crop, np.pad(mask, 4).astype(bool)))
    properties = (
        "area",
        "area_filled",
        "area_convex",
        "perimeter",
        "feret_diameter_max",
        "axis_major_length",
        "axis_minor_length",
        "intensity_mean",
        "intensity_std",
    )

    def ours() -> int:
        for crop, mask in pairs:
            measure_particle(crop, mask, 0.277)
        return len(pairs)

    def theirs() -> int:
        for crop, mask in pairs[:200]:
            regionprops_table(label(mask), crop, properties=properties)
        return 200

    def outlines() -> int:
        for _, mask in pairs:
            cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        return len(pairs)

    return row("extract_properties", "particles/s", rate(ours), rate(theirs), rate(outlines))


def simulate(folder: Path) -> Row:
    """Labelled runs written as complete folders, at the study's class shares."""
    began = time.perf_counter()
    runs = simulate_labelled(folder / "labelled", particles=SIMULATED, seed=SEED, processes=2)
    ours = SIMULATED / (time.perf_counter() - began)
    assert len(runs) == len(plan_labelled(SIMULATED, SEED))
    return row("simulate_labelled", "particles/s", ours, None, _transforms())


def _transforms() -> float:
    """Particles a second on two cores if nothing but their Fourier transforms had to be done."""
    rng = np.random.default_rng(SEED)
    sizes = [
        f.candidate.specimen.opd_um.shape[0] for label in ("camp", "dust", "qrob") for f in draw_sample(label, 60, 1)
    ]
    fields = {n: rng.standard_normal((1, n, n)).astype(np.complex64) for n in GRID_SIZES_PX}

    def transform() -> int:
        for n in sizes:
            spectrum = scipy.fft.fft2(fields[n])
            for _ in range(6 if n <= 64 else 4):
                scipy.fft.ifft2(spectrum[:, : n // 2, : n // 2])
        return len(sizes)

    return 2 * rate(transform)


if __name__ == "__main__":
    main()
