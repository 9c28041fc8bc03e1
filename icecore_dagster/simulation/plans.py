"""Which runs are made: names, dates, counts, volumes and seeds of a labelled set and of a set of ice cores."""

import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import numpy as np

from icecore_dagster.simulation.instrument import FLOW_CELL_DEPTH_UM, FRAME_HEIGHT_PX, FRAME_WIDTH_PX
from icecore_dagster.simulation.population import BLANK_PARTICLES, BLANK_SHARES, ICE_SHARES, LABELLED_SHARES
from icecore_dagster.simulation.shapes.raster import PIXEL_UM

FRAMES_PER_S = 20.0
"""Camera rate (plausible; published contexts have 17-22)."""
FRAME_VOLUME_ML = (FRAME_WIDTH_PX * PIXEL_UM) * (FRAME_HEIGHT_PX * PIXEL_UM) * FLOW_CELL_DEPTH_UM * 1e-12
"""Water in one frame: field of view times depth of the flow cell, 7.5e-6 ml."""
FEWEST_RUNS, MOST_RUNS = 4, 16
"""Runs of a class. With four, a split by run leaves two for training and one each to choose and to test; the more there
are, the less a run's background and focus can stand in for its class."""
_PARTICLES_PER_RUN = 60
"""A class gets another run for each so many particles, up to the most."""
_FIRST_DAY = {"dust": 2, "corylus": 4, "cont": 9, "camp": 11, "grim": 13, "qrob": 17, "qsub": 17}
"""Day in November of a class's first run."""
_YEAR, _RUNS_PER_DAY = 2020, 6
BLANK = "BLANK"
"""What the name of a procedural blank starts with, in place of a core's (BLANK_3046)."""
_PER_FRAME = (0.3, 1.5)
"""Range of particles a frame: few enough that they seldom overlap (plausible)."""


@dataclass(frozen=True)
class RunPlan:
    """One run to be made.

    Attributes:
        name: name of the run and of its folder.
        counts: (label, number) of the particles that the instrument will find.
        started_at: local time at which the run starts.
        frames: pictures that the camera takes.
        in_ice: melted ice rather than a laboratory sample.
        seed: seed of the whole set.
    """

    name: str
    counts: tuple[tuple[str, int], ...]
    started_at: datetime
    frames: int
    in_ice: bool
    seed: int

    @property
    def particles(self) -> int:
        """Number of particles that the instrument will find."""
        return sum(count for _, count in self.counts)

    def seed_sequence(self, purpose: int) -> np.random.SeedSequence:
        """Randomness for one purpose of this run, independent of every other run and purpose."""
        return np.random.SeedSequence(self.seed, spawn_key=(zlib.crc32(self.name.encode()), purpose))

    def parameters(self) -> dict[str, object]:
        """Everything that decides the run's bytes, as JSON can hold it."""
        return {**asdict(self), "started_at": self.started_at.isoformat(), "counts": [list(c) for c in self.counts]}


def plan_labelled(particles: int, seed: int) -> list[RunPlan]:
    """Runs of a labelled set: several days and several runs of every class.

    Args:
        particles: number of particles in all; classes share them as `population.LABELLED_SHARES` says.
        seed: seed of the set.

    Returns:
        The runs, named `<label>_<day>nov_<number>_fc80_20x`.

    Raises:
        ValueError: fewer particles than runs.
    """
    plans = []
    for label, of_class in _shared_out(particles, LABELLED_SHARES).items():
        runs = min(max(of_class // _PARTICLES_PER_RUN, FEWEST_RUNS), MOST_RUNS)
        if of_class < runs:
            raise ValueError(
                f"{particles} labelled particles leave {of_class} for the {runs} runs of {label}; ask for at least "
                f"{fewest_labelled()}"
            )
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(zlib.crc32(label.encode()),)))
        bounds = np.linspace(0, of_class, runs + 1).round().astype(int)
        for number, count in enumerate(np.diff(bounds), start=1):
            day = _FIRST_DAY[label] + (number - 1) // _RUNS_PER_DAY
            started = datetime(_YEAR, 11, day, 9, 0) + timedelta(
                minutes=60 * ((number - 1) % _RUNS_PER_DAY), seconds=int(rng.integers(0, 1800))
            )
            frames = _frames_for(int(count), rng.uniform(*_PER_FRAME))
            name = f"{label}_{day}nov_{number}_fc80_20x"
            plans.append(RunPlan(name, ((label, int(count)),), started, frames, False, seed))
    return plans


