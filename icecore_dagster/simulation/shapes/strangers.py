"""Everything that is neither dust, ash nor the three pollen: contamination of the laboratory, and rare finds in ice.

Contamination: aggregates, fibres, flakes, air bubbles (listed in published accounts of melted cores). Rare finds:
diatoms, two-lobed "coffee beans", spores, soot. Sizes are plausible ranges.
"""

from collections.abc import Callable

import numpy as np

from icecore_dagster.simulation.optics import WATER_INDEX
from icecore_dagster.simulation.shapes.raster import (
    LONGEST_UM,
    Specimen,
    bevelled,
    canvas_around,
    canvas_for,
    polar_outline,
    rounded,
    softened,
    turned,
    wavy,
    within_reach,
)

Rng = np.random.Generator
Maker = Callable[[Rng, float, float], Specimen]


def aggregate(rng: Rng, diameter_um: float, margin_um: float) -> Specimen:
    """A dark rough clump of many pieces.

    Args:
        rng: source of randomness.
        diameter_um: approximate diameter of the clump, um.
        margin_um: empty water to leave on each side, um.

    Returns:
        The specimen.
    """
    pieces = int(rng.integers(4, 14))
    rings = []
    place = np.zeros(2)
    for _ in range(pieces):
        size = diameter_um * rng.uniform(0.12, 0.3)
        rings.append(place + size * polar_outline(wavy(rng, 14, range(2, 6), 0.4)))
        place = 0.75 * place + rng.normal(0, 0.2 * diameter_um, 2)
    points = within_reach(np.concatenate(rings))
    canvas = canvas_around(points, margin_um)
    depth = canvas.depth_inside(canvas.fill(*np.split(points, pieces)))
    inside = bevelled(depth, 2.0)
    texture = canvas.grain(rng, rng.uniform(1.5, 3.5)) + np.float32(0.6) * canvas.grain(rng, 6.0)
    absorbance = inside * (rng.uniform(0.4, 1.1) + np.float32(rng.uniform(0.1, 0.3)) * texture)
    opd = rng.uniform(0.05, 0.4) * inside + np.float32(0.03) * canvas.grain(rng, 2.5) * inside
    return Specimen(softened(opd, 0.5), softened(np.maximum(absorbance, 0), rng.uniform(0.3, 0.9)), "aggregate")


def fibre(rng: Rng, diameter_um: float, margin_um: float) -> Specimen:
    """A textile or paper fibre, or a hair: long, of even width, bent.

    Args:
        rng: source of randomness.
        diameter_um: diameter of the disc with the same area, um; sets the length for a width of 1.5-8 um.
        margin_um: empty water to leave on each side, um.

    Returns:
        The specimen.
    """
    width = float(np.clip(diameter_um * rng.uniform(0.08, 0.25), 1.2, 9.0))
    length = min(np.pi / 4 * diameter_um**2 / width, 0.85 * LONGEST_UM)
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.16, 30) + rng.normal(0, 0.05))
    path = np.cumsum(np.column_stack([np.cos(heading), np.sin(heading)]), axis=0) * (length / 30)
    path -= (path.max(axis=0) + path.min(axis=0)) / 2
    canvas = canvas_around(path + np.sign(path) * width, margin_um)
    depth = canvas.depth_inside(canvas.stroke(path, width))
    body = width * rng.uniform(0.3, 1.0) * rounded(depth, 0.5 * width)
    absorbance = np.float32(rng.uniform(0.0, 0.6)) * bevelled(depth, 0.5)
    return Specimen(body * np.float32(rng.uniform(0.12, 0.22)), absorbance, "fibre")


def bubble(rng: Rng, diameter_um: float, margin_um: float) -> Specimen:
    """An air bubble or oil droplet: a dark ring around a bright middle.

    Args:
        rng: source of randomness.
        diameter_um: diameter, um.
        margin_um: empty water to leave on each side, um.

    Returns:
        The specimen.
    """
    canvas = canvas_for(1.1 * diameter_um, margin_um)
    ring = 0.5 * diameter_um * polar_outline(wavy(rng, 60, range(2, 3), 0.03))
    depth = canvas.depth_inside(canvas.fill(ring))
    x, y = canvas.grid_um()
    away = np.sqrt(x**2 + y**2) / np.float32(0.5 * diameter_um)
    # A bubble is a strong diverging lens: only rays near the axis stay within the aperture.
    bright = np.exp(-((away / np.float32(rng.uniform(0.25, 0.45))) ** 4))
    absorbance = (
        np.float32(rng.uniform(1.8, 3.5)) * bevelled(depth, 1.0) * (1 - np.float32(rng.uniform(0.9, 1.1)) * bright)
    )
    opd = -np.float32(min(0.02 * diameter_um, 0.5)) * rounded(depth, 0.5 * diameter_um)
    return Specimen(opd, absorbance, "bubble")


def flake(rng: Rng, diameter_um: float, margin_um: float) -> Specimen:
    """A soft, uneven flake without sharp edges.

    Args:
        rng: source of randomness.
        diameter_um: diameter of the disc with the outline's area, um.
        margin_um: empty water to leave on each side, um.

    Returns:
        The specimen.
    """
    ring = 0.5 * diameter_um * polar_outline(wavy(rng, 60, range(2, 9), 0.35)) * [1, rng.uniform(0.5, 1)]
    ring = within_reach(turned(ring, rng.uniform(0, np.pi)))
    canvas = canvas_around(ring, margin_um)
    depth = canvas.depth_inside(canvas.fill(ring))
    inside = rounded(depth, 0.3 * diameter_um)
    absorbance = inside * (rng.uniform(0.1, 0.5) + np.float32(0.15) * canvas.grain(rng, 3.0))
    opd = inside * (rng.uniform(0.1, 0.4) + np.float32(0.1) * canvas.grain(rng, 3.5))
    return Specimen(softened(opd, 0.5), softened(np.maximum(absorbance, 0), rng.uniform(0.4, 1.0)), "flake")


