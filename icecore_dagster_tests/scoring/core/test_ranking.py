from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from icecore_dagster.particles.tables.store import Blocks
from icecore_dagster.scoring.core.ranking import rank_core


def _core() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    ids = ["a_1", "a_2", "a_3", "a_4"]
    predictions = pd.DataFrame({"particle_id": ids, "run": "a", "interest": [0.1, 0.9, 0.5, 0.2], "p_ash": 0.5})
    anomaly = pd.DataFrame({"particle_id": ids, "run": "a", "anomaly_score": [0.3, -0.2, -0.5, 0.2]})
    odd = [0.2, -0.1, -0.4, 0.1]
    lengths_um = [1.0, 2.0, 3.0, 4.0]
    particles = pd.DataFrame({"particle_id": ids, "run": "a", "core_anomaly_score": odd, "length_um": lengths_um})
    return predictions, anomaly, particles


def _in_blocks(table: pd.DataFrame, rows: int) -> Blocks:
    def read(columns: list[str] | None) -> Iterator[pd.DataFrame]:
        wanted = table if columns is None else table[columns]
        return (wanted.iloc[start : start + rows] for start in range(0, max(len(table), 1), rows))

    return read


def _ranked(predictions: pd.DataFrame, anomaly: pd.DataFrame, particles: pd.DataFrame, rows: int = 3) -> pd.DataFrame:
    """The whole ranking of tables that are read, and put together, a few rows at a time."""
    tables = (
        _in_blocks(table, block) for table, block in zip((predictions, anomaly, particles), (2, 3, 5), strict=True)
    )
    return pd.concat(rank_core(*tables, rows=rows), ignore_index=True)


def _odds(interest: float) -> float:
    return np.log(interest / (1 - interest))


def test_the_score_is_log_odds_of_interest_and_how_few_are_as_odd() -> None:
    found = _ranked(*_core()).set_index("particle_id")
    # From the least to the most odd: a_1 a_4 a_2 a_3.
    expected = {
        "a_1": _odds(0.1),
        "a_4": _odds(0.2) - np.log(3 / 4),
        "a_2": _odds(0.9) - np.log(2 / 4),
        "a_3": _odds(0.5) - np.log(1 / 4),
    }
    assert found["rank_score"].to_dict() == pytest.approx(expected)


def test_certainty_is_bounded() -> None:
    predictions, anomaly, particles = _core()
    found = _ranked(predictions.assign(interest=[0.0, 1.0, 0.5, 1.0]), anomaly, particles)
    assert np.isfinite(found["rank_score"]).all()


def test_a_sure_find_of_ordinary_shape_comes_before_odd_dust() -> None:
    n = 5_000
    ids = [f"a_{i}" for i in range(n)]
    rng = np.random.default_rng(0)
    interest, oddness = rng.uniform(0.001, 0.02, n), rng.normal(0, 1, n)
    interest[17], oddness[17] = 0.97, np.quantile(oddness, 0.8)
    interest[18], oddness[18] = 0.02, 9
    ranked = _ranked(
        pd.DataFrame({"particle_id": ids, "interest": interest}),
        pd.DataFrame({"particle_id": ids}),
        pd.DataFrame({"particle_id": ids, "core_anomaly_score": -oddness}),
        rows=1_000,
    )
    assert ranked["particle_id"].tolist()[:2] == ["a_17", "a_18"]


def test_ranks_run_from_one_and_ties_go_by_name() -> None:
    found = _ranked(*_core())
    assert found["rank"].tolist() == [1, 2, 3, 4]
    assert found["particle_id"].tolist() == ["a_2", "a_3", "a_4", "a_1"]


def test_rows_need_not_be_in_one_order_and_every_score_keeps_its_column() -> None:
    predictions, anomaly, particles = _core()
    extra = pd.concat([particles, particles.assign(particle_id=["b_1", "b_2", "b_3", "b_4"])])
    shuffled = _ranked(predictions.iloc[::-1], anomaly.sample(frac=1, random_state=0), extra)
    pd.testing.assert_frame_equal(shuffled, _ranked(predictions, anomaly, particles), check_dtype=False)
    assert list(shuffled.columns) == [
        "rank",
        "particle_id",
        "rank_score",
        "run",
        "core_anomaly_score",
        "length_um",
        "interest",
        "p_ash",
        "anomaly_score",
    ]
    assert shuffled.set_index("particle_id")["length_um"].to_dict() == {"a_1": 1, "a_2": 2, "a_3": 3, "a_4": 4}


def test_the_scale_of_the_core_anomaly_score_does_not_matter() -> None:
    predictions, anomaly, particles = _core()
    stretched = particles.assign(core_anomaly_score=np.sinh(20 * particles["core_anomaly_score"]))
    plain = _ranked(predictions, anomaly, particles)["rank_score"]
    pd.testing.assert_series_equal(_ranked(predictions, anomaly, stretched)["rank_score"], plain)


def test_the_ranking_does_not_depend_on_how_much_is_put_together_at_once() -> None:
    rng = np.random.default_rng(0)
    ids = [f"a_{i}" for i in rng.permutation(200)]
    predictions = pd.DataFrame({"particle_id": ids, "interest": rng.uniform(0, 1, 200).round(1)})
    anomaly = predictions[["particle_id"]].assign(anomaly_score=rng.normal(0, 1, 200))
    particles = predictions[["particle_id"]].assign(core_anomaly_score=rng.normal(0, 1, 200).round(1))
    whole = _ranked(predictions, anomaly, particles, rows=1_000)
    assert whole["rank"].tolist() == list(range(1, 201))
    for rows in (1, 7, 200):
        pd.testing.assert_frame_equal(_ranked(predictions, anomaly, particles, rows=rows), whole)


def test_a_core_without_particles_has_an_empty_ranking() -> None:
    assert list(rank_core(*(_in_blocks(table.head(0), 3) for table in _core()))) == []
    # A stored table without rows gives no block at all.
    assert list(rank_core(*[lambda columns: ()] * 3)) == []


def test_tables_of_different_particles_are_refused() -> None:
    predictions, anomaly, particles = _core()
    with pytest.raises(ValueError, match="4 predictions but 3 anomaly scores"):
        _ranked(predictions, anomaly.head(3), particles)
    with pytest.raises(ValueError, match="particles lacks particle a_4"):
        _ranked(predictions, anomaly, particles.head(3))
    with pytest.raises(ValueError, match="a_1 occurs twice"):
        _ranked(pd.concat([predictions, predictions.head(1)]), anomaly, particles)
    with pytest.raises(ValueError, match="missing"):
        _ranked(predictions.assign(interest=np.nan), anomaly, particles)
