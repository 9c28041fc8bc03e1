import itertools
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from icecore_dagster.learning.models import graphs
from icecore_dagster.learning.models.files import export_network
from icecore_dagster.learning.networks.architectures import ARCHITECTURES, architecture_of, build_network, run_network

PARTICLES = 8 * graphs.BATCH_SIZE + 7


@pytest.fixture(scope="module", params=list(ARCHITECTURES))
def known(request: pytest.FixtureRequest):
    """A network with random weights, its graph's file, what goes in, and what torch says to it."""
    plan = architecture_of(request.param)
    torch.manual_seed(3)
    network = build_network(plan.key, 6).eval()
    rng = np.random.default_rng(4)
    images = rng.integers(0, 256, (PARTICLES, 128, 128), dtype=np.uint8)
    inputs = {"images": images[:, None]}
    properties = rng.normal(0, 3, (PARTICLES, len(plan.features))).astype(np.float32)
    if plan.features:
        properties[0, :3] = np.nan
        inputs["properties"] = properties
    expected = run_network(network, images, plan.transform, properties)
    return export_network(network, plan.transform, plan.features), inputs, expected


@pytest.mark.parametrize("engine", [graphs.OpenVinoGraph, graphs.OnnxRuntimeGraph])
def test_every_engine_says_what_torch_says(known, engine) -> None:
    exported, inputs, expected = known
    graph = engine(exported)
    found = graph.run(inputs)
    np.testing.assert_allclose(found["probabilities"], expected.probabilities, atol=1e-5)
    np.testing.assert_allclose(found["embeddings"], expected.embeddings, rtol=1e-4, atol=1e-4)
    assert graph.shapes == {"probabilities": (6,), "embeddings": expected.embeddings.shape[1:]}


def test_a_row_has_the_same_result_alone(known) -> None:
    exported, inputs, _ = known
    graph = graphs.open_graph(exported)
    whole = graph.run(inputs)
    for row in (0, PARTICLES - 1):
        alone = graph.run({name: values[row : row + 1] for name, values in inputs.items()})
        np.testing.assert_allclose(alone["embeddings"], whole["embeddings"][row : row + 1], rtol=1e-5, atol=1e-6)
    nothing = graph.run({name: values[:0] for name, values in inputs.items()})
    assert nothing["probabilities"].shape == (0, 6)


@pytest.mark.parametrize("engine", [graphs.OpenVinoGraph, graphs.OnnxRuntimeGraph])
def test_blocks_one_after_the_other_have_the_results_of_all_at_once(known, engine) -> None:
    exported, inputs, _ = known
    graph = engine(exported)
    whole = graph.run(inputs)
    ends = [0, 3, 3, 3 + 2 * graphs.BATCH_SIZE, PARTICLES, PARTICLES]
    blocks = [{name: values[a:b] for name, values in inputs.items()} for a, b in itertools.pairwise(ends)]
    found = list(graph.run_each(iter(blocks)))
    assert [len(part["embeddings"]) for part in found] == list(np.diff(ends))
    for name, values in whole.items():
        np.testing.assert_allclose(np.concatenate([part[name] for part in found]), values, rtol=1e-5, atol=1e-6)
    assert list(graph.run_each([])) == []


@pytest.mark.parametrize("engine", [graphs.OpenVinoGraph, graphs.OnnxRuntimeGraph])
def test_a_graph_exported_with_larger_batches_is_still_computed(engine, monkeypatch) -> None:
    network, transform = build_network("A3", 6).eval(), architecture_of("A3").transform
    images = np.random.default_rng(5).integers(0, 256, (PARTICLES, 1, 128, 128), dtype=np.uint8)
    now = engine(export_network(network, transform, ())).run({"images": images})
    monkeypatch.setattr("icecore_dagster.learning.models.files.BATCH_SIZE", 64)
    before = engine(export_network(network, transform, ())).run({"images": images})
    for name, values in before.items():
        np.testing.assert_allclose(now[name], values, rtol=1e-5, atol=1e-5)


def test_a_failed_source_of_blocks_is_told_and_leaves_the_graph_fit_for_use(known) -> None:
    exported, inputs, _ = known
    graph = graphs.OpenVinoGraph(exported)

    def broken() -> Iterator[graphs.Arrays]:
        yield inputs
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        list(graph.run_each(broken()))
    abandoned = graph.run_each([inputs] * 3)
    next(abandoned)
    abandoned.close()
    assert graph.run(inputs)["probabilities"].shape == (PARTICLES, 6)


def test_without_openvino_the_other_engine_is_taken_and_without_both_it_is_said(known, monkeypatch) -> None:
    exported = known[0]
    there = {"openvino", "onnxruntime"}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name in there or None)
    assert isinstance(graphs.open_graph(exported), graphs.OpenVinoGraph)
    there.remove("openvino")
    assert isinstance(graphs.open_graph(exported), graphs.OnnxRuntimeGraph)
    there.clear()
    with pytest.raises(ModuleNotFoundError, match="pip install openvino"):
        graphs.open_graph(exported)


@pytest.mark.parametrize("engine", ["OpenVinoGraph", "OnnxRuntimeGraph"])
def test_no_engine_calls_out(known, engine, tmp_path) -> None:
    file = tmp_path / "network.onnx"
    file.write_bytes(known[0])
    program = (
        "import pathlib, sys\n"
        "seen = []\n"
        "watched = ('socket.connect', 'socket.getaddrinfo', 'subprocess.Popen', 'os.fork')\n"
        "sys.addaudithook(lambda event, _: seen.append(event) if event in watched else None)\n"
        "from icecore_dagster.learning.models import graphs\n"
        f"graphs.{engine}(pathlib.Path({str(file)!r}).read_bytes())\n"
        "print(seen, [name for name in sys.modules if name.startswith('openvino_telemetry.')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"HOME": str(tmp_path)}
    )
    assert done.stdout.strip() == "[] []"
    assert [path.name for path in tmp_path.iterdir()] == ["network.onnx"]
