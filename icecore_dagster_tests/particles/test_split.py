"""No run is on two sides; shares are kept; the same seed divides alike."""

import pandas as pd
import pytest

from icecore_dagster.particles.split import SplitError, split_by_image, split_by_run


def labelled(runs_a_label: int = 6, particles_a_run: int = 40) -> pd.DataFrame:
    rows = [
        {"particle_id": f"{label}_{run}_{i}", "run": f"{label}_{run}", "label": label}
        for label in ("dust", "camp", "qrob")
        for run in range(runs_a_label)
        for i in range(particles_a_run + 7 * run)
    ]
    return pd.DataFrame(rows)


def test_no_run_is_on_two_sides_and_every_class_is_on_each():
    particles = labelled()
    sides = particles.assign(split=split_by_run(particles, seed=3))
    assert (sides.groupby("run")["split"].nunique() == 1).all()
    assert (sides.groupby("label")["split"].nunique() == 3).all()


def test_held_out_shares_are_near_what_was_asked():
    particles = labelled(runs_a_label=12)
    shares = split_by_run(particles, validation=0.15, test=0.15).value_counts(normalize=True)
    assert shares["validation"] == pytest.approx(0.15, abs=0.05)
    assert shares["test"] == pytest.approx(0.15, abs=0.05)


def test_the_smallest_class_keeps_one_run_for_training():
    particles = labelled(runs_a_label=3)
    assert split_by_run(particles).groupby(particles["label"]).value_counts().groupby(level=0).size().eq(3).all()


@pytest.mark.parametrize("split", [split_by_run, split_by_image])
def test_the_same_seed_divides_alike_and_another_does_not(split):
    particles = labelled(runs_a_label=10)
    assert split(particles, seed=1).equals(split(particles, seed=1))
    assert not split(particles, seed=1).equals(split(particles, seed=2))


def test_too_few_runs_are_refused_with_the_remedy():
    with pytest.raises(SplitError, match=r"has 2 run\(s\).*image the material in more runs"):
        split_by_run(labelled(runs_a_label=2))


def test_a_run_of_two_labels_is_refused():
    particles = labelled()
    particles.loc[particles["run"] == "camp_0", "run"] = "dust_0"
    with pytest.raises(SplitError, match="dust_0"):
        split_by_run(particles)


def test_by_image_keeps_shares_within_each_class_and_uses_each_particle_once():
    particles = labelled()
    side = split_by_image(particles, validation=0.15, test=0.15)
    shares = side.groupby(particles["label"]).value_counts(normalize=True).unstack()
    assert shares["test"].tolist() == pytest.approx([0.15] * 3, abs=0.01)
    assert side.notna().all()
