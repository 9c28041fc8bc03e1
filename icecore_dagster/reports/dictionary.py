"""What the documentation lists, printed from the declarations: every table's columns, and every network."""

from pathlib import Path

from icecore_dagster.learning.networks.architectures import ARCHITECTURES, Architecture, parameter_count
from icecore_dagster.particles.labels import TASKS
from icecore_dagster.particles.tables.schemas import TABLES, Column, Table

_HEAD = """# Tables

Every table is Parquet below `data/results/tables/`: `<table>/<core>/<segment>.parquet`, `<table>/<core>.parquet`, or
`<table>/<table>.parquet`. This page is printed by `make docs` from the declarations in
`icecore_dagster/particles/tables/schemas.py`; a table is cast to its declaration when it is written, and a blocking
check holds it against the bounds.

A column `p_*` stands for one column a class. The note in square brackets says how well our formula is known to give the
instrument's value: exact or unpublished.
"""


PAGE = "tables.md"


def tables_page() -> str:
    """The page `docs/tables.md`."""
    return "\n".join([_HEAD, *(_section(table) for table in TABLES)])


def _section(table: Table) -> str:
    head = f"## {table.name}\n\nA row is {table.row}.\n"
    columns = "| column | unit | type | bounds | meaning |\n|---|---|---|---|---|"
    return "\n".join([head, columns, *(_row(column) for column in table.columns), ""])


def _row(column: Column) -> str:
    low, high = ("" if bound is None else f"{bound:g}" for bound in (column.low, column.high))
    bounds = f"{low} … {high}" if low or high else ""
    notes = ", ".join(note for note, holds in (("may be empty", column.nullable), ("unique", column.unique)) if holds)
    meaning = column.meaning.replace("|", "\\|") + (f" ({notes})" if notes else "")
    return f"| `{column.name}` | {column.unit} | {column.type} | {bounds} | {meaning} |"


def write_tables_page(folder: Path) -> None:
    """Write the page into a folder of documentation."""
    (folder / PAGE).write_text(tables_page(), encoding="utf-8")


NETWORKS_PAGE = "architectures.md"
_TABLE_BEGINS, _TABLE_ENDS = "<!-- printed by `make docs` -->\n", "<!-- end of what is printed -->\n"


def networks_table() -> str:
    """Every architecture with its layers and the number of weights that it learns, as Markdown."""
    outputs = sorted({len(task.classes) for task in TASKS.values()})
    head = ["key", "image", "properties", "embedding", *(f"parameters, {n} classes" for n in outputs), "published"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for key, plan in ARCHITECTURES.items():
        counts = [f"{parameter_count(key, n):,}" for n in outputs]
        published = f"{plan.published_parameters:,} ({plan.published_classes})" if plan.published_parameters else "–"
        lines.append("| " + " | ".join([f"`{key}`", *_layers(plan), *counts, published]) + " |")
    return "\n".join(lines) + "\n"


def _layers(plan: Architecture) -> tuple[str, str, str]:
    blocks = [f"{side}×{side}×{channels}" for channels, side in plan.convolutions]
    blocks += [f"{side}×{side}×{channels}" + f" /{stride}" * (stride > 1) for channels, side, stride in plan.strided]
    norm = "" if plan.dropout is None else f" + norm, dropout {plan.dropout:g}"
    image = f"{plan.backbone or 'conv ' + ', '.join(blocks)}; dense {plan.dense}{norm}"
    branch = plan.measured
    if branch is None:
        return image, "–", str(plan.dense)
    chain = " → ".join(map(str, (len(branch.features), *branch.units)))
    return image, f"{chain}, dropout {branch.dropout:g}; joined {branch.joined}", str(branch.joined)


def write_networks_table(folder: Path) -> None:
    """Put the table into its page in a folder of documentation; the rest of the page is left as it is."""
    page = folder / NETWORKS_PAGE
    before, rest = page.read_text(encoding="utf-8").split(_TABLE_BEGINS)
    after = rest.split(_TABLE_ENDS)[1]
    page.write_text(before + _TABLE_BEGINS + networks_table() + _TABLE_ENDS + after, encoding="utf-8")
