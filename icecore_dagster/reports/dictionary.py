"""The data dictionary: every table's columns with units and meanings, printed from their declarations."""

from pathlib import Path

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
