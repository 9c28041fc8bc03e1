"""One run's particles, drawn block by block: candidates, their light, and what the camera finds of them.

A block is the unit of randomness: its seed is the run's seed and its own number, so the particles of a run do not
depend on how many processes there are or on what was drawn before.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icecore_dagster.simulation.instrument import Camera, Capture
from icecore_dagster.simulation.optics import relative_intensity
from icecore_dagster.simulation.population import Candidate, draw_candidate
from icecore_dagster.simulation.shapes.raster import GRID_SIZES_PX

BLOCK = 256
"""Particles a block; memory is bounded by a block of the largest ones."""
_BATCH_PIXELS = 2**19
_MOST_ATTEMPTS = 50
_NEIGHBOUR_SHARE = 0.03
"""Share of particles that drift so near another one that both are in the picture (plausible)."""
_LARGEST_WITH_NEIGHBOUR_PX = GRID_SIZES_PX[-1] // 2
"""Two squares of this size side by side are still no larger than the largest square alone."""


@dataclass(frozen=True)
class Found:
    """A candidate that the camera found."""

    candidate: Candidate
    capture: Capture


def find_particles(
    labels: Sequence[str],
    camera: Camera,
    seed: np.random.SeedSequence,
    *,
    in_ice: bool,
    size_scale: float,
) -> Iterator[Found]:
    """Draw candidates until the instrument has found one particle for each label.

    What is too small or too blurred to be found passes unseen and another of its material follows, so that the
    particles found are thinned by size and focus as the instrument thins them.

    Args:
        labels: material of each particle to be found.
        camera: the run's camera.
        seed: the run's seed for particles.
        in_ice: natural dust instead of corundum.
        size_scale: factor of this run on the median size of broken material.

    Yields:
        The particles found, `len(labels)` of them, in the order of the labels.

    Raises:
        RuntimeError: a material stays unseen, whatever is tried.
    """
    for first in range(0, len(labels), BLOCK):
        rng = np.random.default_rng(np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, first // BLOCK)))
        found: dict[int, Found] = {}
        missing = list(range(first, min(first + BLOCK, len(labels))))
        for _ in range(_MOST_ATTEMPTS):
            candidates = [
                draw_candidate(labels[i], rng, camera.conditions, in_ice=in_ice, size_scale=size_scale) for i in missing
            ]
            light = light_behind(candidates, camera, rng)
            _bring_together(light, rng)
            for i, candidate, image in zip(missing, candidates, light, strict=True):
                capture = camera.capture(image, rng)
                if capture is not None:
                    found[i] = Found(candidate, capture)
            missing = [i for i in missing if i not in found]
            if not missing:
                break
        else:
            raise RuntimeError(
                f"{len(missing)} particles ({labels[missing[0]]} ...) were not seen in {_MOST_ATTEMPTS} attempts"
            )
        yield from (found[i] for i in sorted(found))


def light_behind(candidates: list[Candidate], camera: Camera, rng: np.random.Generator) -> list[NDArray[np.float32]]:
    """Light on the camera behind each candidate, those on grids of one size together."""
    of_size: dict[int, list[int]] = defaultdict(list)
    for i, candidate in enumerate(candidates):
        of_size[candidate.specimen.opd_um.shape[0]].append(i)
    light: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(candidates)
    for n in sorted(of_size):
        step = max(1, _BATCH_PIXELS // n**2)
        members = of_size[n]
        for start in range(0, len(members), step):
            batch = members[start : start + step]
            images = relative_intensity(
                np.stack([candidates[i].specimen.opd_um for i in batch]),
                np.stack([candidates[i].specimen.absorbance for i in batch]),
                np.array([candidates[i].defocus_um for i in batch]),
                camera.conditions.optics,
                turn_rad=rng.uniform(0, 2 * np.pi),
            )
            for i, image in zip(batch, images, strict=True):
                light[i] = image
    return light


def _bring_together(light: list[NDArray[np.float32]], rng: np.random.Generator) -> None:
    """Let a few particles have a neighbour, of their own size or smaller, beside them or half behind them."""
    for i in np.flatnonzero(rng.random(len(light)) < _NEIGHBOUR_SHARE):
        other = light[int(rng.integers(len(light)))]
        if other is not light[i] and other.shape[0] <= light[i].shape[0] <= _LARGEST_WITH_NEIGHBOUR_PX:
            light[i] = _side_by_side(light[i], other, rng)


def _side_by_side(
    image: NDArray[np.float32], other: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Two pictures in one: what both leave of the light where they overlap, empty water where neither is."""
    n, m = image.shape[0], other.shape[0]
    angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(0.25, 0.5) * (n + m) / 2
    x, y = round(distance * np.cos(angle)), round(distance * np.sin(angle))
    reach = max(n, m + 2 * max(abs(x), abs(y)))
    both = np.ones((reach, reach), np.float32)
    start = (reach - n) // 2
    both[start : start + n, start : start + n] = image
    left, top = (reach - m) // 2 + x, (reach - m) // 2 + y
    both[top : top + m, left : left + m] *= other
    return both
