"""From packed crops to tables of scores, beside the two ways in which the studies scored.

The peers are written anew from their published descriptions and read one PNG a particle, as published; ours reads the
segment's own tables. All see the same particles on the same machine in one run.
"""

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from benchmarks.rows import Row, most_memory_mb, rate, row
from icecore_dagster.learning.anomaly.fit import fit_forest
from icecore_dagster.learning.anomaly.forest import ForestConfig
from icecore_dagster.learning.labelled_map import fit_labelled_map
from icecore_dagster.learning.labelled_set import keep_split, keep_tensors
from icecore_dagster.learning.maps import MapConfig
from icecore_dagster.learning.models.for_scoring import load_scoring_network
from icecore_dagster.learning.networks.fit import fit_network
from icecore_dagster.learning.networks.tensors import to_network_input
from icecore_dagster.learning.networks.training import TrainingConfig
from icecore_dagster.learning.trees.boosting import TreesConfig
from icecore_dagster.learning.trees.fit import fit_trees
from icecore_dagster.particles.intake.cells import pack_segment, read_segment
from icecore_dagster.particles.intake.crops import stream_crops
from icecore_dagster.particles.intake.labelled import keep_labelled
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.scoring.core.rollup import keep_class_distribution, keep_ranking
from icecore_dagster.scoring.segments import score_segment
from icecore_dagster.simulation.laboratory import simulate_ice, simulate_labelled

Found = dict[str, float]
"""What a way of scoring gave: rate (particles/s), rss_mb (most memory), and of ours alone (the network's own rate)."""
LABELLED, ICE = 3_000, 30_000
CORE, SEGMENT = "GRIP_3046", "0_20"
TASK, ARCHITECTURE = "six_class", "A3"
GROWING, GROWING_SEGMENTS, GROWING_ICE = "GRIP_3136", ("0_20", "20_40", "40_55", "55_75"), 1_500
"""A core that gets one more segment, and particles of each."""
STUDY_PARTICLES, PUBLISHED_PARTICLES = 6_000, 1_500
"""The slower peers are shown fewer: their rates do not depend on how many."""
ALONE_PARTICLES = 8_192
"""Images that the network sees alone, decoded and in memory."""


def score(folder: Path) -> list[Row]:
    """Set up a laboratory with trained models and a packed segment, and score it in each way."""
    lab = set_up(folder)
    ours, study, published = (_apart(way, folder) for way in WAYS)
    return [
        row("score_end_to_end_vs_published", "particles/s", ours["rate"], published["rate"], ours["alone"]),
        row("score_end_to_end_vs_study", "particles/s", ours["rate"], study["rate"], ours["alone"]),
        # Of the peer's process alone, without its two workers.
        row("score_rss", "MB", ours["rss_mb"], study["rss_mb"]),
        incremental(lab),
    ]


def packed_crops(folder: Path) -> dict[str, np.ndarray]:
    """The segment's crops by particle id."""
    blocks = stream_crops(Laboratory.at(folder).store.table("segment_crops", CORE, SEGMENT))
    return {name: crop for block in blocks for name, crop in zip(block.particle_ids, block.crops, strict=True)}


def incremental(lab: Laboratory) -> Row:
    """A new segment of a core read, packed, scored and rolled up, beside the whole core done again."""
    simulate_ice(
        lab.landing,
        truth_folder=lab.truth,
        cores=[GROWING],
        segments=GROWING_SEGMENTS,
        replicates=1,
        particles_per_run=GROWING_ICE,
        seed=3,
        progress=False,
    )

    def seconds(segments: tuple[str, ...]) -> float:
        began = time.perf_counter()
        for segment in segments:
            read_segment(lab, GROWING, segment)
            pack_segment(lab, GROWING, segment)
            score_segment(lab, GROWING, segment, task=TASK, architecture=ARCHITECTURE)
        keep_class_distribution(lab, GROWING, TASK)
        keep_ranking(lab, GROWING)
        return time.perf_counter() - began

    whole = seconds(GROWING_SEGMENTS)
    return row("incremental_segment", "s", seconds(GROWING_SEGMENTS[-1:]), whole)


def set_up(folder: Path) -> Laboratory:
    """A laboratory with labelled particles, one epoch of training, and a segment that was read and packed."""
    lab = Laboratory.at(folder)
    train_all(lab, TASK, ARCHITECTURE)
    simulate_ice(
        lab.landing,
        truth_folder=lab.truth,
        cores=[CORE],
        segments=[SEGMENT],
        replicates=1,
        particles_per_run=ICE,
        seed=2,
        progress=False,
    )
    read_segment(lab, CORE, SEGMENT)
    pack_segment(lab, CORE, SEGMENT)
    pictures = folder / "one_png_a_particle"
    pictures.mkdir()
    for name, crop in itertools.islice(packed_crops(folder).items(), STUDY_PARTICLES):
        cv2.imwrite(str(pictures / f"{name}.png"), crop)
    return lab


