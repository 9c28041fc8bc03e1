"""Exported networks: ONNX graphs, written with torch after training and computed without it.

OpenVINO computes them, or ONNX Runtime where OpenVINO is not installed, both in 32 bits like torch. The graph's batch
is fixed and the last one is filled up, so that a row's result does not depend on how many others it came with.
"""

import importlib.util
import os
import shutil
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

import numpy as np

from icecore_dagster.learning.models.ahead import ahead

if TYPE_CHECKING:
    import openvino
    import torch

BATCH_SIZE = 8
"""Particles in a batch of an exported graph: what a layer makes of so few stays in the processor's cache."""
_GPU_BATCH_SIZE = 64
"""The same for a network on a GPU, which a batch of 8 would leave idle."""
_BEGUN_PARTICLES = 512
"""So many are given to OpenVINO at a time: work enough for the time that it takes to use what it has found."""

Arrays = dict[str, np.ndarray]


class Graph(Protocol):
    """Something that computes named arrays from named arrays, one row a particle."""

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of a row of each output."""

    def run(self, inputs: Arrays) -> Arrays:
        """Outputs (n, ...) of inputs (n, ...)."""

    def run_each(self, blocks: Iterable[Arrays]) -> Iterator[Arrays]:
        """Outputs of one block of inputs after the other; the next is computed while one is being used."""


def export_graph(module: "torch.nn.Module", examples: "dict[str, torch.Tensor]", outputs: Sequence[str]) -> bytes:
    """Write a module as an ONNX graph.

    Args:
        module: in evaluation mode, called with the examples in order.
        examples: a batch of `BATCH_SIZE` rows for each input, by name.
        outputs: names of what it returns, in order.

    Returns:
        The content of an .onnx file.
    """
    import torch

    with torch.no_grad():
        program = torch.onnx.export(
            module.eval(),
            tuple(examples.values()),
            input_names=list(examples),
            output_names=list(outputs),
            dynamo=True,
            verbose=False,
        )
    assert program is not None, "the exporter gives a program where no file is named"
    return program.model_proto.SerializeToString()


def open_graph(exported: bytes) -> Graph:
    """Make an exported graph ready, by OpenVINO or, without it, by ONNX Runtime.

    Raises:
        ModuleNotFoundError: neither is installed.
    """
    if importlib.util.find_spec("openvino"):
        return OpenVinoGraph(exported)
    if importlib.util.find_spec("onnxruntime"):
        return OnnxRuntimeGraph(exported)
    raise ModuleNotFoundError("networks are computed by OpenVINO or ONNX Runtime: pip install openvino")


def has_gpu() -> bool:
    """Whether torch can compute on a graphics card; torch is not imported where there is no driver."""
    if shutil.which("nvidia-smi") is None:
        return False
    import torch

    return torch.cuda.is_available()


class OpenVinoGraph:
    """A graph computed by OpenVINO, several batches at a time.

    Args:
        exported: content of an .onnx file.
    """

    def __init__(self, exported: bytes):
        openvino = _openvino()
        settings = {
            # Without this, processors that can would compute in 16 bits.
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "THROUGHPUT",
        }
        core = openvino.Core()
        compiled = core.compile_model(core.read_model(exported), "CPU", settings)
        self._batch_size = int(compiled.inputs[0].shape[0])
        requests = max(_BEGUN_PARTICLES // self._batch_size, compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._requests = [compiled.create_infer_request() for _ in range(requests)]
        self._names = [port.any_name for port in compiled.outputs]
        self.shapes = {port.any_name: tuple(port.shape)[1:] for port in compiled.outputs}

    def run(self, inputs: Arrays) -> Arrays:
        """Outputs (n, ...) of inputs (n, ...)."""
        return next(self.run_each([inputs]))

    def run_each(self, blocks: Iterable[Arrays]) -> Iterator[Arrays]:
        """Outputs of one block of inputs after the other; the next is computed while one is being used.

        A block is begun before the last batches of the one before it are done, so that no processor waits for them.
        """
        idle, busy = deque(self._requests), deque[_Batch]()

        def collected() -> Iterator[Arrays]:
            """Take the oldest batch; give its block if that was the last of it."""
            oldest = busy.popleft()
            oldest.request.wait()
            for i, name in enumerate(self._names):
                part = oldest.found[name][oldest.start : oldest.start + self._batch_size]
                part[:] = oldest.request.get_output_tensor(i).data[: len(part)]
            idle.append(oldest.request)
            if oldest.last:
                yield oldest.found

        try:
            for inputs in blocks:
                found, rows = _room_for(self, inputs), _rows(inputs)
                for start, values in _batches(inputs, self._batch_size):
                    if not idle:
                        yield from collected()
                    request = idle.popleft()
                    # What it is given is not copied, so it must live as long as the request is busy.
                    request.start_async(values, share_inputs=True)
                    busy.append(_Batch(request, values, found, start, last=start + self._batch_size >= rows))
                # No more than one block is left begun, none before one without rows.
                while sum(batch.last for batch in busy) > min(rows, 1):
                    yield from collected()
                if rows == 0:
                    yield found
            while busy:
                yield from collected()
        finally:
            for batch in busy:
                batch.request.wait()


@dataclass(frozen=True)
class _Batch:
    """What a request computes: rows of a block from `start` on, of its inputs `values` and for its outputs `found`."""

    request: "openvino.InferRequest"
    values: Arrays
    found: Arrays
    start: int
    last: bool


class OnnxRuntimeGraph:
    """A graph computed by ONNX Runtime, batch by batch.

    Args:
        exported: content of an .onnx file.
    """

    def __init__(self, exported: bytes):
        # Read when it is first loaded: without this it would send its maker what it computes, and name the computer.
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        import onnxruntime

        self._session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
        self._batch_size = int(self._session.get_inputs()[0].shape[0])
        self._names = [port.name for port in self._session.get_outputs()]
        self.shapes = {port.name: tuple(port.shape)[1:] for port in self._session.get_outputs()}

    def run(self, inputs: Arrays) -> Arrays:
        """Outputs (n, ...) of inputs (n, ...)."""
        found = _room_for(self, inputs)
        for start, batch in _batches(inputs, self._batch_size):
            for name, values in zip(self._names, self._session.run(self._names, batch), strict=True):
                part = found[name][start : start + self._batch_size]
                part[:] = values[: len(part)]
        return found

    def run_each(self, blocks: Iterable[Arrays]) -> Iterator[Arrays]:
        """Outputs of one block of inputs after the other; the next is computed while one is being used."""
        return ahead(map(self.run, blocks), "look")


class TorchGraph:
    """A module computed by torch itself, for graphics cards.

    Args:
        module: as for `export_graph`.
        outputs: names of what it returns, with the shape of a row of each.
        device: where to compute.
    """

    def __init__(self, module: "torch.nn.Module", outputs: Mapping[str, tuple[int, ...]], device: str):
        self._module = module.eval().to(device)
        self._device = device
        self.shapes = dict(outputs)

    def run(self, inputs: Arrays) -> Arrays:
        """Outputs (n, ...) of inputs (n, ...)."""
        import torch

        found = _room_for(self, inputs)
        with torch.inference_mode():
            for start, batch in _batches(inputs, _GPU_BATCH_SIZE):
                given = (torch.tensor(values).to(self._device) for values in batch.values())
                for name, values in zip(self.shapes, self._module(*given), strict=True):
                    part = found[name][start : start + _GPU_BATCH_SIZE]
                    part[:] = values[: len(part)].cpu().numpy()
        return found

    def run_each(self, blocks: Iterable[Arrays]) -> Iterator[Arrays]:
        """Outputs of one block of inputs after the other; the next is computed while one is being used."""
        return ahead(map(self.run, blocks), "look")


def _openvino() -> ModuleType:
    """OpenVINO without its telemetry, which would report to its maker that it has been imported, and from where."""
    # To Python, a module that is None is not installed; OpenVINO then does without.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def _room_for(graph: Graph, inputs: Arrays) -> Arrays:
    return {name: np.empty((_rows(inputs), *shape), np.float32) for name, shape in graph.shapes.items()}


def _rows(inputs: Arrays) -> int:
    return len(next(iter(inputs.values())))


def _batches(inputs: Arrays, size: int) -> Iterator[tuple[int, Arrays]]:
    """Start and inputs of each batch, the last filled up with zeros."""
    rows = _rows(inputs)
    for start in range(0, rows, size):
        batch = {name: values[start : start + size] for name, values in inputs.items()}
        lacking = start + size - rows
        if lacking > 0:
            batch = {
                name: np.concatenate([values, np.zeros((lacking, *values.shape[1:]), values.dtype)])
                for name, values in batch.items()
            }
        yield start, {name: np.ascontiguousarray(values) for name, values in batch.items()}
