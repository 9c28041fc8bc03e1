"""A whole training of A3 beside one by the study's loop, on as many images as the study had: seconds, accuracy, energy.

The same images, divided by run; what each says of the validation images is asked after every epoch.
"""

import argparse
import json
import time
from pathlib import Path

from tqdm import tqdm

from benchmarks.measure import show
from benchmarks.page import TRAINING, write_page
from benchmarks.rows import machine
from benchmarks.scoring import keep_drawn
from benchmarks.training import ARCHITECTURE, TASK, study_epochs
from icecore_dagster.learning.energy import EnergyUse, measure_energy
from icecore_dagster.learning.labelled_set import SplitKind, open_labelled_set, sides_of
from icecore_dagster.learning.networks.training import TrainingConfig, select_rows, train_network
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.scoring.energy_ledger import STUDY_TRAININGS

PARTICLES, EPOCHS = 136_022, 20
"""Of the study: 70 % of its labelled particles are 95,000."""
STUDY_KWH = STUDY_TRAININGS[0][4]
"""Of the study's 20 epochs of A3 for three classes, on a graphics card."""


def main() -> None:
    """Train both ways, print and keep what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="empty folder for a laboratory")
    parser.add_argument("--particles", type=int, default=PARTICLES, help="labelled particles to draw")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="passes over the training images")
    arguments = parser.parse_args()
    epochs = arguments.epochs
    lab = Laboratory.at(arguments.folder)
    keep_drawn(lab, arguments.particles, progress=True)
    labelled = open_labelled_set(lab)
    labels, sides = labelled.table["label"], sides_of(labelled, SplitKind.BY_RUN)
    rows = select_rows(labels, sides, TASK)

    # The study's loop does not stop early here, so ours does not either.
    config = TrainingConfig(epochs=epochs, patience=epochs)
    with measure_energy() as meter:
        trained = train_network(labelled.tensors, labels, sides, TASK, ARCHITECTURE, config)
    ours = _row("ours", len(rows.train), list(trained.history["seconds"]), trained.validation.accuracy, meter.use)
    tqdm.write(f"ours: {ours}")

    found = []
    with measure_energy() as meter:
        peer_epochs = study_epochs(lab.data / "pngs", labelled, rows, TASK, epochs, judged=True)
        for seconds, accuracy in tqdm(peer_epochs, desc="study's loop", total=epochs, unit="epoch"):
            found.append((seconds, accuracy))
            tqdm.write(f"the study's loop: {seconds:.0f} s, validation accuracy {accuracy:.4f}")
    best = max(accuracy for _, accuracy in found if accuracy is not None)
    peer = _row("the study's loop", len(rows.train), [seconds for seconds, _ in found], best, meter.use)

    kept = {"machine": machine(), "validation": len(rows.validation), "study_kwh": STUDY_KWH, "rows": [ours, peer]}
    TRAINING.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    show([ours, peer], f"{ARCHITECTURE}, {TASK.key}, {epochs} epochs; {len(rows.validation):,} validation images")
    print(f"times as fast: {ours['images/s'] / peer['images/s']:.2f}; the study's own 20 epochs: {STUDY_KWH} kWh")
    print(f"the same with figures: {write_page()}")


def _row(training: str, images: int, seconds: list[float], accuracy: float, use: EnergyUse) -> dict:
    """One training: `seconds` of each epoch, ours with its validation, the peer's without."""
    return {
        "training": training,
        "training images": images,
        "epochs": len(seconds),
        "images/s": images * len(seconds) / sum(seconds),
        "minutes": sum(seconds) / 60,
        "validation accuracy": accuracy,
        "energy (kWh)": use.kwh,
    }


if __name__ == "__main__":
    began = time.monotonic()
    main()
    print(f"in all {time.monotonic() - began:.0f} s")
