"""Runs become particles, rejects, facts and packed crops, and nothing is lost on the way."""

import shutil
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from icecore_dagster.flowcam.run import read_run
from icecore_dagster.particles.intake.cells import SegmentError, pack_segment, read_segment
from icecore_dagster.particles.intake.crops import blocks_with_crops, read_crops, stream_crops
from icecore_dagster.particles.intake.ingest import calibration_from_name, ingest_run
from icecore_dagster.particles.intake.labelled import LabelledError, import_labelled, labelled_crops, labelled_sources
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.properties import PROPERTIES
from icecore_dagster.particles.tables.plausibility import believable
from icecore_dagster.particles.tables.store import Store, count_rows, read_table, stream_table
from icecore_dagster.simulation.laboratory import simulate_ice, simulate_labelled, simulated_runs

CELL = ("GRIP_3046", "0_20")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Laboratory:
    lab = Laboratory.at(tmp_path_factory.mktemp("intake") / "data")
    simulate_ice(
        lab.landing,
        truth_folder=lab.truth,
        cores=["GRIP_3046"],
        segments=["0_20"],
        replicates=2,
        particles_per_run=30,
        seed=8,
        processes=1,
        progress=False,
    )
    simulate_labelled(lab.labelled, particles=60, seed=8, processes=1, progress=False)
    return lab


@pytest.fixture
def lab(drawn, tmp_path) -> Laboratory:
    shutil.copytree(drawn.data, tmp_path / "data")
    return Laboratory.at(tmp_path / "data")


def test_a_segment_holds_both_replicates_and_is_believable(lab):
    read = read_segment(lab, *CELL)
    stored = read_table(lab.store.table("segment_particles", *CELL))
    assert read.rows == len(stored)
    assert sorted(stored["replicate"].unique()) == [1, 2]
    assert stored["particle_id"].is_unique
    asked = partial(stream_table, lab.store.table("segment_particles", *CELL))
    assert all(o.passed for o in believable(asked, len(read.rejects), read.runs).values())


def test_a_bad_row_is_refused_with_its_line_and_the_rest_goes_on(lab):
    listing = lab.landing / "GRIP_3046_0_20_1" / "GRIP_3046_0_20_1.lst"
    lines = listing.read_text().splitlines()
    lines[-1] = lines[-1].rsplit("|", 5)[0]
    listing.write_text("\n".join(lines) + "\n")
    read = read_segment(lab, *CELL)
    assert len(read.rejects) == 1
    assert read.rejects["row"][0] == len(lines)
    assert read.rejects["reason"][0]
    assert read.rejects["remedy"][0]
    assert int(read.runs["rows_found"].sum()) == read.rows + 1


def test_the_fingerprint_follows_the_bytes_alone(lab):
    first = read_segment(lab, *CELL).fingerprint
    for file in (lab.landing / "GRIP_3046_0_20_1").iterdir():
        file.touch()
    assert read_segment(lab, *CELL).fingerprint == first
    notes = lab.landing / "GRIP_3046_0_20_1" / "GRIP_3046_0_20_1_notes.txt"
    notes.write_text("measured twice")
    assert read_segment(lab, *CELL).fingerprint != first


def test_a_segment_that_nobody_imaged_says_so(lab):
    with pytest.raises(SegmentError, match="GRIP_3046_40_55_<replicate>"):
        read_segment(lab, "GRIP_3046", "40_55")


def test_crops_are_packed_without_loss_and_found_again_by_id(lab):
    read_segment(lab, *CELL)
    packed = pack_segment(lab, *CELL)
    target = lab.store.table("segment_crops", *CELL)
    assert packed == count_rows(target) == sum(len(block.crops) for block in stream_crops(target, rows=7))
    run = read_run(lab.landing / "GRIP_3046_0_20_2")
    wanted = f"GRIP_3046_0_20_2_{run.particles['Particle ID'][3]}"
    found = read_crops(target, [wanted, "nobody"])
    assert list(found) == [wanted]
    assert np.array_equal(found[wanted], run.crop(3))


def test_particles_meet_their_own_crops_in_blocks_of_any_size(lab):
    read_segment(lab, *CELL)
    pack_segment(lab, *CELL)
    tables = lab.store.table("segment_particles", *CELL), lab.store.table("segment_crops", *CELL)
    for rows in (1, 7, 1000):
        for frame, crops in blocks_with_crops(*tables, rows=rows):
            sizes = [crop.shape for crop in crops]
            assert sizes == list(zip(frame["crop_height_px"], frame["crop_width_px"], strict=True))


def test_a_missing_collage_keeps_the_rows_without_images(lab):
    (lab.landing / "GRIP_3046_0_20_1" / "GRIP_3046_0_20_1_000001.tif").unlink()
    read_segment(lab, *CELL)
    stored = read_table(lab.store.table("segment_particles", *CELL))
    of_run = stored[stored["replicate"] == 1]
    assert len(of_run) > 10
    assert not of_run["has_image"].any()
    assert pack_segment(lab, *CELL) == int(stored["has_image"].sum())


