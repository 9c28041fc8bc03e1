"""The published dataset in small: the tables, columns and folders of doi 10.5281/zenodo.7591282, of drawn particles."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from icecore_dagster.flowcam.run import Run, read_run
from icecore_dagster.particles.labels import LABEL_KEYS, label_of_run
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.simulation.laboratory import simulate_labelled

COLUMNS = (
    *("Particle ID", "Area (ABD)", "Area (Filled)", "Aspect Ratio", "Biovolume (Cylinder)", "Biovolume (P. Spheroid)"),
    *(
        "Biovolume (Sphere)",
        "Calibration Factor",
        "Calibration Image",
        "Camera",
        "Capture X",
        "Capture Y",
        "Circle Fit",
    ),
    *("Circularity", "Circularity (Hu)", "Compactness", "Convex Perimeter", "Convexity", "Date", "Diameter (ABD)"),
    *("Diameter (ESD)", "Edge Gradient", "Elapsed Time", "Elongation", "Feret Angle Max", "Feret Angle Min"),
    *("Fiber Curl", "Fiber Straightness", "Filter Score", "Geodesic Aspect Ratio", "Geodesic Length"),
    *("Geodesic Thickness", "Image File", "Image Height", "Image Width", "Image X", "Image Y", "Intensity", "Length"),
    *("Particles Per Chain", "Perimeter", "Roughness", "Sigma Intensity", "Source Image", "Sphere Complement"),
    *("Sphere Count", "Sphere Unknown", "Sphere Volume", "Sum Intensity", "Symmetry", "Time", "Timestamp"),
    *("Transparency", "Volume (ABD)", "Volume (ESD)", "Width", "imgpaths"),
)
"""The 57 columns of a published table, before its one-hot labels."""

ICE_RUNS = ("GRIP_3046_0_20_1", "GRIP_3046_40_55_1", "GRIP_3046_40_55_2")
ICE_TABLE = "test/GRIP_raw/GRIP_3046_raw.csv"


@dataclass(frozen=True)
class PublishedLayout:
    """A laboratory whose data folder holds nothing but the published layout."""

    lab: Laboratory
    rows: dict[str, int]


def lay_out(workshop: Path, *, particles: int, seed: int) -> PublishedLayout:
    """Draw labelled runs and publish them as the dataset is published: images one by one, a table a label."""
    lab = Laboratory.at(workshop / "data")
    simulate_labelled(workshop / "drawn", particles=particles, seed=seed, processes=1, progress=False)
    runs = [read_run(folder) for folder in sorted((workshop / "drawn").glob("[a-z]*"))]
    by_label = {
        label: pd.concat([_published(lab, run, run.facts.name, f"{label}_images") for run in of_label])
        for label in LABEL_KEYS
        if (of_label := [run for run in runs if label_of_run(run.facts.name) == label])
    }
    for label, table in by_label.items():
        one_hot = {key: int(key == label) for key in LABEL_KEYS}
        by_label[label] = table.assign(**one_hot)
        by_label[label].to_csv(lab.published / f"{label}.csv", index=False)
    pd.concat(by_label.values()).to_csv(lab.published / "train.csv", index=False)
    ice = [_published(lab, run, name, f"test/GRIP_raw/{name}") for name, run in zip(ICE_RUNS, runs, strict=False)]
    pd.concat(ice).to_csv(lab.published / ICE_TABLE, index=False)
    return PublishedLayout(lab, {label: len(table) for label, table in by_label.items()})


def _published(lab: Laboratory, run: Run, name: str, folder: str) -> pd.DataFrame:
    """A run's rows under the published columns, its crops as files; paths are relative to the data folder."""
    (lab.published / folder).mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(index=run.particles.index)
    for column in COLUMNS:
        table[column] = run.particles.get(column, 0)
    table["imgpaths"] = [f"datasets/{folder}/{name}_{n}.png" for n in run.particles["Particle ID"]]
    for i, path in enumerate(table["imgpaths"]):
        cv2.imwrite(str(lab.data / path), np.asarray(run.crop(i)))
    return table
