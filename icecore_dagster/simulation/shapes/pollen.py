"""Pollen grains as they float fresh in water: hazel (Corylus avellana), pedunculate oak and cork oak.

Sizes and plans are published (hazel 18-28 um, three pores each over a lens, the oncus; oaks granular discs with three
furrows); greys were chosen to lie around published crops. Other numbers are plausible ranges.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from icecore_dagster.simulation.shapes.raster import (
    PIXEL_UM,
    Canvas,
    Image,
    Specimen,
    bevelled,
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

    The wall of Quercus robur is verrucate to scabrate (published): its granules may be as fine as those of Quercus
    suber, as in the published crop, or coarser. That Quercus suber is darker and rounder is published too. That its
    furrows open less and that it varies more from grain to grain in darkness and size are plausible guesses, as are all
    ranges. Both were drawn with one published crop of each in view, and with the study's Sigma Intensity of about 20
    and its share of oaks taken for each other; that furrows of robur may be as narrow and as closed as those of suber
    was chosen after networks had taken the crop of robur, whose only furrow is thin, for suber. How dark suber is along
    the rim of its content follows its published crop: the mean grey hardly tells of it, an image does.

    Attributes:
        kind: species.
        density: mean and standard deviation between grains of the absorbance in the middle.
        skin: range of what is added to it where the content is seen along its own rim. Of grains in focus the greys 20
            and 10 px inside the rim lie about those of published edge profiles: 73 +- 8 and 59 +- 12 below the
            background for robur (published 70 and 61), 84 +- 9 and 80 +- 13 for suber (published 81 and 86).
        grain_um: range of the size of the wall's granules, um.
        grain_contrast: range of the standard deviation of absorbance by granules.
        lobes: range of the relative depth of the three lobes of the outline.
        opening: range of how clear a furrow's mouth at the rim is; above 1 it gathers light.
        mouth: range of half a mouth's width along the rim, relative to the grain's radius.
        dent: range of how far the outline steps back (or forward, below 0) at a mouth, relative to the radius.
    """

    kind: str
    density: tuple[float, float]
    skin: tuple[float, float]
    grain_um: tuple[float, float]
    grain_contrast: tuple[float, float]
    lobes: tuple[float, float]
    opening: tuple[float, float]
    mouth: tuple[float, float]
    dent: tuple[float, float]


ROBUR = OakPlan(
    "Quercus robur",
    density=(1.09, 0.15),
    skin=(0.0, 0.20),
    grain_um=(0.45, 1.10),
    grain_contrast=(0.08, 0.22),
    lobes=(0.010, 0.065),
    opening=(0.2, 1.4),
    mouth=(0.04, 0.30),
    dent=(-0.02, 0.05),
)
SUBER = OakPlan(
    "Quercus suber",
    density=(1.33, 0.21),
    skin=(0.7, 1.7),
    grain_um=(0.45, 0.90),
    grain_contrast=(0.10, 0.30),
    lobes=(0.000, 0.030),
    opening=(0.15, 0.95),
    mouth=(0.08, 0.22),
    dent=(-0.02, 0.03),
)
_POLAR_SHARE = 0.6
"""How often an oak grain lies with its three furrows at the rim; from the side one or two are seen (plausible)."""


