"""A small labelled set that a network and trees can really learn: discs (dust), bars (tephra), rings (pollen)."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from icecore_dagster.learning.networks.tensors import TensorSet, open_tensors, write_tensors
from icecore_dagster.particles.properties import FEATURES

LABELS = ("dust", "camp", "corylus")


@dataclass(frozen=True)
class DrawnSet:
    folder: Path
    crops: list[np.ndarray]
    particles: pd.DataFrame
    labels: list[str]
    splits: list[str]

    @property
    def tensors(self) -> TensorSet:
        return open_tensors(self.folder)


def draw(label: str, rng: np.random.Generator) -> np.ndarray:
    height, width = rng.integers(24, 110, size=2)
    crop = np.full((height, width), 130, np.uint8)
    centre, radius = (int(width // 2), int(height // 2)), int(min(height, width) // 3)
    if label == "dust":
        cv2.circle(crop, centre, radius, 60, -1)
    elif label == "camp":
        cv2.line(crop, (4, int(height) - 5), (int(width) - 5, 4), 60, 4)
    else:
        cv2.circle(crop, centre, radius, 60, 3)
    noisy = crop + rng.normal(0, 3, crop.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def measured(labels: list[str], rng: np.random.Generator) -> pd.DataFrame:
    shift = np.array([LABELS.index(label) for label in labels])[:, None]
    values = rng.lognormal(0.0, 0.5, (len(labels), len(FEATURES))) + shift * (np.arange(len(FEATURES)) % 3 == 0)
    return pd.DataFrame(values, columns=list(FEATURES))


def draw_set(folder: Path, *, particles: int, seed: int = 0) -> DrawnSet:
    rng = np.random.default_rng(seed)
    labels = [LABELS[i % len(LABELS)] for i in range(particles)]
    crops = [draw(label, rng) for label in labels]
    table = measured(labels, rng)
    ids = [f"{label}_run_{i}" for i, label in enumerate(labels)]
    table.insert(0, "particle_id", ids)
    side = np.arange(particles) // len(LABELS) % 5
    splits = np.where(side < 3, "train", np.where(side == 3, "validation", "test")).tolist()
    write_tensors(folder, crops, ids)
    return DrawnSet(folder, crops, table, labels, splits)
