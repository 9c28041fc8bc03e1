"""The data dictionary in the documentation is the one in the code."""

from icecore_dagster.particles.tables.schemas import TABLES
from icecore_dagster.reports.dictionary import PAGE, tables_page
from icecore_dagster_tests.conftest import REPOSITORY


def test_the_page_in_the_documentation_is_current():
    assert (REPOSITORY / "docs" / PAGE).read_text(encoding="utf-8") == tables_page(), "run `make docs`"


def test_every_column_is_explained():
    page = tables_page()
    for table in TABLES:
        for column in table.columns:
            assert f"| `{column.name}` |" in page
            assert column.meaning
