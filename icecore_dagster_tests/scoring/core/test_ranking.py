import numpy as np
import pandas as pd
import pytest

from icecore_dagster.scoring.core.ranking import rank_core


def _core() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    ids = ["a_1", "a_2", "a_3", "a_4"]
    predictions = pd.DataFrame({"particle_id": ids, "run": "a", "interest": [0.1, 0.9, 0.5, 0.2], "p_ash": 0.5})
    anomaly = pd.DataFrame({"particle_id": ids, "run": "a", "core_anomaly_score": [0.2, -0.1, -0.4, 0.1]})
    particles = pd.DataFrame({"particle_id": ids, "run": "a", "length_um": [1.0, 2.0, 3.0, 4.0]})
    return predictions, anomaly, particles


def _odds(interest: float) -> float:
    return np.log(interest / (1 - interest))


def test_the_score_is_log_odds_of_interest_and_how_few_are_as_odd() -> None:
    found = rank_core(*_core()).set_index("particle_id")
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
    found = rank_core(predictions.assign(interest=[0.0, 1.0, 0.5, 1.0]), anomaly, particles)
    assert np.isfinite(found["rank_score"]).all()


def test_a_sure_find_of_ordinary_shape_comes_before_odd_dust() -> None:
    n = 5_000
    ids = [f"a_{i}" for i in range(n)]
    rng = np.random.default_rng(0)
    interest, oddness = rng.uniform(0.001, 0.02, n), rng.normal(0, 1, n)
    interest[17], oddness[17] = 0.97, np.quantile(oddness, 0.8)
    interest[18], oddness[18] = 0.02, 9
    ranked = rank_core(
        pd.DataFrame({"particle_id": ids, "interest": interest}),
        pd.DataFrame({"particle_id": ids, "core_anomaly_score": -oddness}),
        pd.DataFrame({"particle_id": ids}),
    )
    assert ranked["particle_id"].tolist()[:2] == ["a_17", "a_18"]


def test_ranks_run_from_one_and_ties_go_by_name() -> None:
    found = rank_core(*_core())
    assert found["rank"].tolist() == [1, 2, 3, 4]
    assert found["particle_id"].tolist() == ["a_2", "a_3", "a_4", "a_1"]


def test_rows_need_not_be_in_one_order_and_every_score_keeps_its_column() -> None:
    predictions, anomaly, particles = _core()
    extra = pd.concat([particles, particles.assign(particle_id=["b_1", "b_2", "b_3", "b_4"])])
    shuffled = rank_core(predictions.iloc[::-1], anomaly.sample(frac=1, random_state=0), extra)
    pd.testing.assert_frame_equal(shuffled, rank_core(predictions, anomaly, particles), check_dtype=False)
    assert list(shuffled.columns) == [
        "rank",
        "particle_id",
        "rank_score",
        "run",
        "length_um",
        "interest",
        "p_ash",
        "core_anomaly_score",
    ]
    assert shuffled.set_index("particle_id")["length_um"].to_dict() == {"a_1": 1, "a_2": 2, "a_3": 3, "a_4": 4}


def test_the_scale_of_the_core_anomaly_score_does_not_matter() -> None:
    predictions, anomaly, particles = _core()
    stretched = anomaly.assign(core_anomaly_score=np.sinh(20 * anomaly["core_anomaly_score"]))
    plain = rank_core(predictions, anomaly, particles)["rank_score"]
    pd.testing.assert_series_equal(rank_core(predictions, stretched, particles)["rank_score"], plain)


def test_a_core_without_particles_has_an_empty_ranking() -> None:
    assert len(rank_core(*(table.head(0) for table in _core()))) == 0


def test_tables_of_different_particles_are_refused() -> None:
    predictions, anomaly, particles = _core()
    with pytest.raises(ValueError, match="4 predictions but 3 anomaly scores"):
        rank_core(predictions, anomaly.head(3), particles)
    with pytest.raises(ValueError, match="particles lacks particle a_4"):
        rank_core(predictions, anomaly, particles.head(3))
    with pytest.raises(ValueError, match="a_1 occurs twice"):
        rank_core(pd.concat([predictions, predictions.head(1)]), anomaly, particles)
    with pytest.raises(ValueError, match="missing"):
        rank_core(predictions.assign(interest=np.nan), anomaly, particles)
