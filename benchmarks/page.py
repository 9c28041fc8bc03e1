"""The page of the benchmarks: what was measured and kept beside it, as figures and tables in one HTML file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from icecore_dagster.reports.figures.drawing import colours_of, new_figure, plain_axes, png_of
from icecore_dagster.reports.page import data_uri, environment

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FOLDER = Path(__file__).parent
RESULTS, GROWTH = FOLDER / "results.json", FOLDER / "growth.json"
PROJECT, UI, TRAINING = FOLDER / "project.json", FOLDER / "ui.json", FOLDER / "training.json"
PAGE = FOLDER / "results.html"
TEMPLATE = FOLDER / "results.html.j2"
TITLES = {
    "extract_properties": "properties from pixels, beside scikit-image",
    "simulate_labelled": "drawing labelled runs",
    "score_end_to_end_vs_published": "scoring, beside the pipeline of 2023",
    "score_end_to_end_vs_study": "scoring, beside the study's loop",
    "score_rss": "memory of scoring, beside the study's loop",
    "incremental_segment": "one more segment, beside the core again",
    "train_a3": "training A3, beside the study's loop",
    "umap_place": "placing on the map, beside umap-learn",
    "umap_place_trustworthiness": "trustworthiness, beside umap-learn",
    "umap_place_continuity": "continuity, beside umap-learn",
}


def write_page() -> Path:
    """Write the page from what has been measured and kept; a part that was not measured is left out.

    Returns:
        The page.
    """
    found, growth, project, ui, training = map(_kept, (RESULTS, GROWTH, PROJECT, UI, TRAINING))
    slopes = ", ".join(f"{step} {slope:.2f}" for step, slope in growth.get("exponents", {}).items())
    sections = [
        _section(
            "Beside what people have today",
            "make bench",
            "The ratio is above 1 where ours is better.",
            found.get("rows"),
            _ratios,
        ),
        _section(
            "What to pack crops in",
            "make bench",
            "The first is used. Picked are 60 crops from all over the file.",
            found.get("containers"),
        ),
        _section(
            "How it grows",
            "python -m benchmarks.scale.growth",
            f"One segment, each step a process of its own. Exponents of the seconds: {slopes}.",
            growth.get("rows"),
            _growth,
        ),
        _section(
            "One more segment",
            "python -m benchmarks.scale.project",
            "A new segment in an empty project and in one of a hundred segments, through Dagster's queue: runs, rows "
            "of its tables, and seconds of all runs together; the middle one of three segments in each.",
            project.get("rows"),
        ),
        _section(
            "Waiting for Dagster",
            "python -m benchmarks.scale.ui",
            "What the pages of Dagster's UI ask for, and one look of its automation, by the segments registered.",
            ui.get("rows"),
        ),
        _section(
            "A whole training",
            "python -m benchmarks.scale.training",
            "A3 for six classes, ours and by the study's loop, on the same images; "
            f"{training.get('validation', 0):,} others, of other runs, judge it after every epoch. The study's own "
            f"20 epochs, for three classes on a graphics card, took {training.get('study_kwh')} kWh.",
            training.get("rows"),
        ),
    ]
    machine = found.get("machine") or growth.get("machine")
    html = (
        environment()
        .from_string(TEMPLATE.read_text(encoding="utf-8"))
        .render(machine=machine, sections=[section for section in sections if section])
    )
    PAGE.write_text(html, encoding="utf-8")
    return PAGE


def _kept(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _section(
    title: str,
    command: str,
    text: str,
    rows: list[dict] | None,
    figure: Callable[[pd.DataFrame], bytes] | None = None,
) -> dict | None:
    """A part of the page; None where nothing was measured."""
    if not rows:
        return None
    frame = pd.DataFrame(rows)
    return {
        "title": title,
        "command": command,
        "text": text,
        "figure": figure and data_uri(figure(frame)),
        "columns": [str(name).replace("_", " ") for name in frame],
        "rows": [[_cell(value) for value in row] for row in frame.itertuples(index=False)],
    }


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "–" if pd.isna(value) else f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) else "–" if value is None else str(value)


def _ratios(rows: pd.DataFrame) -> bytes:
    """How many times better ours is than the peer, row by row."""
    known = rows[rows["ratio"].notna()][::-1]
    figure = new_figure(10, 0.4 * len(known) + 1)
    axes = figure.subplots()
    axes.barh([TITLES.get(name, name) for name in known["id"]], known["ratio"], color="#1864ab", height=0.6)
    axes.axvline(1, color="#212529", linewidth=1)
    for place, ratio in enumerate(known["ratio"]):
        axes.annotate(f"{ratio:.3g}×", (max(ratio, 1), place), (5, 0), textcoords="offset points", va="center")
    plain_axes(axes, "Times as good as the peer (log)", "")
    axes.set_xscale("log")
    axes.set_xlim(0.5, known["ratio"].max() * 2)
    axes.grid(False, axis="y")
    return png_of(figure)


def _growth(rows: pd.DataFrame) -> bytes:
    """Seconds, memory and disk against the particles of a segment."""
    figure = new_figure(11, 3.8)
    colours = colours_of(rows["step"].unique())
    panels = figure.subplots(1, 3)
    for panel, (column, title) in zip(
        panels,
        (("seconds", "Time (s)"), ("rss_mb", "Peak memory (MB)"), ("stored_mb", "Tables on disk (MB)")),
        strict=True,
    ):
        _curves(panel, rows, column, colours)
        plain_axes(panel, "Particles of the segment", title)
        panel.set_xscale("log")
        panel.set_yscale("log")
    panels[1].set_ylim(100, 10_000)
    panels[0].legend(frameon=False, fontsize=8)
    return png_of(figure)


def _curves(panel: "Axes", rows: pd.DataFrame, column: str, colours: dict[str, str]) -> None:
    for step, of_step in rows.groupby("step", sort=False):
        panel.plot(of_step["particles"], of_step[column], "o-", color=colours[str(step)], markersize=4, label=str(step))