def oak(rng: Rng, diameter_um: float, margin_um: float, plan: OakPlan) -> Specimen:
    """An oak pollen grain: a dark granular body in a paler wall, which three furrows interrupt.

    Args:
        rng: source of randomness.
        diameter_um: diameter of the disc with the outline's area, um.
        margin_um: empty water to leave on each side, um.
        plan: the species.

    Returns:
        The specimen.
    """
    radius_um = 0.5 * diameter_um
    angles = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    polar = rng.random() < _POLAR_SHARE
    mouths = 2 * np.pi * np.arange(3) / 3 if polar else np.array([0.0, np.pi])[: int(rng.integers(1, 3))]
    mouths = mouths + rng.normal(0, 0.12, len(mouths))
    half_width = rng.uniform(*plan.mouth)
    radius = wavy(rng, 120, range(2, 7), 0.045)
    # Between furrows the wall bulges.
    radius *= 1 - (rng.uniform(*plan.lobes) * np.cos(3 * angles) if polar else 0)
    for mouth in mouths:
        away = np.angle(np.exp(1j * (angles - mouth)))
        radius *= 1 - rng.uniform(*plan.dent) * np.exp(-((away / half_width) ** 2))
    flat = rng.uniform(0.92, 1.0) if polar else rng.uniform(0.84, 1.0)
    turn = rng.uniform(0, 2 * np.pi)
    ring = turned(polar_outline(radius_um * radius) * [1, flat], turn)
    canvas = canvas_around(ring, margin_um)
    depth = canvas.depth_inside(canvas.fill(ring))
    body = rounded(depth, radius_um)
    density = np.float32(np.clip(rng.normal(*plan.density), 0.4, 2.0))
    granules = _over_ball(canvas, canvas.grain(rng, rng.uniform(*plan.grain_um)), depth)
    blotches = canvas.grain(rng, rng.uniform(3, 8))
    # The content fills the wall but for a gap that is wider in some places than in others.
    wall_um = rng.uniform(0.9, 2.0)
    unevenness = rng.uniform(0.3, 1.0) * canvas.grain(rng, rng.uniform(8.0, 16.0))
    gap = depth - np.float32(wall_um) * np.clip(1 + unevenness, 0.1, 4)
    content = bevelled(np.maximum(gap, 0), rng.uniform(0.5, 1.6))
    wall_share = np.float32(rng.uniform(0.35, 0.8))
    fill = rounded(depth, rng.uniform(0.6, 1.4))
    # Through its middle the grain is thickest.
    ball_share = np.float32(rng.uniform(0.15, 0.45))
    absorbance: Image = density * (
        (1 - ball_share) * (wall_share * fill + (1 - wall_share) * content) + ball_share * body
    )
    texture = np.float32(rng.uniform(*plan.grain_contrast)) * granules + np.float32(rng.uniform(0.04, 0.13)) * blotches
    absorbance += texture * content
    # Seen along its skin, the content is darkest at its own rim.
    skin = np.exp(-(((gap - np.float32(0.9)) / np.float32(rng.uniform(0.5, 0.9))) ** 2)) * (depth > 0)
    absorbance += np.float32(rng.uniform(*plan.skin)) * skin
    _layered_wall(rng, canvas, absorbance, depth)
    openings = rng.uniform(*plan.opening, len(mouths))
    for mouth, opening in zip(mouths, openings, strict=True):
        _mouth(rng, canvas, absorbance, depth, turn + float(mouth), radius_um, half_width, float(opening))
    if not polar and rng.random() < 0.6:
        _furrow(rng, canvas, absorbance, depth, turn, radius_um, half_width, rng.uniform(*plan.opening))
    absorbance = softened(absorbance, rng.uniform(0.15, 0.35))
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
    pointed = rng.uniform(0.02, 0.11) if polar else rng.uniform(0.0, 0.02)
    radius = wavy(rng, 90, range(2, 5), 0.03) * (1 + pointed * np.cos(pores * angles))
    flat = rng.uniform(0.9, 1.0) if polar else rng.uniform(0.72, 0.9)
    ring = turned(polar_outline(0.5 * diameter_um * radius) * [1, flat], turn)
    canvas = canvas_around(ring, margin_um)
    depth = canvas.depth_inside(canvas.fill(ring))
    inside = rounded(depth, rng.uniform(1.2, 2.4))
    density = rng.uniform(0.75, 1.32)
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


def _over_ball(canvas: Canvas, pattern: Image, depth: Image) -> Image:
    """A pattern of a ball's upper side as it looks from above: towards the rim it turns away and is squeezed."""
    x, y = canvas.grid_um()
    from_middle = np.hypot(x, y)
    share = from_middle / np.maximum(from_middle + depth, np.float32(1e-3))
    stretch = np.arcsin(np.minimum(share, 1)) / np.maximum(share, np.float32(1e-3))
    middle = np.float32((canvas.n - 1) / 2)
    to_px = stretch / np.float32(PIXEL_UM)
    at = (middle + x * to_px, middle + y * to_px)
    return np.asarray(cv2.remap(pattern, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT), np.float32)


def _wall(rng: Rng, absorbance: Image, depth: Image) -> None:
    """Draw the wall's inner and outer surface as one or two faint pale lines along the rim, in place."""
    place = rng.uniform(0.9, 1.6)
    for _ in range(int(rng.integers(1, 3))):
        line = _at_depth(depth, place, rng.uniform(0.25, 0.45)) * (depth > 0.3)
        absorbance -= np.float32(rng.uniform(0.12, 0.5)) * line
        place += rng.uniform(0.8, 1.4)


def _layered_wall(rng: Rng, canvas: Canvas, absorbance: Image, depth: Image) -> None:
    """Draw an oak's wall in section along the rim, in place: one to three dark layers, a pale one inside each.

    The layers stand out where the wall is seen edge-on and melt away where it leans.
    """
    seen = np.clip(1 + rng.uniform(0.5, 1.3) * canvas.grain(rng, rng.uniform(5.0, 12.0)), 0, 2.5)
    seen *= depth > 0
    place_um = rng.uniform(0.3, 0.7)
    for _ in range(int(rng.integers(1, 4))):
        dark = rng.uniform(0.1, 1.2) * _at_depth(depth, place_um, rng.uniform(0.25, 0.45))
        place_um += rng.uniform(0.5, 0.8)
        pale = rng.uniform(0.3, 1.4) * _at_depth(depth, place_um, rng.uniform(0.25, 0.45))
        place_um += rng.uniform(0.5, 0.8)
        absorbance *= np.maximum(1 + seen * (dark - pale), -0.3)


