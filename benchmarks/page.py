"""The page of the benchmarks: what was measured and kept beside it, as figures and tables in one HTML file."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from icecore_dagster.reports.figures.drawing import colours_of, new_figure, plain_axes, png_of
from icecore_dagster.reports.page import data_uri, environment

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FOLDER = Path(__file__).parent
RESULTS, GROWTH = FOLDER / "results.json", FOLDER / "growth.json"
PROJECT, TRAINING = FOLDER / "project.json", FOLDER / "training.json"
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
    found = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    growth = json.loads(GROWTH.read_text(encoding="utf-8")) if GROWTH.exists() else {}
    sections = []
    if found.get("rows"):
        rows = pd.DataFrame(found["rows"])
        sections.append(
            {
                "title": "Beside what people have today",
                "command": "make bench",
                "text": "The ratio is above 1 where ours is better.",
                "figure": data_uri(_ratios(rows)),
                **_shown(rows),
            }
        )
    if found.get("containers"):
        sections.append(
            {
                "title": "What to pack crops in",
                "command": "make bench",
                "text": "The first is used. Picked are 60 crops from all over the file.",
                "figure": None,
                **_shown(pd.DataFrame(found["containers"])),
            }
        )
    if growth.get("rows"):
        rows = pd.DataFrame(growth["rows"])
        slopes = ", ".join(f"{step} {slope:.2f}" for step, slope in growth["exponents"].items())
        sections.append(
            {
                "title": "How it grows",
                "command": "python -m benchmarks.scale.growth",
                "text": f"One segment, each step a process of its own. Exponents of the seconds: {slopes}.",
                "figure": data_uri(_growth(rows)),
                **_shown(rows),
            }
        )
    project = json.loads(PROJECT.read_text(encoding="utf-8")) if PROJECT.exists() else {}
    if project.get("rows"):
        sections.append(
            {
                "title": "One more segment",
                "command": "python -m benchmarks.scale.project",
                "text": "A new segment in an empty project and in one of a hundred segments, through Dagster's queue: "
                "runs, rows of its tables, and seconds of all runs together; the middle one of three segments in each.",
                "figure": None,
                **_shown(pd.DataFrame(project["rows"])),
            }
        )
    training = json.loads(TRAINING.read_text(encoding="utf-8")) if TRAINING.exists() else {}
    if training.get("rows"):
        sections.append(
            {
                "title": "A whole training",
                "command": "python -m benchmarks.scale.training",
                "text": f"A3 and the study's loop on the same images, with {training['validation']:,} others, of other "
                "runs, to judge it: accuracy of the epoch that is kept, of the study's loop that of its best. The "
                f"study's own 20 epochs took {training['study_kwh']} kWh.",
                "figure": None,
                **_shown(pd.DataFrame(training["rows"])),
            }
        )
    machine = found.get("machine") or growth.get("machine")
    html = environment().from_string(TEMPLATE.read_text(encoding="utf-8")).render(machine=machine, sections=sections)
    PAGE.write_text(html, encoding="utf-8")
    return PAGE


def _shown(frame: pd.DataFrame) -> dict[str, list]:
    return {
        "columns": [str(name).replace("_", " ") for name in frame],
        "rows": [[_cell(value) for value in row] for row in frame.itertuples(index=False)],
    }


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "–" if pd.isna(value) else f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"
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
