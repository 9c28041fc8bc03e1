"""Guard: nothing that a laboratory keeps is a pickle, whatever was trained and scored in it."""

import pickle

import pytest

from icecore_dagster.orchestration.jobs import CORE_ASSETS, SEGMENT_ASSETS
from icecore_dagster_tests.orchestration.conftest import CORE
from icecore_dagster_tests.test_no_pickle import pickles_in

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("laboratory")]


def test_no_file_of_a_laboratory_is_a_pickle(bench):
    (cell,) = bench.add_cells(CORE, "0_20")
    bench.make(*SEGMENT_ASSETS, partition=cell)
    bench.make(*CORE_ASSETS, partition=CORE)
    files = [path for path in bench.lab.data.rglob("*") if path.is_file()]
    kinds = {path.suffix for path in files}
    assert kinds >= {".parquet", ".safetensors", ".txt", ".json", ".npy", ".html"}
    assert list(pickles_in(bench.lab.data)) == []
    planted = bench.lab.data / "results" / "models" / "weights.bin"
    planted.write_bytes(pickle.dumps({"weights": [0.0]}))
    assert list(pickles_in(bench.lab.data)) == [str(planted)]
