"""A whole training of A3, beside one by the study's loop, on as many images as the study had: speed, accuracy, energy.

The same images, divided by run; what each says of the validation images is asked after every epoch. Neither stops
early: ours lets the learning rate rise and fall once over all epochs, the study's stays as it is.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from benchmarks.measure import show
from benchmarks.page import TRAINING, write_page
from benchmarks.rows import machine
from benchmarks.scoring import keep_drawn
from benchmarks.training import ARCHITECTURE, TASK, study_epochs
from icecore_dagster.learning.energy import EnergyUse, measure_energy
from icecore_dagster.learning.labelled_set import LabelledSet, SplitKind, open_labelled_set, sides_of
from icecore_dagster.learning.networks.training import TaskRows, TrainingConfig, select_rows, train_network
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.scoring.energy_ledger import STUDY_TRAININGS

PARTICLES, EPOCHS = 136_022, 20
"""Of the study: 70 % of its labelled particles are 95,000."""
STUDY_KWH = STUDY_TRAININGS[0][4]
"""Of the study's 20 epochs of A3 for three classes, on a graphics card."""
HIGHEST_RATE = 0.002
"""Of our cycle, as of the network that scores ice; the study's loop has 0.001 throughout."""


def main() -> None:
    """Train both ways, print and keep what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="empty folder for a laboratory")
    parser.add_argument("--particles", type=int, default=PARTICLES, help="labelled particles to draw")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="passes over the training images")
    parser.add_argument("--only", choices=_TRAININGS, help="measure this one again, and keep the other as it was")
    arguments = parser.parse_args()
    epochs = arguments.epochs
    lab = Laboratory.at(arguments.folder)
    keep_drawn(lab, arguments.particles, progress=True)
    labelled = open_labelled_set(lab)
    rows = select_rows(labelled.table["label"], sides_of(labelled, SplitKind.BY_RUN), TASK)
    before = json.loads(TRAINING.read_text(encoding="utf-8"))["rows"] if TRAINING.exists() else []
    # Of other images or epochs there is nothing to compare.
    alike = [row for row in before if (row["training images"], row["epochs"]) == (len(rows.train), epochs)]
    measured = {row["training"]: row for row in alike if arguments.only}
    for training in [arguments.only] if arguments.only else _TRAININGS:
        history = []
        with measure_energy() as meter:
            for seconds, accuracy in _TRAININGS[training](lab, labelled, rows, epochs):
                history.append((seconds, accuracy))
                tqdm.write(f"{training}, epoch {len(history)}: {seconds:.0f} s, validation accuracy {accuracy:.4f}")
        measured[training] = _row(training, len(rows.train), history, meter.use)
        # Kept one by one: each takes long.
        kept = {"machine": machine(), "validation": len(rows.validation), "study_kwh": STUDY_KWH}
        found = [measured[name] for name in _TRAININGS if name in measured]
        TRAINING.write_text(json.dumps({**kept, "rows": found}, indent=1) + "\n", encoding="utf-8")
    show(found, f"{ARCHITECTURE}, {TASK.key}, {epochs} epochs; {len(rows.validation):,} validation images")
    if len(found) == len(_TRAININGS):
        ours, peer = found
        print(f"times as fast: {ours['images/s'] / peer['images/s']:.2f}; the study's own 20 epochs: {STUDY_KWH} kWh")
    print(f"the same with figures: {write_page()}")


def _ours(lab: Laboratory, labelled: LabelledSet, rows: TaskRows, epochs: int) -> Iterator[tuple[float, float]]:
    """Seconds of each epoch with its validation, and its accuracy there, once all are done."""
    config = TrainingConfig(epochs=epochs, cycle=True, learning_rate=HIGHEST_RATE)
    labels, sides = labelled.table["label"], sides_of(labelled, SplitKind.BY_RUN)
    trained = train_network(labelled.tensors, labels, sides, TASK, ARCHITECTURE, config)
    tqdm.write(f"kept: epoch {trained.best_epoch}, of the lowest validation loss: {trained.validation.accuracy:.4f}")
    yield from zip(trained.history["seconds"], trained.history["validation_accuracy"], strict=True)


def _study(lab: Laboratory, labelled: LabelledSet, rows: TaskRows, epochs: int) -> Iterator[tuple[float, float]]:
    """Seconds of each epoch without its validation, and its accuracy there, epoch by epoch."""
    found = study_epochs(lab.data / "pngs", labelled, rows, TASK, epochs, judged=True)
    for seconds, accuracy in tqdm(found, desc="study's loop", total=epochs, unit="epoch"):
        assert accuracy is not None, "every epoch is judged"
        yield seconds, accuracy


_TRAININGS = {"ours": _ours, "the study's loop": _study}


def _row(training: str, images: int, history: list[tuple[float, float]], use: EnergyUse) -> dict:
    """One training: seconds and validation accuracy of each epoch, ours with its validation, the peer's without."""
    seconds = sum(spent for spent, _ in history)
    return {
        "training": training,
        "training images": images,
        "epochs": len(history),
        "images/s": images * len(history) / seconds,
        "minutes": seconds / 60,
        "validation accuracy of the best epoch": max(accuracy for _, accuracy in history),
        "energy (kWh)": use.kwh,
    }


if __name__ == "__main__":
    began = time.monotonic()
    main()
    print(f"in all {time.monotonic() - began:.0f} s")
