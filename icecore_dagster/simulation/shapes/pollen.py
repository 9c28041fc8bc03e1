"""Pollen grains as they float fresh in water: hazel (Corylus avellana), pedunculate oak and cork oak.

Sizes and plans are published (hazel 18-28 um, three pores each over a lens, the oncus; oaks granular discs with three
furrows); greys were chosen to lie around published crops. Other numbers are plausible ranges.
"""

from dataclasses import dataclass

import numpy as np

from icecore_dagster.simulation.shapes.raster import (
    Canvas,
    Image,
    Specimen,
    canvas_around,
    polar_outline,
    rounded,
    softened,
    turned,
    wavy,
)

Rng = np.random.Generator


@dataclass(frozen=True)
class OakPlan:
    """What differs between two oaks: ranges of one species, overlapping those of the other.

    Attributes:
        kind: species.
        density: mean and standard deviation between grains of the absorbance in the middle.
        grain_um: range of the size of the wall's granules, um.
        grain_contrast: range of the standard deviation of absorbance by granules.
        lobes: range of the relative depth of the three furrows on the outline.
        furrow_share: how often a furrow is seen as a bright arc at the rim.
    """

    kind: str
    density: tuple[float, float]
    grain_um: tuple[float, float]
    grain_contrast: tuple[float, float]
    lobes: tuple[float, float]
    furrow_share: float


ROBUR = OakPlan("Quercus robur", (0.81, 0.11), (0.55, 1.30), (0.09, 0.25), (0.010, 0.060), 0.60)
SUBER = OakPlan("Quercus suber", (1.03, 0.11), (0.50, 1.10), (0.06, 0.19), (0.000, 0.035), 0.35)


def oak(rng: Rng, diameter_um: float, margin_um: float, plan: OakPlan) -> Specimen:
    """An oak pollen grain: a dark granular disc, sometimes faintly three-lobed, often with a bright furrow at its rim.

    Args:
        rng: source of randomness.
        diameter_um: diameter of the disc with the outline's area, um.
        margin_um: empty water to leave on each side, um.
        plan: the species.

    Returns:
        The specimen.
    """
    angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    turn = rng.uniform(0, 2 * np.pi)
    radius = wavy(rng, 90, range(2, 7), 0.045) * (1 + rng.uniform(*plan.lobes) * np.cos(3 * angles))
    ring = turned(polar_outline(0.5 * diameter_um * radius) * [1, rng.uniform(0.88, 1.0)], turn)
    canvas = canvas_around(ring, margin_um)
    depth = canvas.depth_inside(canvas.fill(ring))
    body = rounded(depth, 0.5 * diameter_um)
    density = float(np.clip(rng.normal(*plan.density), 0.3, 1.2))
    granules = canvas.grain(rng, rng.uniform(*plan.grain_um))
    blotches = canvas.grain(rng, rng.uniform(5, 10))
    fill = rounded(depth, rng.uniform(1.3, 3.2))
    absorbance: Image = np.float32(density) * (np.float32(0.72) * fill + np.float32(0.28) * body)
    texture = np.float32(rng.uniform(*plan.grain_contrast)) * granules + np.float32(rng.uniform(0.04, 0.12)) * blotches
    absorbance += texture * fill
    _wall(rng, absorbance, depth)
    if rng.random() < plan.furrow_share:
        _furrow(rng, canvas, absorbance, depth, diameter_um)
    absorbance = softened(absorbance, rng.uniform(0.15, 0.4))
    # Protoplasm 1.36-1.40, wall about 1.5: a round body with a grainy surface. Most of its path is too long and too
    # uneven to keep a phase; what is left bends light at the rim.
    opd = rng.uniform(0.08, 0.45) * body + np.float32(rng.uniform(0.005, 0.022)) * granules * fill
    return Specimen(softened(opd * (depth > 0), 0.3), absorbance, plan.kind)


