"""The reference study again, as one asset: its page is a file, its figures stand here."""

import dagster as dg
import pandas as pd
from pydantic import Field

from icecore_dagster.orchestration.assets.declare import OWNERS, TRAINING_POOL
from icecore_dagster.orchestration.metadata import Stopwatch, numbers, picture, stored_at, table_head
from icecore_dagster.orchestration.resources import LaboratoryResource
from icecore_dagster.reports.figures.study import comparison_figure


class StudyConfig(dg.Config):
    """How much of the study is measured."""

    quick: bool = Field(default=True, description="A small study of some minutes instead of a night")
    only: list[str] = Field(
        default=[], description="Keys of experiments, or beginnings such as networks/pollen; all if empty"
    )
    again: bool = Field(default=False, description="Measure also what has been measured on these particles")


@dg.asset(
    group_name="study",
    owners=OWNERS,
    kinds={"html"},
    code_version="1",
    pool=TRAINING_POOL,
    description="Every figure of the 2021 study and its follow-up measured here, beside the published one. Reads the "
    "labelled sources itself, into a folder of its own.",
)
def study_comparison(
    context: dg.AssetExecutionContext, config: StudyConfig, laboratory: LaboratoryResource
) -> dg.MaterializeResult:
    """Measure what has not been measured, and write the comparison page."""
    # The experiments import much that whoever only looks at assets should not wait for.
    from icecore_dagster.study.command import run_study
    from icecore_dagster.study.page import compared, study_rows

    watch = Stopwatch()
    done = run_study(
        laboratory.open(), quick=config.quick, only=config.only, again=config.again, country=laboratory.country
    )
    rows = study_rows(done.records, done.command)
    table = pd.DataFrame(rows)[["task", "model", "metric", "ours", "low", "high", "published", "data", "n"]]
    failed = {record.experiment: record.trouble for record in done.records if record.trouble}
    return dg.MaterializeResult(
        metadata={
            **numbers({"figures": len(rows), "experiments not measured yet": len(done.open)}),
            **numbers({f"failed: {key}": why for key, why in failed.items()}),
            **watch.facts,
            "ours beside published": picture(comparison_figure(compared(rows)), "ours beside published"),
            "table": table_head(table[table["published"].notna()], rows=len(table)),
            "page": stored_at(done.page),
        }
    )
