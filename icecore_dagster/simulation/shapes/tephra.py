"""Volcanic glass: felsic shards of the Campanian kind and basaltic grains of the Grimsvotn kind.

Proportions of the felsic forms follow a tally by eye of published images (platy 40 %, pitted 25 %, fluted 20 %, needle
10 %, +-10 points); all other numbers are plausible ranges unless a source is named.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from icecore_dagster.simulation.optics import WATER_INDEX
from icecore_dagster.simulation.shapes.raster import (
    Canvas,
    Image,
    Specimen,
    bevelled,
    canvas_around,
    of_area,
    polar_outline,
    rounded,
    softened,
    turned,
    wavy,
    within_reach,
)

FELSIC_INDEX = 1.50
"""Refractive index of rhyolitic to trachytic glass (published 1.49-1.52)."""
BASALTIC_INDEX = 1.59
"""Refractive index of basaltic glass (published 1.57-1.62)."""

Rng = np.random.Generator


def felsic(rng: Rng, diameter_um: float, margin_um: float) -> Specimen:
    """A grain of felsic glass.

    Args:
        rng: source of randomness.
        diameter_um: diameter of the disc with the outline's area, um.
        margin_um: empty water to leave on each side, um.

    Returns:
        The specimen; its kind names the form.
    """
    specimen = _felsic_form(rng, diameter_um, margin_um)
    # Light that vesicles too small to be seen scatter away, per um of glass (a guess, with the study's Intensity of
    # about 87 in view): most in the smallest fragments of pumice, less from 5 um on, none from 9 um.
    cloudy = rng.uniform(0.03, 0.21) * np.clip((9 - diameter_um) / 4, 0, 1)
    glass_um = specimen.opd_um / np.float32(FELSIC_INDEX - WATER_INDEX)
    return replace(specimen, absorbance=specimen.absorbance + np.float32(cloudy) * glass_um)


def _felsic_form(rng: Rng, diameter_um: float, margin_um: float) -> Specimen:
    form = rng.choice(("platy shard", "pitted plate", "fluted", "needle", "microvesicular"), p=_FELSIC_SHARES)
    if form == "microvesicular" and diameter_um < _SMALLEST_FOAM_UM:
        form = "fluted"  # a piece of the walls between stretched vesicles
    if form == "fluted":
        return _fluted(rng, diameter_um, margin_um)
    if form == "needle":
        return _needle(rng, diameter_um, margin_um)
    outline = _shard_outline(rng, diameter_um, concave=0.55 if form == "platy shard" else 0.35)
    canvas = canvas_around(outline, margin_um)
    mask = canvas.fill(outline)
    depth = canvas.depth_inside(mask)
    if form == "microvesicular":
        return _foam(rng, canvas, depth, diameter_um, index=FELSIC_INDEX, absorbance_per_um=0.0, kind=form)
    # Bubble walls are 1-6 um thick, broken edges slope over about as much.
    thickness_um = min(rng.uniform(1.5, 6.0), 0.45 * diameter_um)
    edge_um = min(thickness_um * rng.uniform(0.12, 0.36), 0.35 * float(depth.max()) + 0.2)
    profile = softened(bevelled(depth, edge_um), rng.uniform(0.2, 0.4))
    profile *= 1 + np.float32(rng.uniform(0.0, 0.03)) * canvas.grain(rng, 7.0)
    body = thickness_um * profile
    absorbance = np.float32(rng.uniform(0.02, 0.18)) * profile
    if form == "pitted plate":
        _pit(rng, canvas, outline, body, absorbance, count=rng.poisson(0.09 * diameter_um**2 * rng.uniform(0.3, 2)))
    if rng.random() < _RIBBED_SHARE:
        _rib(rng, canvas, body, depth, diameter_um, thickness_um)
    return Specimen(_path(body, FELSIC_INDEX), absorbance, str(form))


def basaltic(rng: Rng, diameter_um: float, margin_um: float) -> Specimen:
    """A grain of basaltic glass; small fragments may be as clear as felsic glass.

    Args:
        rng: source of randomness.
        diameter_um: diameter of the disc with the outline's area, um.
        margin_um: empty water to leave on each side, um.

    Returns:
        The specimen; its kind names the form.
    """
    clear_share = np.clip(0.41 - 0.02 * (diameter_um - 8), 0.02, 0.41)
    dense = rng.choice(("blocky", "windowed", "foamy"), p=(0.35, 0.35, 0.30))
    form = "clear fragment" if rng.random() < clear_share else str(dense)
    outline = _blocky_outline(rng, diameter_um, scallops=0 if form == "blocky" else int(rng.integers(1, 5)))
    if form == "clear fragment":
        outline = _shard_outline(rng, diameter_um, concave=0.4)
    canvas = canvas_around(outline, margin_um)
    mask = canvas.fill(outline)
    depth = canvas.depth_inside(mask)
    if form == "clear fragment":
        thickness_um = min(rng.uniform(1.5, 6.0), 0.5 * diameter_um)
        edge_um = min(thickness_um * rng.uniform(0.25, 0.6), 0.5 * float(depth.max()) + 0.2)
        body = thickness_um * softened(bevelled(depth, edge_um), rng.uniform(0.2, 0.4))
        absorbance = body * np.float32(rng.uniform(0.02, 0.08))
        _dark_side(rng, canvas, absorbance, depth, diameter_um)
        for _ in range(int(rng.integers(1, 3))):
            _vesicle(rng, canvas, body, absorbance, depth, diameter_um)
        _microlites(rng, canvas, absorbance, depth, diameter_um)
        return Specimen(_path(body, BASALTIC_INDEX - rng.uniform(0, 0.06)), absorbance, "clear fragment")
    if form == "foamy" and diameter_um > _SMALLEST_FOAM_UM:
        return _foam(rng, canvas, depth, diameter_um, BASALTIC_INDEX, rng.uniform(0.03, 0.12), "foamy")
    return _dense_grain(rng, canvas, depth, diameter_um, windows=form == "windowed")


_LONGEST_NEEDLE_UM = 110.0
_SMALLEST_FOAM_UM = 12.0
"""Smaller fragments hold too few vesicles to be a foam (plausible: a vesicle or two are what they broke at)."""
_MOST_PITS = 150
_MOST_MICROLITES = 20
_RIBBED_SHARE = 0.4
"""Share of felsic plates on which the wall of another bubble has left a rib (plausible; bubble-wall shards)."""
_FELSIC_SHARES = (0.38, 0.24, 0.18, 0.10, 0.10)


def _path(thickness_um: Image, index: float) -> Image:
    return thickness_um * np.float32(index - WATER_INDEX)


def _to_area(outline: NDArray[np.float64], diameter_um: float) -> NDArray[np.float64]:
    """The outline scaled to the area of a disc and moved to its middle."""
    return within_reach(of_area(outline, diameter_um))


def _arced(rng: Rng, corners: NDArray[np.float64], bulge: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corners joined by arcs; `bulge` is each arc's height relative to its chord, negative inwards."""
    pieces = []
    along = np.linspace(0, 1, 10, endpoint=False)[:, None]
    for start, end, height in zip(corners, [*corners[1:], corners[0]], bulge, strict=True):
        chord = end - start
        normal = np.array([chord[1], -chord[0]])
        skew = along ** rng.uniform(0.8, 1.25)
        pieces.append(start + chord * along + normal * height * 4 * skew * (1 - skew))
    return np.concatenate(pieces)


