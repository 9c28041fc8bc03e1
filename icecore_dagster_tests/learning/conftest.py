import pytest

from icecore_dagster.learning.labelled_set import keep_split, keep_tensors
from icecore_dagster.particles.intake.labelled import keep_labelled
from icecore_dagster.simulation.laboratory import simulated_runs
from icecore_dagster_tests.learning.drawn_shapes import DrawnSet, draw_set
from icecore_dagster_tests.learning.published_layout import PublishedLayout, lay_out


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> DrawnSet:
    return draw_set(tmp_path_factory.mktemp("drawn") / "tensors", particles=150)


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> PublishedLayout:
    """The published dataset in small, read, divided and packed."""
    layout = lay_out(tmp_path_factory.mktemp("published"), particles=200, seed=4)
    keep_labelled(layout.lab, simulated_runs(layout.lab.labelled), progress=False)
    keep_split(layout.lab)
    keep_tensors(layout.lab)
    return layout
