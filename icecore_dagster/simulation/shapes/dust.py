"""Mineral dust: the corundum powder that stands for dust in the laboratory, and the natural minerals of ice."""

import numpy as np
from numpy.typing import NDArray

from icecore_dagster.simulation.optics import WATER_INDEX
from icecore_dagster.simulation.shapes.raster import Specimen, bevelled, canvas_around, of_area, softened, turned

CORUNDUM_INDEX = 1.765
"""Refractive index of aluminium oxide (published)."""
QUARTZ_INDEX = 1.55
"""Refractive index of quartz and most clays (published 1.54-1.57)."""

Rng = np.random.Generator


def corundum(rng: Rng, diameter_um: float, margin_um: float) -> Specimen:
    """An angular splinter of ground corundum.

    Args:
        rng: source of randomness.
        diameter_um: diameter of the disc with the outline's area, um.
        margin_um: empty water to leave on each side, um.

    Returns:
        The specimen.
    """
    return _splinter(rng, diameter_um, margin_um, CORUNDUM_INDEX, flat=(0.22, 0.7), haze=(0.1, 0.8), kind="corundum")


def natural(rng: Rng, diameter_um: float, margin_um: float) -> Specimen:
    """A grain of wind-blown mineral: clay plates and quartz, thinner and clearer than corundum.

    Args:
        rng: source of randomness.
        diameter_um: diameter of the disc with the outline's area, um.
        margin_um: empty water to leave on each side, um.

    Returns:
        The specimen.
    """
    # Short to long axis 0.3-0.4 by volume for ice-core dust (published): plates lie flat in the flow.
    index = QUARTZ_INDEX + rng.normal(0, 0.02)
    return _splinter(rng, diameter_um, margin_um, index, flat=(0.25, 0.8), haze=(0.0, 0.3), kind="mineral")


def _splinter(
    rng: Rng,
    diameter_um: float,
    margin_um: float,
    index: float,
    flat: tuple[float, float],
    haze: tuple[float, float],
    kind: str,
) -> Specimen:
    outline = _angular_outline(rng, diameter_um)
    canvas = canvas_around(outline, margin_um)
    depth = canvas.depth_inside(canvas.fill(outline))
    thickness_um = rng.uniform(*flat) * diameter_um
    facet = softened(bevelled(depth, max(0.35, rng.uniform(0.5, 1.1) * float(depth.max()))), 0.25)
    body = thickness_um * facet
    if diameter_um > 4:
        tilt = canvas.axes_um(rng.uniform(0, 2 * np.pi))[0] / np.float32(diameter_um)
        body *= np.maximum(1 + np.float32(rng.uniform(0, 0.6)) * tilt, 0.1)
        body *= 1 + np.float32(rng.uniform(0, 0.15)) * canvas.grain(rng, 1.5)
    # Cracks and ground faces scatter light even where the splinter is flat: ground corundum more than grains of wind.
    absorbance = facet * np.float32(rng.uniform(*haze))
    return Specimen(body * np.float32(index - WATER_INDEX), absorbance, kind)


def _angular_outline(rng: Rng, diameter_um: float) -> NDArray[np.float64]:
    """A compact polygon of four to nine corners, drawn out along one axis, now and then with a broken notch."""
    count = int(rng.integers(4, 10))
    angles = 2 * np.pi * (np.arange(count) + rng.uniform(-0.35, 0.35, count)) / count
    radius = rng.uniform(0.75, 1.2, count)
    if rng.random() < 0.3:
        radius[rng.integers(count)] *= 0.55
    points = np.column_stack([radius * np.cos(angles), rng.uniform(0.45, 1.0) * radius * np.sin(angles)])
    return of_area(turned(points, rng.uniform(0, 2 * np.pi)), diameter_um)
