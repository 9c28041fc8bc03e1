"""One measured figure, and how the figures of an experiment are kept until the page is made."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray
from upath import UPath

from icecore_dagster.learning.intervals import Interval
from icecore_dagster.learning.metrics import MEASURES, ClassificationMetrics, evaluate
from icecore_dagster.particles.labels import TASKS
from icecore_dagster.particles.tables.store import atomic_file

SUMMED = {"six_class": "three_class"}
"""Tasks whose answers are also measured when summed up into the classes of a coarser task of the same labels."""


@dataclass(frozen=True)
class Measurement:
    """One figure that was measured here.

    Attributes:
        id: as in `published.PUBLISHED`, unique in the whole study.
        task: key of the task, or "" where there is none.
        model: what was measured, in words.
        metric: what was measured of it, in words.
        ours: the figure.
        unit: its unit; "" for a share or a pure number.
        low: lower end of its 95 % interval; None where none can be given.
        high: upper end.
        n: particles (or other things) that it was measured on.
        note: what a reader should know besides.
    """

    id: str
    task: str
    model: str
    metric: str
    ours: float
    unit: str = ""
    low: float | None = None
    high: float | None = None
    n: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Record:
    """What one experiment left.

    Attributes:
        experiment: its key.
        conditions: what decides whether it must be measured again: size and version of the data.
        data: "simulated" or "imported".
        seconds: wall time.
        measurements: figures, in the order of the page.
        trouble: why there are none; empty if all went well.
    """

    experiment: str
    conditions: dict[str, Any]
    data: str
    seconds: float
    measurements: tuple[Measurement, ...] = field(default=())
    trouble: str = ""

    def save(self, path: UPath) -> None:
        """Write the record, whole or not at all."""
        with atomic_file(path) as part:
            part.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: UPath) -> "Record | None":
        """Read a record; None where there is none, or where another version wrote it."""
        if not path.exists():
            return None
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            measured = tuple(Measurement(**one) for one in content.pop("measurements"))
            return cls(**content, measurements=measured)
        except (TypeError, KeyError, json.JSONDecodeError):
            return None


class Ends(TypedDict, total=False):
    """The two ends of an interval, or neither."""

    low: float
    high: float


def ends(bounds: Interval | None) -> Ends:
    """An interval as a measurement takes it."""
    return Ends(low=bounds.low, high=bounds.high) if bounds else Ends()


def of_classifier(
    stem: str, task: str, model: str, metrics: ClassificationMetrics, how: str, *, note: str = ""
) -> list[Measurement]:
    """The figures of a classifier on test particles: accuracy, balanced accuracy, macro-F1 and calibration error.

    Args:
        stem: start of the ids.
        task: key of the task.
        model: in words.
        metrics: on the test particles, with intervals where the runs were told.
        how: how the particles were divided, in words.
        note: for every figure.
    """
    return [
        Measurement(
            f"{stem}.{name}",
            task,
            model,
            f"{words}, {how}",
            float(getattr(metrics, name)),
            **ends(metrics.intervals.get(name)),
            n=metrics.particles,
            note=note,
        )
        for name, words in MEASURES.items()
    ]


def of_summed(
    stem: str,
    task: str,
    model: str,
    targets: NDArray[np.int64],
    probabilities: NDArray[np.floating],
    runs: NDArray[np.object_],
    *,
    note: str = "",
) -> list[Measurement]:
    """The same figures, by run, when probabilities are summed up into the classes of a coarser task of the same labels.

    Args:
        stem: start of the ids.
        task: key of the task; there are no figures where it is not in `SUMMED`.
        model: in words.
        targets: int (n,), true class of each test particle.
        probabilities: float (n, classes).
        runs: run of each test particle.
        note: for every figure.
    """
    if task not in SUMMED:
        return []
    fine, coarse = TASKS[task], TASKS[SUMMED[task]]
    of_class = {fine.class_of[label]: name for label, name in coarse.class_of.items()}
    # One-hot: which class of the coarse task each class of the fine one belongs to.
    belongs = np.array([[float(of_class[one] == name) for name in coarse.classes] for one in fine.classes])
    metrics = evaluate(belongs[targets].argmax(axis=1), probabilities @ belongs, coarse.classes, runs)
    model = f"{model}, {task.replace('_', ' ')} summed"
    return of_classifier(stem, coarse.key, model, metrics, "by run", note=note)


def share_called(
    id_: str, task: str, model: str, words: str, metrics: ClassificationMetrics, true: str, called: str
) -> Measurement:
    """The share of a class's particles that were called a class, with its interval; of the class itself its recall.

    Raises:
        ValueError: there are no particles of the class.
    """
    row = metrics.confusion[metrics.classes.index(true)]
    if not sum(row):
        raise ValueError(f"no test particles of {true}: what they were called cannot be measured")
    return Measurement(
        id_,
        task,
        model,
        words,
        row[metrics.classes.index(called)] / sum(row),
        **ends(metrics.by_class[true].called.get(called)),
        n=sum(row),
    )