def _shard_outline(rng: Rng, diameter_um: float, concave: float) -> NDArray[np.float64]:
    """Three to six corners joined by straight, outward (conchoidal) or inward (bubble wall) arcs, with cusps."""
    count = int(rng.choice((3, 4, 5, 6), p=(0.22, 0.36, 0.27, 0.15)))
    angles = 2 * np.pi * (np.arange(count) + rng.uniform(-0.33, 0.33, count)) / count
    radius = rng.uniform(0.65, 1.25, count)
    corners = np.column_stack([radius * np.cos(angles), radius * np.sin(angles)])
    corners[:, 1] *= rng.uniform(0.45, 1.0)
    kind = rng.random(count)
    bulge = np.where(kind < concave, -rng.uniform(0.03, 0.17, count), rng.uniform(-0.01, 0.13, count))
    return _to_area(turned(_arced(rng, corners, bulge), rng.uniform(0, 2 * np.pi)), diameter_um)


def _blocky_outline(rng: Rng, diameter_um: float, scallops: int) -> NDArray[np.float64]:
    """A compact block with rough faces, from which burst vesicles have taken rounded bites."""
    count = int(rng.integers(5, 10))
    angles = 2 * np.pi * (np.arange(count) + rng.uniform(-0.4, 0.4, count)) / count
    radius = rng.uniform(0.8, 1.15, count)
    corners = np.column_stack([radius * np.cos(angles), rng.uniform(0.55, 1.0) * radius * np.sin(angles)])
    bulge = rng.uniform(-0.05, 0.09, count)
    # Every other side at most, and no deeper than this: two deep bites would cut the block in two.
    sides = 2 * rng.permutation(count // 2)[:scallops] + rng.integers(2)
    bulge[sides % count] = -rng.uniform(0.12, 0.3, len(sides))
    ring = turned(_arced(rng, corners, bulge), rng.uniform(0, 2 * np.pi))
    return _to_area(ring * wavy(rng, len(ring), range(5, 14), 0.10)[:, None], diameter_um)


def _rib(rng: Rng, canvas: Canvas, body: Image, depth: Image, diameter_um: float, thickness_um: float) -> None:
    """Thicken a plate along a bent line where the wall of a third bubble stood on it, in place."""
    across, along = canvas.axes_um(rng.uniform(0, 2 * np.pi))
    bend = np.float32(rng.uniform(-0.6, 0.6) / diameter_um) * along**2
    away = across - np.float32(rng.uniform(-0.22, 0.22) * diameter_um) - bend
    rib = np.exp(-((away / np.float32(rng.uniform(0.35, 0.8))) ** 2)) * bevelled(depth, 0.8)
    if rng.random() < 0.5:
        rib *= np.clip(along + np.float32(0.5), 0, 1)  # it ends where two bubbles met
    body += np.float32(rng.uniform(0.1, 1.0) * thickness_um) * rib


def _dark_side(rng: Rng, canvas: Canvas, absorbance: Image, depth: Image, diameter_um: float) -> None:
    """Let the glass be opaque on one side, in place: a window has broken off together with some of its frame."""
    along = canvas.axes_um(rng.uniform(0, 2 * np.pi))[0] + np.float32(0.08 * diameter_um) * canvas.grain(rng, 3.0)
    edge = np.float32(rng.uniform(-0.12, 0.22) * diameter_um)
    dark = np.clip((along - edge) / np.float32(rng.uniform(0.5, 1.2)) + np.float32(0.5), 0, 1)
    absorbance += np.float32(rng.uniform(0.5, 1.6)) * dark * bevelled(depth, 0.8)


def _vesicle(rng: Rng, canvas: Canvas, body: Image, absorbance: Image, depth: Image, diameter_um: float) -> None:
    """Leave a round bubble in dense glass, in place: thin glass in its middle, a dark ring where its wall is steep."""
    radius_um = np.float32(np.clip(rng.uniform(0.08, 0.2) * diameter_um, 0.6, 4.0))
    x, y = canvas.grid_um()
    at_x, at_y = rng.uniform(-0.28, 0.28, 2) * diameter_um
    away = np.sqrt((x - np.float32(at_x)) ** 2 + (y - np.float32(at_y)) ** 2) / radius_um
    inside = bevelled(depth, 0.8)
    body *= 1 - np.float32(rng.uniform(0.4, 0.9)) * np.sqrt(np.maximum(1 - away**2, 0)) * inside
    absorbance += (
        np.float32(rng.uniform(0.5, 1.6)) * np.exp(-(((away - 1) * radius_um / np.float32(0.4)) ** 2)) * inside
    )


def _microlites(rng: Rng, canvas: Canvas, absorbance: Image, depth: Image, diameter_um: float) -> None:
    """Strew small opaque crystals of iron oxide in basaltic glass, in place."""
    x, y = canvas.grid_um()
    inside = bevelled(depth, 0.5)
    for _ in range(min(1 + rng.poisson(0.25 * diameter_um), _MOST_MICROLITES)):
        at_x, at_y = rng.uniform(-0.4, 0.4, 2) * diameter_um
        size = np.float32(rng.uniform(0.3, 0.7))
        square = np.maximum(np.abs(x - np.float32(at_x)), np.abs(y - np.float32(at_y))) / size
        absorbance += np.float32(rng.uniform(0.6, 2.0)) * np.exp(-(square**4)) * inside


def _pit(rng: Rng, canvas: Canvas, outline: NDArray[np.float64], body: Image, absorbance: Image, count: int) -> None:
    """Press small bubbles and crystals into a plate, in place."""
    count = min(int(count), _MOST_PITS)
    if not count:
        return
    sizes_um = np.clip(rng.lognormal(np.log(rng.uniform(0.3, 0.5)), 0.55, count), 0.2, 2.5)
    middles = rng.uniform(-1, 1, (count, 2)) * np.abs(outline).max(axis=0)
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    ovals = 1 + rng.uniform(-0.5, 0.5, (count, 1)) * np.cos(2 * angles + rng.uniform(0, 2 * np.pi, (count, 1)))
    rings = np.stack([np.cos(angles), np.sin(angles)], axis=-1) * (sizes_um[:, None] * ovals)[:, :, None]
    blobs = rings + middles[:, None]
    pits = canvas.fill(*blobs)
    pits[body < 0.5 * body.max()] = 0
    soft = softened(pits.astype(np.float32), rng.uniform(0.2, 0.45)) * (body > 0)
    body -= np.minimum(soft * rng.uniform(0.1, 0.6), body)
    absorbance += soft * np.float32(rng.uniform(0.3, 1.4))


def _fluted(rng: Rng, diameter_um: float, margin_um: float) -> Specimen:
    """A grain of tube pumice: stretched vesicles show as stripes along its length."""
    aspect = rng.uniform(1.6, 3.4)
    length, width = np.sqrt(aspect), 1 / np.sqrt(aspect)
    ends = rng.uniform(-0.18, 0.18, 4) * length
    corners = 0.5 * np.array([[-length, -width], [length, -width], [length, width], [-length, width]])
    corners[:, 0] += ends
    corners[:, 1] *= rng.uniform(0.75, 1.15, 4)
    angle = rng.uniform(0, np.pi)
    ring = _arced(rng, corners, rng.uniform(-0.09, 0.06, 4))
    ring = _to_area(turned(ring * wavy(rng, len(ring), range(4, 10), 0.06)[:, None], angle), diameter_um)
    canvas = canvas_around(ring, margin_um)
    mask = canvas.fill(ring)
    depth = canvas.depth_inside(mask)
    thickness_um = float(min(rng.uniform(3, 8), 0.5 * diameter_um * width))
    across = canvas.axes_um(angle)[1] + np.float32(0.5) * canvas.grain(rng, 9.0)
    # Two stripes at least, as far as they can be told apart.
    widest_um = max(1.9, min(4.0, 0.5 * diameter_um * width))
    turns = np.float32(2 * np.pi / rng.uniform(1.6, widest_um)) * across
    waves = np.sin(turns) + np.float32(0.6) * np.sin(turns / np.float32(1.63) + np.float32(rng.uniform(0, 6)))
    body = thickness_um * rounded(depth, max(0.8, 0.35 * thickness_um))
    body *= 1 + np.float32(rng.uniform(0.06, 0.22)) * waves
    absorbance = np.clip(waves, 0, None) * mask * np.float32(rng.uniform(0.0, 0.13))
    return Specimen(_path(np.maximum(body, 0), FELSIC_INDEX), absorbance, "fluted")


def _needle(rng: Rng, diameter_um: float, margin_um: float) -> Specimen:
    """A rod-like splinter."""
    aspect = rng.uniform(4, 9)
    length = min(diameter_um * np.sqrt(np.pi / 4 * aspect), _LONGEST_NEEDLE_UM)
    along = np.linspace(-0.5, 0.5, 14)
    half_width = 0.5 * length / aspect * (1 - rng.uniform(0.2, 0.9) * (along + 0.5)) * rng.uniform(0.85, 1.15, 14)
    bend = rng.uniform(-0.06, 0.06) * length * (1 - 4 * along**2)
    edges = [
        np.column_stack([length * along, bend + half_width]),
        np.column_stack([length * along, bend - half_width])[::-1],
    ]
    ring = turned(np.concatenate(edges), rng.uniform(0, np.pi))
    canvas = canvas_around(ring, margin_um)
    depth = canvas.depth_inside(canvas.fill(ring))
    body = float(min(rng.uniform(1.5, 5), 0.8 * length / aspect)) * rounded(depth, max(0.5, float(depth.max())))
    return Specimen(_path(body, FELSIC_INDEX), np.float32(rng.uniform(0, 0.04)) * body, "needle")


def _foam(
    rng: Rng, canvas: Canvas, depth: Image, diameter_um: float, index: float, absorbance_per_um: float, kind: str
) -> Specimen:
    """A grain full of small vesicles: each wall bends light away, so that the grain looks dark and mottled."""
    thickness_um = rng.uniform(0.25, 0.5) * diameter_um
    body = thickness_um * rounded(depth, max(0.8, 0.5 * thickness_um))
    vesicle_um = rng.uniform(1.4, 3.2) if kind == "microvesicular" else rng.uniform(2.5, 7)
    pattern = canvas.grain(rng, vesicle_um)
    if kind == "microvesicular":
        # The published source pumice has stretched bubbles: rows of them, broken here and there.
        across = canvas.axes_um(rng.uniform(0, np.pi))[1]
        rows = np.sin(np.float32(2 * np.pi / vesicle_um) * across + np.float32(rng.uniform(0.8, 2.0)) * pattern)
        pattern = np.float32(0.5) * pattern + rows
    holes = np.clip(np.float32(0.5) + np.float32(rng.uniform(0.5, 0.9)) * pattern, 0, 1)
    body *= np.float32(1) - np.float32(rng.uniform(0.25, 0.5)) * holes
    uneven = np.clip(1 + np.float32(0.35) * canvas.grain(rng, max(3.0, 0.3 * diameter_um)), 0.2, 2)
    walls = (1 - holes) * uneven * bevelled(depth, 0.8)
    absorbance = body * np.float32(absorbance_per_um) + walls * np.float32(rng.uniform(0.4, 1.2))
    # Light that has passed many walls is spread: the wave's own phase is only worth the last few.
    opd = softened(_path(body, index), 0.35) * np.float32(rng.uniform(0.25, 0.5))
    return Specimen(opd, softened(absorbance, rng.uniform(0.3, 0.6)), kind)


def _dense_grain(rng: Rng, canvas: Canvas, depth: Image, diameter_um: float, *, windows: bool) -> Specimen:
    """A dark block; where a bubble left only a thin wall it may have clear windows, and here and there it glints."""
    thickness_um = rng.uniform(0.35, 0.6) * diameter_um
    body = thickness_um * rounded(depth, max(1.0, 0.6 * float(depth.max())))
    body *= 1 + np.float32(rng.uniform(0.03, 0.10)) * canvas.grain(rng, rng.uniform(2.0, 6.0))
    thin = min(1.0, max(0.7, diameter_um / 10))  # a thin grain absorbs less
    dark = thin * rng.uniform(0.8, 2.0) + np.float32(rng.uniform(0.1, 0.4)) * canvas.grain(rng, rng.uniform(1.0, 3.0))
    dark += np.float32(rng.uniform(0.2, 0.7)) * canvas.grain(rng, max(3.0, rng.uniform(0.15, 0.4) * diameter_um))
    absorbance = np.clip(dark, 0.15, 2.6) * bevelled(depth, rng.uniform(0.8, 1.6))
    reach = 0.35 * diameter_um
    # Opaque over 60-90 % of the area (published): windows take up the rest.
    count = int(rng.integers(1, 5)) if windows else int(rng.choice((0, 1), p=(0.6, 0.4)))
    for _ in range(count):
        _window(rng, canvas, body, absorbance, depth, diameter_um, reach)
    x, y = canvas.grid_um()
    for _ in range(rng.poisson(0.05 * diameter_um)):
        at_x, at_y = rng.uniform(-reach, reach, 2)
        spot = np.exp(-((x - at_x) ** 2 + (y - at_y) ** 2) / np.float32(2 * rng.uniform(0.4, 0.9) ** 2))
        absorbance -= np.float32(rng.uniform(0.8, 2.6)) * spot * (depth > 1.5)
    absorbance = softened(absorbance, rng.uniform(0.25, 0.5))
    opd = softened(_path(body, BASALTIC_INDEX), 0.35) * np.float32(rng.uniform(0.2, 0.45))
    return Specimen(opd, absorbance, "windowed" if windows else "blocky")


def _window(
    rng: Rng, canvas: Canvas, body: Image, absorbance: Image, depth: Image, diameter_um: float, reach_um: float
) -> None:
    """Open a clear window with a rim of its own and a few pits, in place."""
    size_um = rng.uniform(0.10, 0.30) * diameter_um
    if rng.random() < 0.5:
        ring = size_um * polar_outline(wavy(rng, 24, range(2, 7), 0.45)) * [1, rng.uniform(0.4, 1)]
    else:
        ring = _shard_outline(rng, 1.8 * size_um, concave=0.3)
    ring = turned(ring, rng.uniform(0, np.pi)) + rng.uniform(-reach_um, reach_um, 2)
    inside = canvas.depth_inside(canvas.fill(ring))
    opened = bevelled(inside, rng.uniform(0.4, 1.5)) * bevelled(depth, 1.2)
    haze = np.float32(rng.uniform(0.0, 0.35)) * (1 + np.float32(0.5) * canvas.grain(rng, 0.3 * diameter_um))
    absorbance *= 1 - np.float32(rng.uniform(0.7, 1.0)) * opened
    absorbance += np.maximum(haze, 0) * opened
    pits = canvas.grain(rng, rng.uniform(0.8, 2.0)) > np.float32(rng.uniform(1.6, 2.6))
    absorbance += np.float32(rng.uniform(0.3, 1.2)) * pits * (opened > 0.9)
    body += (np.float32(rng.uniform(1.0, 4.0)) - body) * opened
