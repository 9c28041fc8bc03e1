"""A core is its own measure of dust; what all cores together show first."""

import numpy as np
import pandas as pd
import pytest

from icecore_dagster.particles.intake.cells import read_segment
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.tables.schemas import ANOMALY_RANKING, SEGMENT_PARTICLES
from icecore_dagster.particles.tables.store import read_table, write_table
from icecore_dagster.scoring.core import own_dust
from icecore_dagster.scoring.core.own_dust import core_anomaly
from icecore_dagster.scoring.core.rollup import FIRST_ANOMALIES, CoreNotScoredError, keep_first_of_all_cores
from icecore_dagster.simulation.laboratory import simulate_ice

CORE, SEGMENTS = "GRIP_3046", ["0_20", "20_40"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Laboratory:
    """Two segments of a core, read."""
    lab = Laboratory.at(tmp_path_factory.mktemp("laboratory"))
    drawn = {"cores": [CORE], "segments": SEGMENTS, "replicates": 1, "particles_per_run": 60, "seed": 2}
    simulate_ice(lab.landing, truth_folder=lab.truth, processes=1, progress=False, **drawn)
    for segment in SEGMENTS:
        read_segment(lab, CORE, segment)
    return lab


def test_every_particle_is_scored_and_a_giant_is_the_oddest(lab):
    path = lab.store.table(SEGMENT_PARTICLES.name, CORE, SEGMENTS[1])
    particles = read_table(path)
    sizes = [c for c in particles if str(c).endswith(("_um", "_um2", "_um3"))]
    particles.loc[3, sizes] = 50 * particles[sizes].max()
    write_table(path, particles, SEGMENT_PARTICLES)
    scores = core_anomaly(lab, CORE, SEGMENTS)
    every = pd.concat([read_table(lab.store.table(SEGMENT_PARTICLES.name, CORE, s)) for s in SEGMENTS])
    assert scores["particle_id"].tolist() == every["particle_id"].tolist()
    assert scores.loc[scores["core_anomaly_score"].idxmin(), "particle_id"] == particles["particle_id"][3]
    pd.testing.assert_frame_equal(scores, core_anomaly(lab, CORE, SEGMENTS))


def test_a_large_core_is_grown_from_a_sample_and_scored_whole(lab, monkeypatch):
    whole = core_anomaly(lab, CORE, SEGMENTS)
    monkeypatch.setattr(own_dust, "GROWN_FROM", 40)
    sampled = core_anomaly(lab, CORE, SEGMENTS)
    assert sampled["particle_id"].tolist() == whole["particle_id"].tolist()
    assert np.corrcoef(sampled["core_anomaly_score"], whole["core_anomaly_score"])[0, 1] > 0.8


def _ranking(core: str, scores: list[float]) -> pd.DataFrame:
    """A ranking of which only the order matters."""
    numbers = range(len(scores))
    known = {
        "rank": [n + 1 for n in numbers],
        "particle_id": [f"{core}_0_20_1_{n}" for n in numbers],
        "run": f"{core}_0_20_1",
        "core": core,
        "segment": "0_20",
        "replicate": 1,
        "rank_score": scores,
        "predicted_class": "camp",
    }
    nothing = {c.name: None for c in ANOMALY_RANKING.columns if c.nullable and not c.is_family}
    wanted = {c.name: 0.0 for c in ANOMALY_RANKING.columns if not c.nullable and not c.is_family}
    return pd.DataFrame({**nothing, **wanted, **known, "p_camp": 1.0}, index=list(numbers))


def test_the_first_of_all_cores_are_ranked_anew(tmp_path):
    lab = Laboratory.at(tmp_path)
    with pytest.raises(CoreNotScoredError, match="no ranked core"):
        keep_first_of_all_cores(lab, 3)
    for core, scores in (("A_1", [9.0, 3.0, 1.0]), ("B_1", [5.0, 4.0])):
        write_table(lab.store.table(ANOMALY_RANKING.name, core), _ranking(core, scores), ANOMALY_RANKING)
    first = keep_first_of_all_cores(lab, 3)
    assert first["particle_id"].tolist() == ["A_1_0_20_1_0", "B_1_0_20_1_0", "B_1_0_20_1_1"]
    assert first["rank"].tolist() == [1, 2, 3]
    assert len(read_table(lab.store.table(FIRST_ANOMALIES))) == 3
