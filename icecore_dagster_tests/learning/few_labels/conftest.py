"""Four kinds of drawn shape, two of which a siamese network never meets, in runs of their own a side."""

from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
import pytest

from icecore_dagster.learning.few_labels.representations import HeldOutSet, choose_held_out_set
from icecore_dagster.learning.networks.tensors import TensorSet, open_tensors, write_tensors
from icecore_dagster.particles.properties import FEATURES
from icecore_dagster_tests.learning.drawn_shapes import draw

LABELS, HELD_OUT = ("dust", "camp", "qrob", "grim", "corylus"), ("grim", "corylus")
A_SIDE = {"train": 30, "validation": 12, "test": 12}


@dataclass(frozen=True)
class ShapeSet:
    tensors: TensorSet
    table: pd.DataFrame


def _crop(label: str, rng: np.random.Generator) -> np.ndarray:
    if label in ("dust", "camp", "corylus"):
        return draw(label, rng)
    crop = np.full((64, 64), 130, np.uint8)
    if label == "qrob":
        cv2.rectangle(crop, (8, 8), (56, 56), 60, -1)
    else:
        cv2.drawMarker(crop, (32, 32), 60, cv2.MARKER_TILTED_CROSS, 50, 6)
    return np.clip(crop + rng.normal(0, 3, crop.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> ShapeSet:
    rng = np.random.default_rng(3)
    rows = [
        {"label": label, "split": side, "run": f"{label}_{side}_{i % 2}"}
        for label in LABELS
        for side, n in A_SIDE.items()
        for i in range(n)
    ]
    table = pd.DataFrame(rows)
    table.insert(0, "particle_id", [f"{row['run']}_{i}" for i, row in enumerate(rows)])
    kind = np.array([LABELS.index(label) for label in table["label"]], dtype=float)
    properties = pd.DataFrame(rng.normal(kind[:, None], 1, (len(table), len(FEATURES))), columns=list(FEATURES))
    folder = tmp_path_factory.mktemp("shapes") / "tensors"
    write_tensors(folder, [_crop(label, rng) for label in table["label"]], table["particle_id"].tolist())
    return ShapeSet(open_tensors(folder), pd.concat([table, properties], axis=1))


@pytest.fixture
def chosen(shapes: ShapeSet) -> HeldOutSet:
    return choose_held_out_set(shapes.table, HELD_OUT, most=100, seed=0)
