"""Figures of a search: drawn for any number of trials, and what failed is shown too."""

import numpy as np
import pandas as pd
import pytest

from icecore_dagster.reports.figures.models.search import (
    search_history_figure,
    search_importance_figure,
    write_search_figures,
)

PNG = b"\x89PNG"


def trials(n: int, refused: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    accuracy = rng.uniform(0.3, 0.9, n)
    accuracy[n - refused :] = np.nan
    return pd.DataFrame(
        {
            "trial": np.arange(n),
            "state": ["complete"] * (n - refused) + ["pruned"] * refused,
            "architecture": rng.choice(["A3", "A4", "hybrid"], n),
            "learning_rate": 10 ** rng.uniform(-4, -2, n),
            "batch_size": rng.choice([16, 64], n),
            "validation_balanced_accuracy": accuracy,
        }
    )


@pytest.mark.parametrize(("n", "refused"), [(1, 0), (20, 0), (20, 3)])
def test_every_history_is_drawn(n, refused):
    assert search_history_figure(trials(n, refused)).startswith(PNG)


def test_trials_that_were_refused_are_seen():
    assert search_history_figure(trials(20, 3)) != search_history_figure(trials(20, 3).iloc[:17])


def test_a_search_without_result_says_so_in_the_place_of_a_figure():
    nothing = search_history_figure(trials(3, 3))
    assert nothing.startswith(PNG)
    assert len(nothing) < len(search_history_figure(trials(3)))


def test_both_figures_are_written_under_the_name_of_the_study(tmp_path):
    written = write_search_figures(tmp_path, "pollen-12", trials(5), {"learning_rate": 0.7, "architecture": 0.3})
    assert [path.name for path in written] == ["search_pollen-12_history.png", "search_pollen-12_importance.png"]
    assert all(path.read_bytes().startswith(PNG) for path in written)
    assert search_importance_figure({}) != written[1].read_bytes()
