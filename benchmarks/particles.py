"""Measuring particles from pixels, and drawing them."""

import time
from pathlib import Path

import cv2
import numpy as np
import scipy.fft

from benchmarks.rows import Row, rate, row
from icecore_dagster.particles.measure import measure_particle
from icecore_dagster.simulation.laboratory import draw_sample, simulate_labelled
from icecore_dagster.simulation.plans import plan_labelled
from icecore_dagster.simulation.shapes.raster import GRID_SIZES_PX

CROPS, SIDE_PX = 2_000, 40
SIMULATED = 20_000
SEED = 7


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
