"""A study from beginning to end: its laboratory, its experiments, its page."""

from collections.abc import Collection
from dataclasses import dataclass

from upath import UPath

from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.study.bench import FULL, QUICK, prepare_bench
from icecore_dagster.study.page import write_study_page
from icecore_dagster.study.plan import SECTIONS, study_plan
from icecore_dagster.study.runner import Experiment, Record, StudyError, kept_record, run_experiments


@dataclass(frozen=True)
class StudyDone:
    """What a study left.

    Attributes:
        page: the comparison page; `study.json` lies beside it.
        records: of every experiment that has been measured so far on these particles.
        open: keys of those that have not, or have failed.
        command: that makes the page again.
    """

    page: UPath
    records: tuple[Record, ...]
    open: tuple[str, ...]
    command: str


def run_study(
    lab: Laboratory, *, quick: bool = False, only: Collection[str] = (), again: bool = False, country: str = "DNK"
) -> StudyDone:
    """Measure what has not been measured yet, and write the page of all that has.

    Args:
        lab: the user's laboratory; drawn particles and results of the study go into `<data>/study/<size>`.
        quick: a small one of some minutes instead of a night.
        only: keys of experiments, or the beginning of several; all if empty.
        again: measure also what has been measured.
        country: ISO code of the country whose electricity is used.

    Raises:
        StudyError: no experiment is called so.
    """
    size = QUICK if quick else FULL
    plan = study_plan()
    chosen = chosen_experiments(plan, only)
    bench = prepare_bench(lab, size, country)
    run_experiments(bench, chosen, again=again)
    stored = {experiment.key: kept_record(bench, experiment.key) for experiment in plan}
    records = tuple(record for record in stored.values() if record)
    page = bench.lab.store.report("study.html")
    command = "icecore study --quick" if quick else "icecore study"
    write_study_page(bench, plan, records, SECTIONS, page, command)
    return StudyDone(
        page, records, tuple(key for key, record in stored.items() if not record or record.trouble), command
    )


def chosen_experiments(plan: Collection[Experiment], only: Collection[str]) -> list[Experiment]:
    """The experiments whose keys are, or start with, one of the given; all if none is given.

    Raises:
        StudyError: one of the given names nothing.
    """
    for wanted in only:
        if not any(_is(experiment.key, wanted) for experiment in plan):
            raise StudyError(f"no experiment {wanted!r}; `icecore study --list` names them")
    return [one for one in plan if not only or any(_is(one.key, wanted) for wanted in only)]


def _is(key: str, wanted: str) -> bool:
    return key == wanted or key.startswith(f"{wanted.rstrip('/')}/")
