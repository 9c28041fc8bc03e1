"""Measures how fast the product is, beside what people have today: `make bench`."""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from benchmarks.containers import compare_containers
from benchmarks.maps import place_on_maps
from benchmarks.page import RESULTS, write_page
from benchmarks.particles import extract_properties, simulate
from benchmarks.rows import Row, machine
from benchmarks.scoring import packed_crops, score
from benchmarks.training import train


def main() -> None:
    """Measure everything, print it, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="empty folder to draw simulated runs into")
    folder = parser.parse_args().folder
    measures: tuple[Callable[[], list[Row]], ...] = (
        lambda: [extract_properties(), simulate(folder)],
        lambda: score(folder / "scoring"),
        lambda: [train(folder / "scoring")],
        place_on_maps,
    )
    rows = [row for measure in tqdm(measures, desc="measuring", unit="part") for row in measure()]
    containers = compare_containers(packed_crops(folder / "scoring"), folder)
    RESULTS.write_text(
        json.dumps({"machine": machine(), "rows": rows, "containers": containers}, indent=1) + "\n", encoding="utf-8"
    )
    show(rows, f"{machine()['processor']}, {machine()['cores']} cores")
    show(containers, "containers of crops")
    print(f"the same with figures: {write_page()}")


def show(rows: Sequence[Mapping[str, str | float | None]], title: str) -> None:
    """Print rows as a table."""
    table = Table(title=title, title_justify="left")
    for name, value in rows[0].items():
        table.add_column(name, justify="left" if isinstance(value, str) else "right")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    Console(width=140).print(table)


def _cell(value: str | float | None) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) >= 1 else f"{value:.4g}"
    return "–" if value is None else str(value)


if __name__ == "__main__":
    main()
