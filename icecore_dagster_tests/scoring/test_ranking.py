import numpy as np
import pandas as pd
import pytest

from icecore_dagster.scoring.ranking import rank_core


def _core() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    ids = ["a_1", "a_2", "a_3", "a_4"]
    predictions = pd.DataFrame({"particle_id": ids, "run": "a", "interest": [0.1, 0.9, 0.5, 0.2], "p_ash": 0.5})
    anomaly = pd.DataFrame({"particle_id": ids, "run": "a", "anomaly_score": [0.2, -0.1, -0.4, 0.1]})
    particles = pd.DataFrame({"particle_id": ids, "run": "a", "length_um": [1.0, 2.0, 3.0, 4.0]})
    return predictions, anomaly, particles


def test_the_score_is_the_mean_of_both_percentile_ranks() -> None:
    found = rank_core(*_core()).set_index("particle_id")
    # Anomaly from least to most: a_1 a_4 a_2 a_3; interest: a_1 a_4 a_3 a_2.
    expected = {"a_1": (0.25 + 0.25) / 2, "a_4": (0.5 + 0.5) / 2, "a_2": (0.75 + 1) / 2, "a_3": (1 + 0.75) / 2}
    assert found["rank_score"].to_dict() == pytest.approx(expected)


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
        "anomaly_score",
    ]
    assert shuffled.set_index("particle_id")["length_um"].to_dict() == {"a_1": 1, "a_2": 2, "a_3": 3, "a_4": 4}


def test_the_scale_of_a_score_does_not_matter() -> None:
    predictions, anomaly, particles = _core()
    stretched = anomaly.assign(anomaly_score=np.sinh(20 * anomaly["anomaly_score"]))
    assert rank_core(predictions, stretched, particles)["particle_id"].tolist() == ["a_2", "a_3", "a_4", "a_1"]


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