def _at_depth(depth: Image, place_um: float, width_um: float) -> Image:
    """A line that runs along the outline at so many um inside it, 1 in its middle."""
    return np.exp(-(((depth - np.float32(place_um)) / np.float32(width_um)) ** 2))


def _mouth(
    rng: Rng,
    canvas: Canvas,
    absorbance: Image,
    depth: Image,
    at_rad: float,
    radius_um: float,
    half_width: float,
    opening: float,
) -> None:
    """Open the mouth of a furrow at the rim, in place: a clear patch through the wall between two darker lips."""
    outwards, along = canvas.axes_um(at_rad)
    inwards_um = rng.uniform(1.0, 4.5)
    place = np.float32(radius_um * rng.uniform(0.80, 0.95))
    width_um = np.float32(half_width * radius_um)
    patch = np.exp(-(((outwards - place) / np.float32(inwards_um)) ** 2) - (along / width_um) ** 2)
    lips = np.exp(
        -(((outwards - place) / np.float32(1.3 * inwards_um)) ** 2) - ((np.abs(along) / width_um - 1.3) / 0.5) ** 2
    )
    inside = bevelled(depth, 0.6)
    absorbance += np.float32(rng.uniform(0.0, 0.5)) * lips * inside
    absorbance *= 1 - np.float32(opening) * patch * inside


def _furrow(
    rng: Rng,
    canvas: Canvas,
    absorbance: Image,
    depth: Image,
    turn: float,
    radius_um: float,
    half_width: float,
    opening: float,
) -> None:
    """Draw a furrow that faces the light: a paler slit from pole to pole, narrow at its ends, in place."""
    across, along = canvas.axes_um(turn + rng.normal(0, 0.15))
    half_length = np.float32(radius_um * rng.uniform(0.55, 0.85))
    taper = np.maximum(1 - (along / half_length) ** 2, 0)
    bend = np.float32(rng.uniform(-0.15, 0.15) * radius_um) * taper
    width = np.float32(0.35 * half_width * radius_um) * taper + np.float32(0.15)
    slit = np.exp(-(((across - bend - np.float32(rng.uniform(-0.3, 0.3) * radius_um)) / width) ** 2)) * (taper > 0)
    absorbance *= 1 - np.float32(0.6 * min(opening, 1.0)) * slit * (depth > 0.5)


def _oncus(
    rng: Rng, canvas: Canvas, absorbance: Image, opd: Image, tip_rad: float, diameter_um: float, polar: bool
) -> None:
    """Put the pale lens under a pore, in place."""
    long_um = rng.uniform(0.19, 0.30) * diameter_um
    short_um = rng.uniform(0.45, 0.8) * long_um
    place = rng.uniform(0.26, 0.39) * diameter_um
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ring = np.column_stack([short_um * np.cos(angles), long_um * np.sin(angles)])
    ring = turned(ring + np.array([place, 0.0]), tip_rad + rng.normal(0, 0.06))
    shape = canvas.fill(ring)
    lens = rounded(canvas.depth_inside(shape), rng.uniform(0.4, 0.8) * short_um)
    lens *= 1 + np.float32(rng.uniform(0.05, 0.25)) * canvas.grain(rng, rng.uniform(0.8, 2.0))
    clear = rng.uniform(0.4, 1.0) if polar else rng.uniform(0.15, 0.7)
    # The wall folds around the lens: a dark line that follows its outline inside the grain.
    outside = canvas.depth_inside(1 - shape)
    fold = np.exp(-(((outside - np.float32(rng.uniform(0.1, 0.7))) / np.float32(rng.uniform(0.3, 0.7))) ** 2))
    absorbance += np.float32(rng.uniform(0.0, 0.7)) * fold * (outside > 0) * (absorbance > 0.3)
    absorbance *= np.clip(1 - np.float32(clear) * 1.3 * lens, 0.05, None)
    opd += np.float32(rng.uniform(0.0, 0.15)) * lens


def _pale_middle(rng: Rng, canvas: Canvas, absorbance: Image, turn: float, diameter_um: float, pores: int) -> None:
    """Lighten the middle of a grain seen along its axis, where the onci leave a concave triangle, in place."""
    angles = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    radius = rng.uniform(0.08, 0.24) * diameter_um * (1 - rng.uniform(0.2, 0.5) * np.cos(pores * angles))
    area = rounded(canvas.depth_inside(canvas.fill(turned(polar_outline(radius), turn))), 1.5)
    absorbance *= 1 - np.float32(rng.uniform(0.45, 1.1)) * area
