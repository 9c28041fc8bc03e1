"""Drawn images of a rare class look like its real ones in all but the particle, and go into training only."""

import numpy as np
import pytest

from icecore_dagster.learning.anomaly.augmentation import AugmentationConfig, draw_crops, measure_augmentation
from icecore_dagster.learning.anomaly.reconstruction import AutoencoderConfig, fit_to_images
from icecore_dagster.learning.labelled_set import keep_tensors
from icecore_dagster.learning.networks.training import LabelledDataError
from icecore_dagster.particles.intake.labelled import import_labelled
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.split import split_by_image, split_by_run
from icecore_dagster.particles.tables.schemas import SYNTHETIC_PARTICLES, SYNTHETIC_SPLIT
from icecore_dagster.particles.tables.store import write_table
from icecore_dagster.simulation.laboratory import simulate_labelled, simulated_runs
from icecore_dagster_tests.learning.drawn_shapes import DrawnSet


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Laboratory:
    """A laboratory with labelled particles, their split and their tensors."""
    lab = Laboratory.at(tmp_path_factory.mktemp("laboratory"))
    simulate_labelled(lab.labelled, particles=300, seed=3, processes=1, progress=False)
    imported = import_labelled(lab, simulated_runs(lab.labelled), progress=False)
    note = {"fingerprint": imported.fingerprint}
    write_table(lab.store.table(SYNTHETIC_PARTICLES.name), imported.particles, SYNTHETIC_PARTICLES, note)
    table = imported.particles[["particle_id", "run", "label"]]
    split = table.assign(split=split_by_run(table, seed=0), split_by_image=split_by_image(table, seed=0))
    write_table(lab.store.table(SYNTHETIC_SPLIT.name), split, SYNTHETIC_SPLIT, note)
    keep_tensors(lab)
    return lab


def test_drawn_crops_have_sizes_and_backgrounds_of_real_ones(drawn: DrawnSet) -> None:
    bars = [crop for crop, label in zip(drawn.crops, drawn.labels, strict=True) if label == "camp"]
    images = drawn.tensors.images[np.array(drawn.labels) == "camp"]
    config = AutoencoderConfig(epochs=2, batch_size=8, threads=1)
    fit = fit_to_images(images[:30], images[30:], "variational", config)
    crops = draw_crops(fit, bars, 20, seed=5)
    assert {crop.shape for crop in crops} <= {crop.shape for crop in bars}
    assert all(crop.dtype == np.uint8 for crop in crops)
    assert 100 < np.median([np.median(crop) for crop in crops]) < 160
    again = draw_crops(fit, bars, 20, seed=5)
    assert all((a == b).all() for a, b in zip(crops, again, strict=True))


@pytest.mark.slow
def test_both_networks_are_asked_about_the_same_real_particles(lab: Laboratory) -> None:
    config = AugmentationConfig(drawn=12, most_of_label=20, epochs=1, steps=20, threads=1)
    effect = measure_augmentation(lab, config)
    assert effect.without.particles == effect.with_drawn.particles
    assert effect.without.by_class["grim"].support == effect.with_drawn.by_class["grim"].support > 0
    assert (
        effect.without.confusion != effect.with_drawn.confusion or effect.without.log_loss != effect.with_drawn.log_loss
    )
    assert {"balanced_accuracy", "macro_f1"} <= set(effect.without.intervals)
    assert effect.drawn.shape == (8, 128, 128)


@pytest.mark.slow
def test_a_network_that_needs_properties_or_an_unknown_label_is_refused(lab: Laboratory) -> None:
    with pytest.raises(ValueError, match="looks at measured properties"):
        measure_augmentation(lab, AugmentationConfig(architecture="hybrid"))
    with pytest.raises(LabelledDataError, match="has no label 'cont'"):
        measure_augmentation(lab, AugmentationConfig(label="cont"))
