import numpy as np
import pytest

from icecore_dagster.particles.labels import LABEL_KEYS
from icecore_dagster.simulation.plans import FEWEST_RUNS, MOST_RUNS, plan_ice, plan_labelled
from icecore_dagster.simulation.population import ANOMALY

STUDY = {"dust": 30_363, "camp": 60_640, "grim": 14_793, "corylus": 7_900, "qrob": 10_837, "qsub": 11_490}


def _of_label(particles: int) -> dict[str, int]:
    counts = dict.fromkeys(LABEL_KEYS, 0)
    for plan in plan_labelled(particles, seed=1):
        for label, count in plan.counts:
            counts[label] += count
    return counts


def test_labelled_sets_have_the_shares_of_the_study():
    counts = _of_label(50_000)
    of_six = sum(counts[label] for label in STUDY)
    for label, published in STUDY.items():
        assert counts[label] / of_six == pytest.approx(published / sum(STUDY.values()), abs=1e-3)


def test_a_larger_set_has_more_runs_of_a_class_up_to_a_limit():
    def runs(particles: int) -> set[int]:
        labels = [plan.counts[0][0] for plan in plan_labelled(particles, seed=1)]
        return {labels.count(label) for label in LABEL_KEYS}

    assert runs(1_000) >= {FEWEST_RUNS}
    assert max(runs(5_000)) > FEWEST_RUNS
    assert runs(136_022) == {MOST_RUNS}


def test_ice_is_nearly_all_dust_and_finds_are_as_rare_as_in_nature():
    plans = plan_ice(["GRIP_3046", "GRIP_3136"], ["0_20", "20_40", "40_55"], 2, 200_000, seed=1)
    counts = [dict(plan.counts) for plan in plans]
    total = sum(sum(c.values()) for c in counts)
    background = sum(c["dust"] + c["cont"] for c in counts)
    assert background / total > 0.997
    for label in ("camp", "grim", "corylus", "qrob", "qsub"):
        share = sum(c[label] for c in counts) / total
        assert 1e-5 < share < 1e-3, label


def test_replicates_share_their_true_concentration():
    plans = plan_ice(["GRIP_3046"], ["0_20"], 40, 20_000, seed=1)
    contamination = np.array([dict(plan.counts)["cont"] for plan in plans])
    # Poisson: the variance is the mean.
    assert contamination.var() / contamination.mean() == pytest.approx(1, abs=0.5)


def test_a_blank_images_the_same_water_but_holds_little_and_nothing_worth_finding():
    (ice,) = plan_ice(["GRIP_3046"], ["0_20"], 1, 5_000, seed=1)
    (blank,) = plan_ice(["BLANK_3046"], ["0_20"], 1, 5_000, seed=1)
    assert {label for label, count in blank.counts if count} <= {"dust", "cont"}
    assert ANOMALY not in dict(blank.counts)
    assert 0 < blank.particles < ice.particles / 8
    assert blank.frames > ice.particles / 10
