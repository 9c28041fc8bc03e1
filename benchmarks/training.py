"""An epoch of training A3, beside the study's loop of one image at a time."""

import time
from pathlib import Path

import numpy as np

from benchmarks.rows import Row, row
from benchmarks.scoring import Pictures
from icecore_dagster.learning.labelled_set import SplitKind, open_labelled_set, sides_of
from icecore_dagster.learning.networks.training import TrainingConfig, train_network
from icecore_dagster.particles.labels import TASKS
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.split import TRAIN

EPOCHS = 2


def train(folder: Path) -> Row:
    """Training images a second. Our seconds of an epoch include its validation, the peer's have none."""
    labelled = open_labelled_set(Laboratory.at(folder))
    labels, sides = labelled.table["label"], sides_of(labelled, SplitKind.BY_RUN)
    task = TASKS["six_class"]
    images = int(((sides == TRAIN) & labels.isin(task.class_of)).sum())
    trained = train_network(labelled.tensors, labels, sides, task, "A3", TrainingConfig(epochs=EPOCHS))
    ours = images / float(trained.history["seconds"].min())
    return row("train_a3", "images/s", ours, _study(folder, labels, sides))


def _study(folder: Path, labels, sides) -> float:
    """Pillow and torchvision an image at a time, two workers, batches of 32."""
    import torch
    from PIL import Image
    from torchvision.transforms import v2

    from icecore_dagster.learning.networks.architectures import build_network

    labelled = open_labelled_set(Laboratory.at(folder))
    task = TASKS["six_class"]
    rows = np.flatnonzero((sides == TRAIN) & labels.isin(task.class_of))
    pictures = folder / "labelled_pngs"
    pictures.mkdir(exist_ok=True)
    paths = []
    for i in rows:
        paths.append(pictures / f"{i}.png")
        Image.fromarray(labelled.tensors.native(int(i))).save(paths[-1])
    truth = {path: task.classes.index(task.class_of[labels.iloc[i]]) for path, i in zip(paths, rows, strict=True)}
    change = v2.Compose(
        [
            v2.ToImage(),
            v2.RandomApply([v2.RandomCrop(80, pad_if_needed=True)], p=0.1),
            v2.Resize((128, 128)),
            v2.ToDtype(torch.float32),
            v2.Normalize([60.0], [30.0]),
            v2.RandomHorizontalFlip(0.1),
            v2.RandomVerticalFlip(0.1),
            v2.RandomApply([v2.GaussianBlur(5)], p=0.1),
        ]
    )

    class Labelled(Pictures):
        def __getitem__(self, i):
            return super().__getitem__(i), truth[self.paths[i]]

    loader = torch.utils.data.DataLoader(Labelled(paths, change), batch_size=32, shuffle=True, num_workers=2)
    network = build_network("A3", 6).to(memory_format=torch.contiguous_format).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=0.001)
    best = 0.0
    for _ in range(EPOCHS):
        began = time.perf_counter()
        for images, known in loader:
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(network(images), known).backward()
            optimiser.step()
        best = max(best, len(paths) / (time.perf_counter() - began))
    return best
