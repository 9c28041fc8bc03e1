"""Training A3, beside the study's loop of one image at a time."""

import copy
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.rows import Row, row
from benchmarks.scoring import Pictures
from icecore_dagster.learning.labelled_set import LabelledSet, SplitKind, open_labelled_set, sides_of
from icecore_dagster.learning.networks.training import TaskRows, TrainingConfig, select_rows, train_network
from icecore_dagster.particles.labels import TASKS, Task
from icecore_dagster.particles.laboratory import Laboratory

ARCHITECTURE, TASK = "A3", TASKS["six_class"]
EPOCHS = 2


def train(folder: Path) -> Row:
    """Training images a second. Our seconds of an epoch include its validation, the peer's have none."""
    labelled = open_labelled_set(Laboratory.at(folder))
    labels, sides = labelled.table["label"], sides_of(labelled, SplitKind.BY_RUN)
    rows = select_rows(labels, sides, TASK)
    trained = train_network(labelled.tensors, labels, sides, TASK, ARCHITECTURE, TrainingConfig(epochs=EPOCHS))
    peer = min(seconds for seconds, _ in study_epochs(folder / "labelled_pngs", labelled, rows, TASK, EPOCHS))
    images = len(rows.train)
    return row("train_a3", "images/s", images / float(trained.history["seconds"].min()), images / peer)


def study_epochs(
    pictures: Path, labelled: LabelledSet, rows: TaskRows, task: Task, epochs: int, *, judged: bool = False
) -> Iterator[tuple[float, float | None]]:
    """The study's loop: Pillow and torchvision an image at a time, two workers, batches of 32, Adam, 32 bits.

    Args:
        pictures: folder for one PNG a particle.
        labelled: whose images it learns from.
        rows: of the task.
        task: its classes.
        epochs: how many.
        judged: ask the validation images after each epoch, outside its time.

    Yields:
        Seconds of an epoch, and its accuracy on validation images, None where that was not asked.
    """
    import torch
    from torchvision.transforms import v2

    from icecore_dagster.learning.networks.architectures import build_network

    prepare = [v2.Resize((128, 128)), v2.ToDtype(torch.float32), v2.Normalize([60.0], [30.0])]
    change = v2.Compose(
        [
            v2.ToImage(),
            v2.RandomApply([v2.RandomCrop(80, pad_if_needed=True)], p=0.1),
            *prepare,
            v2.RandomHorizontalFlip(0.1),
            v2.RandomVerticalFlip(0.1),
            v2.RandomApply([v2.GaussianBlur(5)], p=0.1),
        ]
    )

    def loader_of(side: np.ndarray, transform: v2.Compose, shuffle: bool) -> torch.utils.data.DataLoader:
        truth = {_picture(pictures, labelled, row): int(rows.targets[row]) for row in side}

        class Labelled(Pictures):
            def __getitem__(self, i):
                return super().__getitem__(i), truth[self.paths[i]]

        return torch.utils.data.DataLoader(
            Labelled(list(truth), transform), batch_size=32, shuffle=shuffle, num_workers=2
        )

    learnt_from = loader_of(rows.train, change, shuffle=True)
    # They never change: read once, not every epoch, as judging is no part of what is timed.
    judged_by = loader_of(rows.validation, v2.Compose([v2.ToImage(), *prepare]), shuffle=False) if judged else []
    asked = [(images.clone(), known.clone()) for images, known in judged_by]
    network = build_network(ARCHITECTURE, len(task.classes)).to(memory_format=torch.contiguous_format)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.001)
    for _ in range(epochs):
        network.train()
        began = time.perf_counter()
        for images, known in learnt_from:
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(network(images), known).backward()
            optimiser.step()
        seconds = time.perf_counter() - began
        judge = copy.deepcopy(network).eval().to(memory_format=torch.channels_last)
        with torch.inference_mode():
            right = [(judge(images).argmax(dim=1) == known).float() for images, known in asked]
        yield seconds, float(torch.cat(right).mean()) if right else None


def _picture(folder: Path, labelled: LabelledSet, row: int) -> Path:
    from PIL import Image

    path = folder / f"{row}.png"
    folder.mkdir(exist_ok=True)
    Image.fromarray(labelled.tensors.native(int(row))).save(path)
    return path
