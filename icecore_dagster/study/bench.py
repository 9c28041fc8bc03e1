"""Where a study is measured: its laboratory, its size, and whether its particles were imported or drawn."""

from dataclasses import dataclass

from icecore_dagster.learning.labelled_set import LabelledSetError, keep_split, keep_tensors, open_labelled_set
from icecore_dagster.learning.networks.tensors import TensorFormatError
from icecore_dagster.particles.intake.labelled import is_kept, keep_labelled, labelled_sources
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.tables.schemas import SYNTHETIC_PARTICLES
from icecore_dagster.particles.tables.store import Store, read_note
from icecore_dagster.simulation.laboratory import simulate_labelled, simulated_runs

IMPORTED, SIMULATED = "imported", "simulated"


@dataclass(frozen=True)
class StudySize:
    """How much is drawn, learnt and scored.

    Attributes:
        name: of the size, in paths and commands.
        labelled: labelled particles to draw where none were imported.
        epochs: most passes of a network over its images.
        most_of_label: training images of each label that a network sees; None for all.
        slow_epochs: as `epochs`, for networks of more than `slow_parameters` weights.
        slow_most_of_label: as `most_of_label`, for those.
        whole_epochs: passes over all training images, drawn as often as they are there, of the network that scores the
            ice and of the one beside it; None for `epochs`, and to treat the network that scores as the others.
        by_image: whether all but slow networks and the one that learns from all images are also trained on the study's
            split by image; the others only where a figure so divided was published.
        cores: cores to draw where no ice is there.
        segments: of each core.
        per_run: mean particles of a run of ice.
        mapped: particles on a map at most.
        anomalies: drawn things that no class covers.
        trials: of the search.
        seed: of everything.
    """

    name: str
    labelled: int
    epochs: int
    most_of_label: int | None
    slow_epochs: int
    slow_most_of_label: int
    whole_epochs: int | None
    by_image: bool
    cores: tuple[str, ...]
    segments: tuple[str, ...]
    per_run: int
    mapped: int
    anomalies: int
    trials: int
    slow_parameters: int = 5_000_000
    seed: int = 2021


_GRIP = ("GRIP_3046", "GRIP_3136", "GRIP_3303", "GRIP_3306")
FULL = StudySize(
    name="full",
    labelled=136_022,
    epochs=20,
    most_of_label=2_000,
    slow_epochs=4,
    slow_most_of_label=500,
    whole_epochs=20,
    by_image=True,
    cores=_GRIP,
    segments=("0_20", "20_40", "40_55"),
    per_run=2_000,
    mapped=20_000,
    anomalies=2_000,
    trials=20,
)
"""The study's size; a night on two cores."""
QUICK = StudySize(
    name="quick",
    labelled=4_000,
    epochs=3,
    most_of_label=250,
    slow_epochs=1,
    slow_most_of_label=60,
    whole_epochs=None,
    by_image=False,
    cores=_GRIP[:1],
    segments=("0_20", "20_40"),
    per_run=400,
    mapped=1_200,
    anomalies=200,
    trials=2,
)
"""Enough to see that every figure can be measured."""


@dataclass(frozen=True)
class Bench:
    """What experiments are given.

    Attributes:
        lab: laboratory whose labelled particles are read, divided and made into tensors.
        size: how much to learn.
        data: `IMPORTED` or `SIMULATED`.
        country: ISO code of the country whose electricity is used.
    """

    lab: Laboratory
    size: StudySize
    data: str
    country: str = "DNK"

    @property
    def version(self) -> str:
        """Version of the labelled particles."""
        return str(read_note(self.lab.store.table(SYNTHETIC_PARTICLES.name)).get("fingerprint", ""))


def prepare_bench(lab: Laboratory, size: StudySize, country: str = "DNK") -> Bench:
    """Make a study's laboratory: imported labelled particles where there are any, else drawn ones in its own folder.

    What is there already is kept.

    Args:
        lab: the user's laboratory.
        size: how much to draw.
        country: ISO code of the country whose electricity is used.
    """
    own, drawn = lab.data / "study" / size.name, simulated_runs(lab.labelled)
    if any(source.path.name not in drawn for source in labelled_sources(lab)):
        bench = Bench(Laboratory(lab.data, Store.at(own / "results")), size, IMPORTED, country)
    else:
        bench = Bench(Laboratory.at(own), size, SIMULATED, country)
        simulate_labelled(bench.lab.labelled, particles=size.labelled, seed=size.seed)
    _read(bench.lab)
    return bench


def _read(lab: Laboratory) -> None:
    """Table, split and tensors, each made anew only where what it was made from has changed."""
    simulated = simulated_runs(lab.labelled)
    if not is_kept(lab, simulated):
        keep_labelled(lab, simulated)
    try:
        open_labelled_set(lab)
    except (FileNotFoundError, LabelledSetError, TensorFormatError):
        keep_split(lab)
        keep_tensors(lab)