def train_all(lab: Laboratory, task: str, architecture: str) -> None:
    """Draw labelled particles and train what scores ice, one epoch: what it costs matters here, not what it says."""
    keep_drawn(lab, LABELLED)
    fit_network(lab, task, architecture, TrainingConfig(epochs=1))
    fit_trees(lab, task, TreesConfig())
    fit_forest(lab, ForestConfig())
    fit_labelled_map(lab, task, architecture, MapConfig(), most=1_200, seed=0)


def keep_drawn(lab: Laboratory, particles: int, *, progress: bool = False) -> None:
    """Draw labelled particles, measure and divide them, and keep their images as tensors."""
    simulate_labelled(lab.labelled, particles=particles, seed=1, progress=progress)
    keep_labelled(lab, set())
    keep_split(lab)
    keep_tensors(lab)


def _apart(way: str, folder: Path) -> Found:
    """Score in a process of its own, imports not counted; each way three times, of which the fastest counts."""
    command = [sys.executable, "-m", "benchmarks.scoring", way, str(folder)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(said.splitlines()[-1])


def ours(folder: Path) -> Found:
    """Decode, network, trees, forest, places on the map, three tables; and what the network alone reaches beside."""
    lab = Laboratory.at(folder)
    found = {
        "rate": rate(lambda: score_segment(lab, CORE, SEGMENT, task=TASK, architecture=ARCHITECTURE).rows),
        "rss_mb": most_memory_mb(),
    }
    crops = list(packed_crops(folder).values())[:ALONE_PARTICLES]
    network = load_scoring_network(lab.store.models / "cnn_model" / TASK / ARCHITECTURE)
    inputs, nothing = np.stack([to_network_input(crop) for crop in crops]), np.empty((len(crops), 0))
    return found | {"alone": rate(lambda: len(network.run(inputs, nothing).probabilities))}


def study(folder: Path) -> Found:
    """The 2021 study: Pillow and torchvision an image at a time, two workers, A3 as torch has it by default."""
    import torch
    from torchvision.transforms import v2

    from icecore_dagster.learning.networks.architectures import build_network

    change = v2.Compose([v2.ToImage(), v2.Resize((128, 128)), v2.ToDtype(torch.float32), v2.Normalize([60.0], [30.0])])
    network = build_network(ARCHITECTURE, 6).to(memory_format=torch.contiguous_format).eval()
    return _by_loader(Pictures(sorted((folder / "one_png_a_particle").glob("*.png")), change), network, 64)


def published(folder: Path) -> Found:
    """The pipeline published in 2023: OpenCV an image at a time, two workers, ResNet18 with the properties beside."""
    import torch

    from icecore_dagster.learning.networks.architectures import build_network

    def change(image: np.ndarray) -> torch.Tensor:
        colour = cv2.cvtColor(np.asarray(image), cv2.COLOR_GRAY2RGB)
        return torch.from_numpy((cv2.resize(colour, (128, 128)).astype(np.float32) - 94) / 12).permute(2, 0, 1)

    hybrid = build_network("hybrid_resnet18", 7).to(memory_format=torch.contiguous_format).eval()

    class Hybrid(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return hybrid(images[:, :1], torch.zeros(len(images), 34))

    paths = sorted((folder / "one_png_a_particle").glob("*.png"))[:PUBLISHED_PARTICLES]
    return _by_loader(Pictures(paths, change), Hybrid(), 512)


class Pictures:
    """Images from files, one at a time."""

    def __init__(self, paths, change):
        self.paths, self.change = paths, change

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, i):
        from PIL import Image

        with Image.open(self.paths[i]) as image:
            return self.change(image.convert("L"))


def _by_loader(pictures: Pictures, network, batch_size: int) -> Found:
    import torch

    loader = torch.utils.data.DataLoader(pictures, batch_size=batch_size, num_workers=2)

    def scored() -> int:
        with torch.no_grad():
            return sum(len(torch.softmax(network(images), dim=1).argmax(dim=1)) for images in loader)

    return {"rate": rate(scored), "rss_mb": most_memory_mb()}


WAYS: dict[str, Callable[[Path], Found]] = {"ours": ours, "study": study, "published": published}


if __name__ == "__main__":
    print(json.dumps(WAYS[sys.argv[1]](Path(sys.argv[2]))))