def pennate_diatom(rng: Rng, diameter_um: float, margin_um: float) -> Specimen:
    """A boat-shaped valve with a midrib and cross stripes.

    Args, Returns: as for `flake`.
    """
    aspect = rng.uniform(2.0, 6.0)
    length = min(diameter_um * np.sqrt(aspect * 1.2), 0.9 * LONGEST_UM)
    along = np.linspace(-1, 1, 30)
    half_width = 0.5 * length / aspect * (1 - np.abs(along) ** rng.uniform(2, 3.5))
    outline = np.concatenate(
        [
            np.column_stack([0.5 * length * along, half_width]),
            np.column_stack([0.5 * length * along, -half_width])[::-1],
        ]
    )
    angle = rng.uniform(0, np.pi)
    ring = turned(outline, angle)
    canvas = canvas_around(ring, margin_um)
    depth = canvas.depth_inside(canvas.fill(ring))
    lengthwise, crosswise = canvas.axes_um(angle)
    stripes = np.sin(lengthwise * np.float32(2 * np.pi / rng.uniform(1.2, 2.4)))
    midrib = np.exp(-((crosswise / np.float32(0.6)) ** 2))
    inside = (depth > 0).astype(np.float32)
    body = rng.uniform(1.5, 3.0) * bevelled(depth, 1.2) + (0.25 * stripes * (1 - midrib) + 0.6 * midrib) * inside
    # Opal 1.43-1.46 (published).
    return Specimen(
        body * np.float32(1.44 - WATER_INDEX) * np.float32(1.4), np.float32(0.12) * inside, "pennate diatom"
    )


def centric_diatom(rng: Rng, diameter_um: float, margin_um: float) -> Specimen:
    """A round valve with rays of pores.

    Args, Returns: as for `flake`.
    """
    canvas = canvas_for(1.05 * diameter_um, margin_um)
    depth = canvas.depth_inside(canvas.fill(0.5 * diameter_um * polar_outline(np.ones(72))))
    x, y = canvas.grid_um()
    rays = (
        np.cos(int(rng.integers(14, 32)) * np.arctan2(y, x)) * (depth > 0.8) * (x**2 + y**2 > (0.12 * diameter_um) ** 2)
    )
    body = rng.uniform(1.5, 3.0) * bevelled(depth, 1.0) + np.float32(0.4) * rays
    return Specimen(body * np.float32(0.15), np.float32(0.15) * (depth > 0).astype(np.float32), "centric diatom")


def coffee_bean(rng: Rng, diameter_um: float, margin_um: float) -> Specimen:
    """An oval body with one furrow along its middle.

    Args, Returns: as for `flake`.
    """
    aspect = rng.uniform(1.3, 1.8)
    angle = rng.uniform(0, np.pi)
    ring = turned(0.5 * diameter_um * polar_outline(np.ones(60)) * [np.sqrt(aspect), 1 / np.sqrt(aspect)], angle)
    canvas = canvas_around(ring, margin_um)
    depth = canvas.depth_inside(canvas.fill(ring))
    crosswise = canvas.axes_um(angle)[1]
    furrow = np.exp(-((crosswise / np.float32(0.05 * diameter_um)) ** 2))
    inside = rounded(depth, 0.25 * diameter_um)
    return Specimen(
        inside * (np.float32(rng.uniform(0.4, 0.9)) - np.float32(0.4) * furrow),
        inside * (np.float32(rng.uniform(0.1, 0.5)) + np.float32(0.4) * furrow),
        "coffee bean",
    )


def spore(rng: Rng, diameter_um: float, margin_um: float) -> Specimen:
    """A dark ball with a thick wall and a paler inside.

    Args, Returns: as for `flake`.
    """
    canvas = canvas_for(1.1 * diameter_um, margin_um)
    depth = canvas.depth_inside(canvas.fill(0.5 * diameter_um * polar_outline(wavy(rng, 60, range(2, 5), 0.04))))
    wall = bevelled(depth, 0.6) * np.exp(-((depth / np.float32(0.14 * diameter_um)) ** 4))
    absorbance = np.float32(rng.uniform(0.6, 1.2)) * wall + np.float32(rng.uniform(0.05, 0.4)) * bevelled(depth, 1.0)
    return Specimen(np.float32(rng.uniform(0.3, 0.8)) * rounded(depth, 0.5 * diameter_um), absorbance, "spore")


def soot(rng: Rng, diameter_um: float, margin_um: float) -> Specimen:
    """An opaque ragged grain of char.

    Args, Returns: as for `flake`.
    """
    ring = 0.5 * diameter_um * polar_outline(wavy(rng, 70, range(2, 22), 0.55)) * [1, rng.uniform(0.5, 1)]
    canvas = canvas_around(ring, margin_um)
    depth = canvas.depth_inside(canvas.fill(ring))
    return Specimen(np.float32(0.2) * bevelled(depth, 0.6), np.float32(3.0) * bevelled(depth, 0.6), "soot")


CONTAMINATION: tuple[tuple[Maker, float], ...] = ((aggregate, 0.55), (fibre, 0.17), (flake, 0.18), (bubble, 0.10))
"""Forms of contamination and their shares (plausible)."""
RARE_FINDS: tuple[tuple[Maker, float], ...] = (
    (pennate_diatom, 0.4),
    (centric_diatom, 0.15),
    (coffee_bean, 0.15),
    (spore, 0.15),
    (soot, 0.15),
)
"""What no class covers, and the shares (plausible; diatoms are the commonest such find in Greenland)."""
