import pytest

from icecore_dagster.learning.features.transfer import TransferKept, keep_transfer_features
from icecore_dagster.learning.labelled_set import keep_split, keep_tensors
from icecore_dagster.particles.intake.labelled import keep_labelled
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.simulation.laboratory import simulate_labelled, simulated_runs


@pytest.fixture(scope="session")
def labelled_laboratory(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    """A drawn laboratory with table, split and tensors of its labelled particles."""
    lab = Laboratory.at(tmp_path_factory.mktemp("laboratory"))
    simulate_labelled(lab.labelled, particles=240, seed=3, processes=1, progress=False)
    keep_labelled(lab, simulated_runs(lab.labelled), progress=False)
    keep_split(lab)
    keep_tensors(lab)
    return lab


@pytest.fixture(scope="session")
def kept(labelled_laboratory: Laboratory) -> TransferKept:
    """The ImageNet features of that laboratory."""
    return keep_transfer_features(labelled_laboratory, threads=1, shown=100)
