"""The comparison page: every figure beside the published one, and the same rows as JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from upath import UPath

from icecore_dagster.particles.tables.store import atomic_files
from icecore_dagster.reports.figures.study import Compared, comparison_figure
from icecore_dagster.reports.page import data_uri, environment
from icecore_dagster.reports.wording import UNKNOWN, count, interval, number
from icecore_dagster.study.bench import Bench
from icecore_dagster.study.measurement import Record
from icecore_dagster.study.published import PUBLISHED
from icecore_dagster.study.runner import Experiment

TEMPLATE = "study.html.j2"


@dataclass(frozen=True)
class Section:
    """One subject of the page.

    Attributes:
        title: in words.
        experiments: keys start with one of these.
    """

    title: str
    experiments: tuple[str, ...]


def study_rows(records: Sequence[Record], command: str) -> list[dict[str, Any]]:
    """Every figure as JSON can hold it.

    Args:
        records: what was measured.
        command: that runs the whole study; that of one row adds `--only`.

    Returns:
        id, task, model, metric, unit, ours, low, high, published, source, data, n, command and note of each.
    """
    rows = []
    for record in records:
        for one in record.measurements:
            known = PUBLISHED.get(one.id)
            rows.append(
                {
                    "id": one.id,
                    "task": one.task or None,
                    "model": one.model,
                    "metric": one.metric,
                    "unit": one.unit or None,
                    "ours": one.ours,
                    "low": one.low,
                    "high": one.high,
                    "published": known.value if known else None,
                    "source": known.source if known else None,
                    "data": record.data,
                    "n": one.n,
                    "command": f"{command} --only {record.experiment}",
                    "note": "; ".join(part for part in (one.note, known.remark if known else "") if part),
                }
            )
    return rows


def write_study_page(
    bench: Bench,
    experiments: Sequence[Experiment],
    records: Sequence[Record],
    sections: Sequence[Section],
    page: UPath,
    command: str,
) -> None:
    """Write the page, and `study.json` beside it, both or neither."""
    rows = study_rows(records, command)
    with atomic_files([page, page.with_name("study.json")]) as (html, numbers):
        html.write_text(_render(bench, experiments, records, sections, rows, command), encoding="utf-8")
        numbers.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def _render(
    bench: Bench,
    experiments: Sequence[Experiment],
    records: Sequence[Record],
    sections: Sequence[Section],
    rows: list[dict[str, Any]],
    command: str,
) -> str:
    titles = {experiment.key: experiment.title for experiment in experiments}
    of_experiment: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        of_experiment.setdefault(row["command"].rsplit(" ", 1)[1], []).append(row)
    shown = []
    for section in sections:
        keys = [key for key in of_experiment if key.startswith(section.experiments)]
        if keys:
            members = [row for key in keys for row in of_experiment[key]]
            shown.append(
                {
                    "title": section.title,
                    "anchor": section.title.lower().replace(" ", "-"),
                    "figure": _figure(members),
                    "experiments": [
                        {
                            "title": titles.get(key, key),
                            "command": of_experiment[key][0]["command"],
                            "rows": [_worded(row) for row in of_experiment[key]],
                        }
                        for key in keys
                    ],
                }
            )
    measured = {record.experiment for record in records}
    return (
        environment()
        .get_template(TEMPLATE)
        .render(
            command=command,
            data=bench.data,
            sections=shown,
            facts=_facts(bench, experiments, records, rows),
            troubles=[(record.experiment, record.trouble) for record in records if record.trouble],
            waiting=[(titles[key], f"{command} --only {key}") for key in titles if key not in measured],
        )
    )


def _facts(
    bench: Bench, experiments: Sequence[Experiment], records: Sequence[Record], rows: list[dict[str, Any]]
) -> list[tuple[str, str]]:
    particles = [row["ours"] for row in rows if row["id"] == "labelled.particles"]
    hours = sum(record.seconds for record in records) / 3600
    return [
        ("Labelled particles", f"{count(particles[0]) if particles else UNKNOWN} {bench.data}"),
        ("Figures", count(len(rows))),
        ("with a published one", count(sum(row["published"] is not None for row in rows))),
        ("Experiments", f"{sum(not r.trouble for r in records)} of {len(experiments)}"),
        ("Time measured", f"{number(hours)} h"),
    ]


def _figure(rows: list[dict[str, Any]]) -> str | None:
    """Shares with a published counterpart as dots; None where there are none."""
    shares = compared(rows)
    return data_uri(comparison_figure(shares)) if shares else None


def compared(rows: Sequence[dict[str, Any]]) -> list[Compared]:
    """Those rows of `study_rows` that are shares and have a published counterpart."""
    return [
        Compared(_short(row), row["ours"], row["low"], row["high"], row["published"])
        for row in rows
        if row["published"] is not None and row["unit"] is None and 0 <= row["published"] <= 1
    ]


def _short(row: dict[str, Any]) -> str:
    return " · ".join(part for part in ((row["task"] or "").replace("_", " "), row["model"], row["metric"]) if part)


def _worded(row: dict[str, Any]) -> dict[str, str]:
    return {
        "task": (row["task"] or "").replace("_", " "),
        "model": row["model"],
        "metric": row["metric"],
        "ours": _quantity(row["ours"], row["unit"]),
        "interval": interval(row["low"], row["high"]),
        "published": "not given" if row["published"] is None else _quantity(row["published"], row["unit"]),
        "source": row["source"] or "",
        "n": count(row["n"]) if row["n"] is not None else "",
        "data": row["data"],
        "note": row["note"],
        "id": row["id"],
    }


def _quantity(value: float, unit: str | None) -> str:
    """A count in full, anything else to three digits with its unit on the same line."""
    if unit is None and value >= 1 and float(value).is_integer():
        return count(value)
    return number(value) + (f"\u00a0{unit.replace(' ', chr(0xA0))}" if unit else "")
