"""The table at the end of the demonstration holds the first candidates against the truth."""

import pandas as pd
import pytest

from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.reports.summary import core_summary

RUN = "GRIP_3046_0_20_1"


@pytest.fixture
def lab(tmp_path) -> Laboratory:
    lab = Laboratory.at(tmp_path)
    distribution = pd.DataFrame(
        {
            "core": "GRIP_3046",
            "segment": "0_20",
            "replicate": pd.array([1, 1, None, None], dtype="Int64"),
            "class": ["dust", "camp", "dust", "camp"],
            "count": [28, 2, 28, 2],
        }
    )
    ranking = pd.DataFrame({"particle_id": [f"{RUN}_{n}" for n in range(30)], "run": RUN})
    for name, frame in (("class_distribution", distribution), ("anomaly_ranking", ranking)):
        target = lab.store.table(name, "GRIP_3046")
        target.parent.mkdir(parents=True)
        frame.to_parquet(str(target))
    return lab


def test_a_simulated_core_is_held_against_the_truth(lab):
    lab.truth.mkdir()
    labels = ["camp", "anomaly", "qrob", *["dust"] * 20, *["cont"] * 6, "grim"]
    truth = pd.DataFrame({"run": RUN, "particle_number": range(30), "label": labels})
    truth.to_parquet(lab.truth / f"{RUN}.parquet")
    (row,) = core_summary(lab, ["GRIP_3046"])
    assert row == {
        "core": "GRIP_3046",
        "particles": "30",
        "camp": "2",
        "first candidate": f"{RUN}_0",
        "found in first 20": "3 of 4",
    }


def test_the_truth_of_real_ice_is_unknown(lab):
    (row,) = core_summary(lab, ["GRIP_3046"])
    assert row["found in first 20"] == "unknown"