def _packed(target, pixels: bytes, column: str = "pixels", shape: tuple[int, int] = (3, 2)) -> None:
    frame = {"particle_id": ["a_1"], "height_px": [shape[0]], "width_px": [shape[1]], column: [pixels]}
    target.parent.mkdir(parents=True)
    pd.DataFrame(frame).to_parquet(str(target))


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (60, 41)])
def test_a_crop_survives_packing(tmp_path, shape):
    crop = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    target = Store.at(tmp_path).table("segment_crops", "A_1", "0_20")
    _packed(target, crop.tobytes(), shape=shape)
    assert np.array_equal(read_crops(target, ["a_1"])["a_1"], crop)
    assert np.array_equal(next(stream_crops(target)).crops[0], crop)


def test_crops_of_an_earlier_version_or_damaged_ones_say_what_to_do(tmp_path):
    store = Store.at(tmp_path)
    sound, old, damaged = (store.table("segment_crops", core, "0_20") for core in ("A_1", "B_1", "C_1"))
    _packed(sound, bytes(range(6)))
    _packed(old, b"a picture", column="png")
    _packed(damaged, bytes(range(5)))
    assert read_crops(sound, ["a_1"])["a_1"].tolist() == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(ValueError, match="earlier version; materialise segment_crops"):
        read_crops(old, ["a_1"])
    with pytest.raises(ValueError, match="earlier version; materialise segment_crops"):
        next(stream_crops(old))
    with pytest.raises(ValueError, match=r"damaged .* materialise segment_crops again"):
        next(stream_crops(damaged))


def test_bare_crops_get_every_property_once_their_scale_is_known(tmp_path):
    crop = np.full((60, 60), 130, np.uint8)
    cv2.circle(crop, (30, 30), 18, 50, -1)
    (tmp_path / "unknown").mkdir()
    cv2.imwrite(str(tmp_path / "unknown" / "disc_1.png"), crop)
    run = read_run(tmp_path / "unknown")
    unknown, known = ingest_run(run).particles, ingest_run(run, um_per_px=0.5).particles
    assert unknown["diameter_fd_um"].isna().all()
    assert unknown["intensity_grey"].notna().all()
    assert known[[p.column for p in PROPERTIES]].notna().all(axis=None)
    assert known["diameter_fd_um"][0] == pytest.approx(0.5 * (37 - 4.5), rel=0.05)


@pytest.mark.parametrize(
    ("name", "um"), [("camp_11nov_4_fc80_20x", 0.277), ("a_10x_b", 0.554), ("GRIP_3046_0_20_1", None)]
)
def test_the_objective_in_a_name_gives_the_scale(name, um):
    assert calibration_from_name(name) == (pytest.approx(um) if um else None)


def test_labelled_runs_become_one_table_with_crops_in_its_order(lab):
    imported = import_labelled(lab, simulated_runs(lab.labelled), progress=False)
    assert set(imported.particles["label"]) == {"dust", "camp", "grim", "corylus", "qrob", "qsub", "cont"}
    assert set(imported.particles["source"]) == {"simulated"}
    crops = labelled_crops(lab, set(imported.particles["run"]))
    assert [pid for pid, _ in crops] == imported.particles["particle_id"].tolist()


def test_a_labelled_folder_without_a_label_is_refused_by_name(lab):
    shutil.copytree(next(lab.labelled.glob("camp_*")), lab.labelled / "mystery_1nov_1")
    with pytest.raises(LabelledError, match="mystery_1nov_1"):
        labelled_sources(lab)


def test_the_published_layout_is_imported(tmp_path):
    lab = Laboratory.at(tmp_path / "data")
    for label in ("dust", "camp"):
        images = lab.published / label
        images.mkdir(parents=True)
        rows = []
        for number in (1, 2):
            crop = np.full((40, 40), 130, np.uint8)
            cv2.circle(crop, (20, 20), 8 + number, 60, -1)
            cv2.imwrite(str(images / f"{label}_11nov_4_fc80_20x_{number}.png"), crop)
            rows.append(
                {"Particle ID": number, "Intensity": 60.0, "imgpaths": f"{label}/{label}_11nov_4_fc80_20x_{number}.png"}
            )
        pd.DataFrame(rows).to_csv(lab.published / f"{label}.csv", index=False)
    imported = import_labelled(lab, set(), progress=False)
    assert imported.particles["label"].tolist() == ["dust", "dust", "camp", "camp"]
    assert set(imported.particles["run"]) == {"dust_11nov_4_fc80_20x", "camp_11nov_4_fc80_20x"}
    assert imported.particles["calibration_um_per_px"].eq(0.277).all()
    assert imported.particles["source"].eq("imported").all()


def test_real_runs_are_believable(tmp_path, colour_run, bare_run):
    lab = Laboratory.at(tmp_path)
    for core, run in (("QCY_0027", colour_run), ("COM_0001", bare_run)):
        shutil.copytree(run, lab.landing / f"{core}_0_20_1", copy_function=shutil.copy)
        read = read_segment(lab, core, "0_20")
        stored = partial(stream_table, lab.store.table("segment_particles", core, "0_20"))
        assert all(o.passed for o in believable(stored, len(read.rejects), read.runs).values())
        assert Path(lab.store.table("segment_runs", core, "0_20").path).exists()
