"""Guard: nothing in the package reads or writes pickles, because reading one runs whatever code somebody put there."""

import ast
import io
import pickle
import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import icecore_dagster

PACKAGE = Path(icecore_dagster.__file__).parent
_MODULES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
_METHODS = {"read_pickle", "to_pickle"}


def uses_of_pickle(source: str) -> list[str]:
    """Every place in Python source that could read or write a pickle, as `line: what`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node, alias.name) for alias in node.names if alias.name.split(".")[0] in _MODULES]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            named = {alias.name for alias in node.names}
            if module.split(".")[0] in _MODULES or (module == "torch" and named & {"save", "load"}):
                found.append((node, f"from {module} import {', '.join(sorted(named))}"))
        elif isinstance(node, ast.Call) and (what := _pickling_call(node)):
            found.append((node, what))
    return [f"{node.lineno}: {what}" for node, what in found]


def _pickling_call(call: ast.Call) -> str:
    name = ast.unparse(call.func)
    method = name.rsplit(".", 1)[-1]
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    if method in _METHODS or name == "torch.save":
        return name
    if name == "torch.load" and given.get("weights_only") != "True":
        return "torch.load without weights_only=True"
    if given.get("allow_pickle", "False") != "False":
        return f"{name} with allow_pickle"
    return ""


def is_pickle(content: bytes) -> bool:
    """Whether bytes are a pickle of protocol 2 to 5, or a numpy array of pickled objects.

    The first bytes alone do not tell: the length of a safetensors header may be the same.
    """
    if content.startswith(b"\x93NUMPY"):
        return b"'|O'" in content[:512]
    if content[:1] != b"\x80" or content[1:2] not in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return False
    try:
        return [opcode.name for opcode, _, _ in pickletools.genops(content)][-1] == "STOP"
    except ValueError:
        return False


def pickles_in(folder: Path) -> Iterator[str]:
    """Files below a folder that are pickles, and members of zip archives that are."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if is_pickle(path.read_bytes()):
            yield str(path)
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                yield from (f"{path}:{name}" for name in archive.namelist() if is_pickle(archive.read(name)))


@pytest.mark.parametrize("module", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_reads_or_writes_pickles(module):
    assert uses_of_pickle(module.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "planted",
    [
        "import pickle",
        "import numpy, joblib as j",
        "from cloudpickle import dumps",
        "def f():\n    import dill",
        "import shelve",
        "import torch\ntorch.save(model, 'a.pt')",
        "import torch\ntorch.load('a.pt')",
        "import torch\ntorch.load('a.pt', weights_only=False)",
        "from torch import load",
        "import numpy as np\nnp.load('a.npy', allow_pickle=True)",
        "import numpy as np\nnp.load('a.npy', allow_pickle=asked)",
        "import pandas as pd\npd.read_pickle('a.pkl')",
        "frame.to_pickle('a.pkl')",
    ],
)
def test_a_planted_use_is_found(planted):
    assert len(uses_of_pickle(planted)) == 1


@pytest.mark.parametrize(
    "harmless",
    [
        "import torch\ntorch.load('a.pt', weights_only=True)",
        "import numpy as np\nnp.load('a.npy', mmap_mode='r')",
        "import numpy as np\nnp.load('a.npy', allow_pickle=False)",
        "from safetensors.torch import load, save",
    ],
)
def test_what_is_no_pickle_is_let_through(harmless):
    assert uses_of_pickle(harmless) == []


def test_planted_files_are_found_and_ordinary_ones_are_not(tmp_path):
    from safetensors.numpy import save

    ordinary = tmp_path / "ordinary"
    ordinary.mkdir()
    np.save(ordinary / "a.npy", np.arange(3))
    np.savez(ordinary / "b.npz", a=np.arange(3))
    (ordinary / "c.json").write_text("{}")
    headers = {len(save({"a" * n: np.zeros(1, np.float32)})[8:-4]): n for n in range(1, 1_500)}
    like_protocol_2 = save({"a" * headers[0x0280]: np.zeros(1, np.float32)})
    assert like_protocol_2.startswith(b"\x80\x02")
    (ordinary / "d.safetensors").write_bytes(like_protocol_2)
    assert list(pickles_in(tmp_path)) == []

    for protocol in range(2, 6):
        (tmp_path / f"p{protocol}").write_bytes(pickle.dumps({"a": [1]}, protocol=protocol))
    torch.save({"a": torch.zeros(1)}, tmp_path / "q.pt")
    np.save(tmp_path / "r.npy", np.array([{}], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        archive.writestr("inner.bin", pickle.dumps(1))
    buffer = io.BytesIO(pickle.dumps([1]))
    assert is_pickle(buffer.read())
    found = [Path(name.split(":")[0]).name for name in pickles_in(tmp_path)]
    assert found == ["p2", "p3", "p4", "p5", "q.pt", "r.npy", "s.zip"]
