"""The simulator's page as HTML, and its numbers as JSON."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from icecore_dagster.learning.anomaly.familiarity import ORDINARY_SHARE
from icecore_dagster.learning.metrics import ClassificationMetrics
from icecore_dagster.learning.realism.difficulty import PUBLISHED, PUBLISHED_RECALLS
from icecore_dagster.learning.realism.validation import (
    COMPARED,
    MEAN,
    NETWORKS,
    TREES,
    RealismFindings,
    RealParticle,
)
from icecore_dagster.particles.labels import LABEL_KEYS, TASKS
from icecore_dagster.particles.tables.store import atomic_files
from icecore_dagster.reports.figures.drawing import class_colour, class_title, property_title, short_class_title
from icecore_dagster.reports.figures.models.learning import confusion_figure
from icecore_dagster.reports.page import data_uri, environment
from icecore_dagster.reports.simulator.figures import (
    IN_FOCUS_UM,
    PUBLISHED_HISTOGRAMS,
    borders,
    edge_profiles,
    property_histograms,
    side_by_side,
)
from icecore_dagster.reports.wording import count, number, share
from icecore_dagster.simulation.population import ANOMALY
from icecore_dagster.simulation.shapes.raster import PIXEL_UM

TEMPLATE = "simulator.html.j2"
_SUM = "sum_intensity_grey"
_SMALL_SUM = 1e5


def write_realism_page(findings: RealismFindings, page: Path, command: str) -> None:
    """Write the page, and its numbers beside it as `<name>.json`, both or neither.

    Args:
        findings: what was measured.
        page: HTML file to write.
        command: how to make the page again.
    """
    with atomic_files([page, page.with_suffix(".json")]) as (html, numbers):
        html.write_text(render_realism_page(findings, command), encoding="utf-8")
        numbers.write_text(json.dumps(realism_numbers(findings, command), indent=1), encoding="utf-8")


def realism_numbers(findings: RealismFindings, command: str) -> dict[str, Any]:
    """Everything that was measured, as JSON can hold it."""
    return {
        "command": command,
        "particles": findings.config.particles,
        "difficulty": [
            {"task": row["task"], "measure": row["measure"], "seeds": row["values"], "study": row["study"]}
            for row in _difficulty(findings)
        ],
        "histograms": [
            {"property": row["title"], "mode": row["mode_value"], "p01_p99": row["range_values"]}
            for row in _histograms(findings)
        ],
        "sum_intensity_below_1e5": float((_of_study_classes(findings)[_SUM] < _SMALL_SUM).mean()),
        "network_test": {
            name: [s.networks[name].balanced_accuracy for s in findings.seeds if s.networks] for name in NETWORKS
        },
        "anomalies_strange": [s.anomalies_strange for s in findings.seeds],
        "anomaly_auc": [s.anomaly_auc for s in findings.seeds],
        "recognised": [{"seed": s.seed, "particles": s.recognised.to_dict(orient="records")} for s in findings.seeds],
        "seconds": [s.seconds for s in findings.seeds],
    }


def render_realism_page(findings: RealismFindings, command: str) -> str:
    """The page: every image inside it, nothing fetched.

    Args:
        findings: what was measured.
        command: how to make the page again.

    Returns:
        An HTML document.
    """
    compared = _of_study_classes(findings)
    trained = [s.networks for s in findings.seeds if s.networks]
    networks = [
        f"{name} {_spread([of_seed[name].balanced_accuracy for of_seed in trained])}" for name in NETWORKS if trained
    ]
    return (
        environment()
        .get_template(TEMPLATE)
        .render(
            command=command,
            drawn=count(len(_properties(findings))),
            real=len(findings.real),
            seeds=[s.seed for s in findings.seeds],
            facts=_facts(findings),
            sheets=_sheets(findings),
            figures={
                "edges": data_uri(edge_profiles(findings.samples, findings.real)),
                "borders": data_uri(borders(findings.samples, findings.real)),
                "histograms": data_uri(property_histograms(compared)),
                "confusion": data_uri(confusion_figure(_all_confusions(findings))),
            },
            in_focus=f"{IN_FOCUS_UM:g}",
            histograms=_histograms(findings),
            below=share(float((compared[_SUM] < _SMALL_SUM).mean())),
            difficulty=_difficulty(findings),
            networks=", ".join(networks),
            best=NETWORKS[-1],
            models=", ".join((*NETWORKS, TREES)),
            anomalies=_anomalies(findings),
            recognised=_recognised(findings),
        )
    )


def _properties(findings: RealismFindings) -> pd.DataFrame:
    return pd.concat([s.properties for s in findings.seeds], ignore_index=True)


def _of_study_classes(findings: RealismFindings) -> pd.DataFrame:
    """Properties of the classes that the study's histograms hold; its labelled set had no contamination."""
    properties = _properties(findings)
    return properties[properties["label"].isin(TASKS["six_class"].class_of)].reset_index(drop=True)


def _spread(values: list[float], digits: int = 3) -> str:
    """Mean and sample standard deviation."""
    mean = f"{np.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.{digits}f}"


