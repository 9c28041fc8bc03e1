"""The simulator held against real particles; the real ones are skipped where they are absent."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from icecore_dagster.learning.realism.validation import (
    MEAN,
    NETWORKS,
    RealismConfig,
    RealParticle,
    read_real_particles,
    validate_simulator,
)
from icecore_dagster.particles.labels import LABEL_KEYS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images and the table of their labels."""
    cv2.imwrite(str(tmp_path / "a_1.png"), np.full((20, 30), 120, np.uint8))
    cv2.imwrite(str(tmp_path / "a_2.png"), np.full((25, 15), 60, np.uint8))
    (tmp_path / "labels.csv").write_text("image,label\na_1.png,dust\na_2.png,camp\n")
    return tmp_path


def test_real_particles_are_read_with_their_labels(folder):
    real = read_real_particles(folder)
    assert [(p.name, p.label, p.crop.shape) for p in real] == [
        ("a_1.png", "dust", (20, 30)),
        ("a_2.png", "camp", (25, 15)),
    ]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("image,label\nb.png,dust\n", "line 2: there is no image 'b.png'"),
        ("image,label\na_1.png,dust\na_2.png,sand\n", "line 3: unknown label 'sand'"),
        ("picture,label\na_1.png,dust\n", "line 2: there is no image ''"),
    ],
)
def test_a_wrong_table_of_labels_is_refused_with_its_line(folder, table, words):
    (folder / "labels.csv").write_text(table)
    with pytest.raises(ValueError, match=words):
        read_real_particles(folder)


def test_a_folder_without_labels_is_refused(folder):
    (folder / "labels.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"labels\.csv is missing"):
        read_real_particles(folder)


@pytest.mark.slow
def test_models_that_saw_drawn_particles_only_name_real_ones_better_than_chance(ice_core_particles, tmp_path):
    real = read_real_particles(ice_core_particles)
    assert sorted(particle.label for particle in real) == sorted(LABEL_KEYS)
    config = RealismConfig(particles=1_500, seeds=(1,), epochs=4, sample=12)
    (found,) = validate_simulator(tmp_path, config, real).seeds
    named = found.recognised
    # Chance names one of seven; four or more would happen by chance once in a hundred tries.
    assert (named[MEAN] == named["label"]).sum() >= 4
    assert named[f"p_{MEAN}"].mean() > 2 / 7
    shutil.rmtree(tmp_path / "seed_1")


@pytest.mark.slow
def test_a_small_set_is_drawn_measured_and_learnt_from(tmp_path):
    config = RealismConfig(particles=800, seeds=(4,), epochs=1, sample=12)
    findings = validate_simulator(tmp_path, config)
    (found,) = findings.seeds
    assert len(found.properties) == 800
    assert found.difficulty["three_class"].accuracy > 0.85
    assert set(found.networks) == set(NETWORKS)
    assert 0 <= found.anomalies_strange <= 1
    assert found.recognised.empty
    assert {label: len(sample) for label, sample in findings.samples.items()} == dict.fromkeys(
        (*LABEL_KEYS, "anomaly"), 12
    )


@pytest.mark.slow
def test_networks_say_the_same_of_a_real_particle_and_of_its_mirror_image(tmp_path):
    crop = np.random.default_rng(0).integers(90, 140, (60, 60)).astype(np.uint8)
    crop[12:40, 20:50] = 50
    crop[30:40, 20:30] = 120
    real = (RealParticle("as it lies", "grim", crop), RealParticle("mirrored", "grim", crop[:, ::-1].copy()))
    config = RealismConfig(particles=800, seeds=(4,), epochs=1, sample=12)
    (found,) = validate_simulator(tmp_path, config, real).seeds
    # A3 looks at the image alone; the properties of a mirrored particle differ in its angles.
    as_it_lies, mirrored = found.recognised["p_A3"]
    assert as_it_lies == pytest.approx(mirrored, abs=1e-5)
    assert found.recognised["A3"].nunique() == 1
    shutil.rmtree(tmp_path / "seed_4")