def fewest_labelled() -> int:
    """The smallest labelled set that gives every run of every class a particle."""
    total = sum(LABELLED_SHARES.values())
    return max(int(np.ceil(FEWEST_RUNS * total / share)) + 1 for share in LABELLED_SHARES.values())


def plan_ice(
    cores: Sequence[str], segments: Sequence[str], replicates: int, particles_per_run: int, seed: int
) -> list[RunPlan]:
    """Runs of ice cores: every segment is measured several times, and the replicates share its true concentrations.

    Cores and segments differ in how much of each material a millilitre holds; of a dustier core less water is imaged,
    so that runs have `particles_per_run` particles on average. Counts are Poisson about concentration x volume. A core
    whose name starts with BLANK is a procedural blank: the same water imaged, few particles, no tephra and no pollen.

    Args:
        cores: names such as GRIP_3046.
        segments: `<from cm>_<to cm>` such as 0_20.
        replicates: measurements of each segment.
        particles_per_run: mean number of particles found in a run.
        seed: seed of the set.

    Returns:
        The runs, named `<core>_<segment>_<replicate>`.

    Raises:
        ValueError: no replicate or no particle is asked for.
    """
    if replicates < 1 or particles_per_run < 1:
        raise ValueError(
            f"ask for at least one replicate and one particle a run, not {replicates} and {particles_per_run}"
        )
    plans = []
    for core_number, core in enumerate(cores):
        core_rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(zlib.crc32(core.encode()),)))
        blank = core.upper().startswith(BLANK)
        of_ice, amount = (BLANK_SHARES, BLANK_PARTICLES) if blank else (ICE_SHARES, 1.0)
        core_factor = {label: core_rng.lognormal(0, 0.5) for label in of_ice}
        per_frame = core_rng.uniform(*_PER_FRAME)
        for segment_number, segment in enumerate(segments):
            rng = np.random.default_rng(
                np.random.SeedSequence(seed, spawn_key=(zlib.crc32(f"{core}_{segment}".encode()),))
            )
            dust = rng.lognormal(-0.02, 0.2)
            shares = {label: share * core_factor[label] * rng.lognormal(-0.08, 0.4) for label, share in of_ice.items()}
            expected = {"dust": dust * (1 - sum(shares.values())), **shares}
            for replicate in range(1, replicates + 1):
                name = f"{core}_{segment}_{replicate}"
                expected_in_all = particles_per_run * amount
                counts = tuple((label, int(rng.poisson(expected_in_all * e))) for label, e in expected.items())
                started = datetime(_YEAR, 12, 1 + core_number % 28, 9, 0) + timedelta(
                    minutes=100 * segment_number + 40 * replicate, seconds=int(rng.integers(0, 900))
                )
                # The volume follows from what was expected, not from what was found: counts differ, volumes do not.
                frames = _frames_for(particles_per_run, per_frame)
                plans.append(RunPlan(name, counts, started, frames, True, seed))
    return plans


def _shared_out(particles: int, shares: dict[str, float]) -> dict[str, int]:
    """Whole numbers in proportion to the shares that add up to the total: the bounds are rounded, not the parts."""
    bounds = np.cumsum([0.0, *shares.values()]) / sum(shares.values()) * particles
    return dict(zip(shares, np.diff(bounds.round().astype(int)).tolist(), strict=True))


def _frames_for(particles: int, per_frame: float) -> int:
    return max(1, round(particles / per_frame))