def _facts(findings: RealismFindings) -> list[tuple[str, str]]:
    facts = [("Particles a set", count(findings.config.particles))]
    for task in PUBLISHED:
        held = sum(PUBLISHED[task].holds(s.difficulty[task]) for s in findings.seeds)
        facts.append((f"As hard as the study's, {task}", f"{held} of {len(findings.seeds)} sets"))
    named = [s.recognised for s in findings.seeds if len(s.recognised)]
    if named:
        for model in (*NETWORKS, TREES, MEAN):
            right = [int((table[model] == table["label"]).sum()) for table in named]
            facts.append((f"Real named by {model}", f"{', '.join(map(str, right))} of {len(findings.real)}"))
    return facts


def _sheets(findings: RealismFindings) -> list[dict[str, str]]:
    sheets = []
    for label in (*LABEL_KEYS, ANOMALY):
        of_label: list[RealParticle | None] = [particle for particle in findings.real if particle.label == label]
        title = class_title(label) if label in LABEL_KEYS else "What no class covers (drawn only)"
        for particle in of_label or [None]:
            png = side_by_side(particle, findings.samples[label], PIXEL_UM)
            sheets.append({"title": title, "colour": class_colour(label), "png": data_uri(png)})
    return sheets


def _histograms(findings: RealismFindings) -> list[dict[str, Any]]:
    properties, rows = _of_study_classes(findings), []
    for column in COMPARED:
        published = PUBLISHED_HISTOGRAMS[column]
        low, high = (float(v) for v in properties[column].quantile([0.01, 0.99]))
        counts, edges = np.histogram(properties[column], 100)
        highest = int(counts.argmax())
        mode = float(edges[highest] + edges[highest + 1]) / 2
        rows.append(
            {
                "title": property_title(column),
                "mode": number(mode),
                "mode_value": mode,
                "range": f"{number(low)}–{number(high)}",
                "range_values": [low, high],
                "published_mode": "" if published.mode is None else number(published.mode),
                "published_range": f"{number(published.low)}–{number(published.high)}",
            }
        )
    return rows


def _difficulty(findings: RealismFindings) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []

    def add(task: str, measure: str, values: list[float], study: float, within: float | None = None) -> None:
        near = all(abs(value - study) <= within for value in values) if within is not None else None
        rows.append(
            {
                "task": task,
                "measure": measure,
                "values": values,
                "study": study,
                "seeds": [f"{value:.3f}" for value in values],
                "mean": _spread(values),
                "published": f"{study:.3f}",
                "within": "" if within is None else f"±{within:.3f}: {'yes' if near else 'no'}",
            }
        )

    for task, published in PUBLISHED.items():
        metrics = [s.difficulty[task] for s in findings.seeds]
        add(task, "accuracy", [m.accuracy for m in metrics], published.accuracy, published.accuracy_within)
        recalls = [m.balanced_accuracy for m in metrics]
        add(task, "macro recall", recalls, published.macro_recall, published.macro_recall_within)
    six = [s.difficulty["six_class"] for s in findings.seeds]
    for label, study in PUBLISHED_RECALLS.items():
        add("six_class", f"recall of {short_class_title(label)}", [m.by_class[label].recall or 0.0 for m in six], study)
    add("six_class", "basaltic called felsic", [_called(m, "grim", "camp") for m in six], 0.32)
    add("six_class", "Q. robur called Q. suber", [_called(m, "qrob", "qsub") for m in six], 0.17)
    add("six_class", "Q. suber called Q. robur", [_called(m, "qsub", "qrob") for m in six], 0.17)
    return rows


def _called(metrics: ClassificationMetrics, true: str, named: str) -> float:
    row = metrics.confusion[metrics.classes.index(true)]
    return row[metrics.classes.index(named)] / max(sum(row), 1)


def _all_confusions(findings: RealismFindings) -> ClassificationMetrics:
    """The six-class metrics of the first seed with the confusions of all seeds added up."""
    six = [s.difficulty["six_class"] for s in findings.seeds]
    summed = np.sum([m.confusion for m in six], axis=0)
    return six[0].model_copy(update={"confusion": tuple(tuple(int(n) for n in row) for row in summed)})


def _anomalies(findings: RealismFindings) -> str:
    known = [s for s in findings.seeds if np.isfinite(s.anomaly_auc)]
    if not known:
        return ""
    strange = [100 * s.anomalies_strange for s in known]
    return (
        f"Of drawn anomalies that no class covers, {min(strange):.0f}–{max(strange):.0f} % are stranger than "
        f"{ORDINARY_SHARE:.0%} of the held-out known particles (ROC AUC {_spread([s.anomaly_auc for s in known])})."
    )


def _recognised(findings: RealismFindings) -> list[dict[str, Any]]:
    tables = [s.recognised for s in findings.seeds if len(s.recognised)]
    rows = []
    for i, particle in enumerate(findings.real if tables else ()):
        cells = []
        for table in tables:
            one = table.iloc[i]
            lines = [
                _named_by(model, one[model], one[f"p_{model}"], one["label"]) for model in (*NETWORKS, TREES, MEAN)
            ]
            strange = float(one["strangeness"])
            lines.append({"text": f"strange {strange:.2f}", "right": strange <= ORDINARY_SHARE})
            cells.append(lines)
        rows.append({"name": particle.name, "truth": short_class_title(particle.label), "cells": cells})
    return rows


def _named_by(model: str, named: str, p_truth: float, truth: str) -> dict[str, Any]:
    """A line of a cell: the probability of the truth, and what the particle is called where that is something else."""
    right = named == truth
    return {"text": f"{model} {p_truth:.2f}" + ("" if right else f": {short_class_title(named)}"), "right": right}
