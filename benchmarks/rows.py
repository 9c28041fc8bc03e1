"""A row of the results, and how a rate is taken."""

import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

Row = dict[str, str | float | None]


def row(name: str, unit: str, ours: float, peer: float | None, limit: float | None = None) -> Row:
    """One row of the results. Rates, of which more is better, unless the unit is one of MB or s."""
    less_is_better = unit in ("MB", "s")
    ratio = None if peer is None else peer / ours if less_is_better else ours / peer
    return {
        "id": name,
        "unit": unit,
        "ours": ours,
        "peer": peer,
        "ratio": ratio,
        "limit": limit,
        "share_of_limit": None if limit is None else ours / limit,
    }


def rate(work: Callable[[], int], repeats: int = 3) -> float:
    """Things a second, the best of some repeats."""
    best = 0.0
    for _ in range(repeats):
        began = time.perf_counter()
        done = work()
        best = max(best, done / (time.perf_counter() - began))
    return best


def most_memory_mb() -> float:
    """Most that this process has held in memory since it began to run its own program (MB; Linux)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def machine() -> dict[str, str | int]:
    """What this was measured on."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    packages = ("torch", "openvino", "lightgbm", "faiss-cpu", "umap-learn", "opencv-python-headless", "numpy")
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 1,
        "avx512": "yes" if any("avx512f" in line for line in lines) else "no",
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }
