import numpy as np
import pytest

from icecore_dagster.learning.anomaly.separation import curves_of, separation_from, separation_of

LABELS = ["dust", "dust", "dust", "dust", "camp", "camp", "qrob", "qrob"]
ANOMALOUSNESS = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 1.5, 3.5])


def test_areas_count_the_pairs_that_are_in_the_right_order():
    found = separation_of(ANOMALOUSNESS, LABELS)
    assert found is not None
    assert (found.dust, found.other) == (4, 4)
    # qrob at 1.5 is above two of four dust particles; all other pairs are right.
    assert found.roc_auc == pytest.approx(14 / 16)
    assert found.roc_auc_by_label == {"camp": 1.0, "qrob": 0.75}
    assert found.intervals == found.intervals_by_label == {}


def test_only_dust_or_no_dust_has_no_separation():
    assert separation_of(ANOMALOUSNESS[:4], LABELS[:4]) is None
    assert separation_of(ANOMALOUSNESS[4:], LABELS[4:]) is None


def test_curves_enclose_the_same_area_and_end_at_the_share_of_chance():
    curves = curves_of(ANOMALOUSNESS, np.array(LABELS) != "dust")
    area = np.trapezoid(np.r_[0, curves.found_share], np.r_[0, curves.dust_share])
    assert area == pytest.approx(14 / 16)
    assert curves.precision[0] == 1
    assert curves.precision[-1] == curves.other_share == 0.5


def test_equal_scores_pass_a_threshold_together():
    curves = curves_of(np.array([1.0, 1.0, 1.0, 0.0]), np.array([True, False, True, False]))
    assert curves.found_share.tolist() == [1.0, 1.0]
    assert curves.dust_share.tolist() == [0.5, 1.0]


@pytest.mark.parametrize("measure", ["roc_auc", "average_precision"])
def test_the_interval_is_wider_where_particles_of_a_run_are_alike(measure):
    rng = np.random.default_rng(0)
    labels = np.repeat(["dust", "camp"], 400)
    runs = np.array([f"{label}_{i % 8}" for i, label in enumerate(labels)])
    shift = np.where(labels == "camp", 1.0, 0.0)
    independent = shift + rng.normal(0, 1, 800)
    alike = shift + np.linspace(-3, 3, 8)[np.arange(800) % 8] + rng.normal(0, 0.1, 800)
    widths = []
    for scores in (independent, alike):
        found = separation_of(scores, labels, runs)
        assert found is not None
        bounds = found.intervals[measure]
        assert bounds.low < getattr(found, measure) < bounds.high
        widths.append(bounds.high - bounds.low)
        # With one other label, its area is the area.
        assert found.intervals_by_label == {"camp": found.intervals["roc_auc"]}
    assert widths[1] > 2 * widths[0]


def test_each_label_has_its_own_interval():
    rng = np.random.default_rng(1)
    labels = np.repeat(["dust", "camp", "qrob"], 100)
    runs = [f"{label}_{i % 4}" for i, label in enumerate(labels)]
    found = separation_of(np.repeat([0.0, 3.0, 0.5], 100) + rng.normal(0, 1, 300), labels, runs)
    assert found is not None and set(found.intervals_by_label) == {"camp", "qrob"}
    for label, bounds in found.intervals_by_label.items():
        assert bounds.low < found.roc_auc_by_label[label] < bounds.high
    assert found.intervals_by_label["camp"].low > found.intervals_by_label["qrob"].high


def test_unknown_particles_are_one_label():
    found = separation_from(np.array([0.0, 1.0]), np.array([2.0, 0.5]))
    assert found is not None
    assert found.roc_auc_by_label == {"unknown": 0.75}
    assert found.intervals == {}


def test_unknown_particles_have_an_interval_where_the_runs_of_the_dust_are_told():
    rng = np.random.default_rng(2)
    found = separation_from(rng.normal(0, 1, 200), rng.normal(1, 1, 100), [f"dust_{i % 4}" for i in range(200)])
    assert found is not None
    assert found.intervals["roc_auc"].low < found.roc_auc < found.intervals["roc_auc"].high
