"""Running a study: one experiment after the other, each kept as soon as it is measured, so that a kill loses one."""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

from tqdm import tqdm
from upath import UPath

from icecore_dagster.study.bench import Bench
from icecore_dagster.study.measurement import Measurement, Record

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Experiment:
    """Something to measure.

    Attributes:
        key: name in files and commands.
        title: in words.
        measure: gives the figures.
        promises: ids that `measure` must give at least.
    """

    key: str
    title: str
    measure: Callable[[Bench], Iterable[Measurement]]
    promises: tuple[str, ...] = ()


class StudyError(ValueError):
    """An experiment was asked for that there is not, or one did not measure what it should."""


def run_experiments(bench: Bench, experiments: Iterable[Experiment], *, again: bool = False) -> list[Record]:
    """Measure whatever has not been measured on this data at this size.

    An experiment that fails is recorded with its reason, and the others go on.

    Args:
        bench: where to measure.
        experiments: in order; later ones may use models that earlier ones saved.
        again: measure also what has been measured.

    Returns:
        One record an experiment, in order.
    """
    conditions = {"size": asdict(bench.size), "data_version": bench.version}
    records = []
    bar = tqdm(list(experiments), desc="study", unit="experiment")
    for experiment in bar:
        bar.set_postfix_str(experiment.key)
        path = record_path(bench, experiment.key)
        known = Record.load(path)
        if known and not again and not known.trouble and _same(known.conditions, conditions):
            records.append(known)
            continue
        records.append(_measured(experiment, bench, conditions))
        records[-1].save(path)
        if records[-1].trouble:
            tqdm.write(f"{experiment.key}: {records[-1].trouble}")
    return records


def record_path(bench: Bench, key: str) -> UPath:
    """Where an experiment's figures are kept."""
    return bench.lab.store.root / "study" / f"{key.replace('/', '.')}.json"


def _measured(experiment: Experiment, bench: Bench, conditions: dict) -> Record:
    began = time.monotonic()
    try:
        measured = tuple(experiment.measure(bench))
        missing = set(experiment.promises) - {one.id for one in measured}
        if missing:
            raise StudyError(f"{experiment.key} did not measure {', '.join(sorted(missing))}")
        trouble = ""
    except (ValueError, OSError, RuntimeError, ArithmeticError, LookupError) as error:
        log.exception("%s failed", experiment.key)
        measured, trouble = (), f"{type(error).__name__}: {error}"
    return Record(experiment.key, conditions, bench.data, time.monotonic() - began, measured, trouble)


def _same(known: dict, conditions: dict) -> bool:
    """Conditions as JSON has them: tuples are lists there."""
    import json

    return known == json.loads(json.dumps(conditions))
