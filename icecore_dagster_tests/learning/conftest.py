import pytest

from icecore_dagster_tests.learning.drawn_shapes import DrawnSet, draw_set


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> DrawnSet:
    return draw_set(tmp_path_factory.mktemp("drawn") / "tensors", particles=150)
