"""Running a study: one experiment after the other, each kept as soon as it is measured, so that a kill loses one."""

import json
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
    records = []
    bar = tqdm(list(experiments), desc="study", unit="experiment")
    for experiment in bar:
        bar.set_postfix_str(experiment.key)
        known = kept_record(bench, experiment.key)
        if known and not again and not known.trouble:
            records.append(known)
            continue
        records.append(_measured(experiment, bench))
        records[-1].save(record_path(bench, experiment.key))
        if records[-1].trouble:
            tqdm.write(f"{experiment.key}: {records[-1].trouble}")
    return records


def record_path(bench: Bench, key: str) -> UPath:
    """Where an experiment's figures are kept."""
    return bench.lab.store.root / "study" / f"{key.replace('/', '.')}.json"


def kept_record(bench: Bench, key: str) -> Record | None:
    """What an experiment gave on these particles at this size; None if it has not been asked of them."""
    known = Record.load(record_path(bench, key))
    return known if known and known.conditions == _conditions(bench) else None


def _conditions(bench: Bench) -> dict:
    """What a record holds for, as JSON has it: tuples are lists there."""
    return json.loads(json.dumps({"size": asdict(bench.size), "data_version": bench.version}))


def _measured(experiment: Experiment, bench: Bench) -> Record:
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
    return Record(experiment.key, _conditions(bench), bench.data, time.monotonic() - began, measured, trouble)
