"""The data dictionary in the documentation is the one in the code."""

from icecore_dagster.particles.tables.schemas import TABLES
from icecore_dagster.reports.dictionary import (
    NETWORKS_PAGE,
    PAGE,
    networks_table,
    tables_page,
    write_networks_table,
)
from icecore_dagster_tests.conftest import REPOSITORY


def test_the_page_in_the_documentation_is_current():
    assert (REPOSITORY / "docs" / PAGE).read_text(encoding="utf-8") == tables_page(), "run `make docs`"


def test_every_column_is_explained():
    page = tables_page()
    for table in TABLES:
        for column in table.columns:
            assert f"| `{column.name}` |" in page
            assert column.meaning


def test_the_table_of_networks_in_the_documentation_is_current():
    page = (REPOSITORY / "docs" / NETWORKS_PAGE).read_text(encoding="utf-8")
    assert networks_table() in page, "run `make docs`"


def test_the_table_of_networks_is_put_into_its_place_alone(tmp_path):
    page = (REPOSITORY / "docs" / NETWORKS_PAGE).read_text(encoding="utf-8")
    (tmp_path / NETWORKS_PAGE).write_text(page.replace("304,326", "1"), encoding="utf-8")
    write_networks_table(tmp_path)
    assert (tmp_path / NETWORKS_PAGE).read_text(encoding="utf-8") == page