def hazel(rng: Rng, diameter_um: float, margin_um: float) -> Specimen:
    """A hazel pollen grain, seen along its axis (a rounded triangle with three pale onci) or from the side (an oval).

    Args:
        rng: source of randomness.
        diameter_um: diameter of the disc with the outline's area, um.
        margin_um: empty water to leave on each side, um.

    Returns:
        The specimen; its kind names the view.
    """
    polar = rng.random() < 0.65
    pores = 4 if rng.random() < 0.01 else 3
    angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    turn = rng.uniform(0, 2 * np.pi)
    pointed = rng.uniform(0.02, 0.075) if polar else rng.uniform(0.0, 0.02)
    radius = wavy(rng, 90, range(2, 5), 0.03) * (1 + pointed * np.cos(pores * angles))
    flat = rng.uniform(0.9, 1.0) if polar else rng.uniform(0.72, 0.9)
    ring = turned(polar_outline(0.5 * diameter_um * radius) * [1, flat], turn)
    canvas = canvas_around(ring, margin_um)
    depth = canvas.depth_inside(canvas.fill(ring))
    inside = rounded(depth, rng.uniform(1.2, 2.4))
    density = rng.uniform(0.65, 1.15)
    absorbance = density * inside
    _wall(rng, absorbance, depth)
    absorbance += np.float32(rng.uniform(0.04, 0.14)) * canvas.grain(rng, rng.uniform(1.0, 3)) * inside
    opd = rng.uniform(0.08, 0.45) * rounded(depth, 0.5 * diameter_um)
    tips = turn + 2 * np.pi * np.arange(pores) / pores if polar else turn + np.array([0.0, np.pi])
    for tip in tips[: int(rng.choice((0, 1, 2), p=(0.2, 0.4, 0.4))) if not polar else pores]:
        _oncus(rng, canvas, absorbance, opd, float(tip), diameter_um, polar)
    if polar:
        _pale_middle(rng, canvas, absorbance, turn, diameter_um, pores)
    absorbance = softened(absorbance, rng.uniform(0.15, 0.5))
    return Specimen(softened(opd * (depth > 0), 0.3), absorbance, "polar view" if polar else "side view")


def _wall(rng: Rng, absorbance: Image, depth: Image) -> None:
    """Draw the wall's inner and outer surface as one or two faint pale lines along the rim, in place."""
    place = rng.uniform(0.9, 1.6)
    for _ in range(int(rng.integers(1, 3))):
        line = np.exp(-(((depth - np.float32(place)) / np.float32(rng.uniform(0.25, 0.45))) ** 2)) * (depth > 0.3)
        absorbance -= np.float32(rng.uniform(0.12, 0.5)) * line
        place += rng.uniform(0.8, 1.4)


def _furrow(rng: Rng, canvas: Canvas, absorbance: Image, depth: Image, diameter_um: float) -> None:
    """Open a furrow: a bright arc a little inside the rim, in place."""
    middle, half_span = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.7)
    angles = np.linspace(middle - half_span, middle + half_span, 12)
    radius = 0.5 * diameter_um * rng.uniform(0.72, 0.92)
    arc = radius * np.column_stack([np.cos(angles), np.sin(angles)])
    slit = canvas.depth_inside(canvas.stroke(arc, rng.uniform(0.9, 2.4)))
    absorbance *= 1 - np.float32(rng.uniform(0.4, 1.0)) * np.minimum(slit / np.float32(0.6), 1) * (depth > 0.5)


def _oncus(
    rng: Rng, canvas: Canvas, absorbance: Image, opd: Image, tip_rad: float, diameter_um: float, polar: bool
) -> None:
    """Put the pale lens under a pore, in place."""
    long_um = rng.uniform(0.19, 0.30) * diameter_um
    short_um = rng.uniform(0.45, 0.8) * long_um
    place = rng.uniform(0.26, 0.36) * diameter_um
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ring = np.column_stack([short_um * np.cos(angles), long_um * np.sin(angles)])
    ring = turned(ring + np.array([place, 0.0]), tip_rad + rng.normal(0, 0.06))
    shape = canvas.fill(ring)
    lens = rounded(canvas.depth_inside(shape), rng.uniform(0.4, 0.8) * short_um)
    lens *= 1 + np.float32(rng.uniform(0.05, 0.25)) * canvas.grain(rng, rng.uniform(0.8, 2.0))
    clear = rng.uniform(0.35, 0.9) if polar else rng.uniform(0.15, 0.6)
    # The wall folds around the lens: a dark line that follows its outline inside the grain.
    outside = canvas.depth_inside(1 - shape)
    fold = np.exp(-(((outside - np.float32(rng.uniform(0.1, 0.7))) / np.float32(rng.uniform(0.3, 0.7))) ** 2))
    absorbance += np.float32(rng.uniform(0.0, 0.7)) * fold * (outside > 0) * (absorbance > 0.3)
    absorbance *= np.clip(1 - np.float32(clear) * 1.3 * lens, 0.05, None)
    opd += np.float32(rng.uniform(0.0, 0.15)) * lens


def _pale_middle(rng: Rng, canvas: Canvas, absorbance: Image, turn: float, diameter_um: float, pores: int) -> None:
    """Lighten the middle of a grain seen along its axis, where the onci leave a concave triangle, in place."""
    angles = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    radius = rng.uniform(0.08, 0.18) * diameter_um * (1 - rng.uniform(0.2, 0.5) * np.cos(pores * angles))
    area = rounded(canvas.depth_inside(canvas.fill(turned(polar_outline(radius), turn))), 1.5)
    absorbance *= 1 - np.float32(rng.uniform(0.35, 0.95)) * area
