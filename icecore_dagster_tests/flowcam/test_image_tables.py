"""Runs with one image file a particle: the published layout, a folder of crops, a single image."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from icecore_dagster.flowcam.run import read_run

from .builders import crop_of, kept, messages, png_claiming, reasons, write_png


def published(root: Path, rows: list[tuple[object, str]], place: str = "datasets/test/GRIP_raw") -> Path:
    folder = root / place
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{n},1.25,2020-11-13T10:00:01.5,0.277,{path}" for n, path in rows]
    table = folder / "GRIP_3046_raw.csv"
    table.write_text("\n".join(["Particle ID,Area (ABD),Timestamp,Calibration Factor,imgpaths", *lines, ""]))
    return table


@pytest.mark.parametrize("base", ["datasets/test/GRIP_raw", "datasets/test", "datasets", "."])
def test_the_published_layout_is_read_relative_to_the_table_or_its_parents(tmp_path, base):
    rows = []
    for run_name in ("GRIP_3046_0_20_1", "GRIP_3046_40_55_2"):
        for n in (1, 2):
            write_png(tmp_path / base / run_name / f"{run_name}_{n}.png", crop_of(n))
            rows.append((n, f"{run_name}/{run_name}_{n}.png"))
    run = read_run(published(tmp_path, rows))
    assert run.facts.format == "image table"
    assert run.particles["Run"].tolist() == ["GRIP_3046_0_20_1"] * 2 + ["GRIP_3046_40_55_2"] * 2
    assert kept(run) == [1, 2, 1, 2]
    assert run.particles["Image Width"].tolist() == [12] * 4
    assert run.facts.calibration_um_per_px == 0.277
    assert run.facts.missing_files == ()
    np.testing.assert_array_equal(run.crop(3), crop_of(2))
    assert [i for i, _, _ in run.iter_crops()] == [0, 1, 2, 3]


def test_bad_rows_of_an_image_table_are_refused_one_by_one(tmp_path):
    folder = tmp_path / "datasets"
    for n in (1, 2, 3, 4):
        write_png(folder / f"camp_{n}.png", crop_of(n))
    (folder / "camp_2.png").write_bytes((folder / "camp_2.png").read_bytes()[:-20])
    (folder / "camp_3.png").write_bytes(png_claiming(100_000, 100_000))
    (folder / "camp_8.png").symlink_to("/etc/hostname")
    names = ["camp_1.png", "camp_2.png", "camp_3.png", "../camp_5.png", "/camp_6.png", "D:/camp_7.png", "camp_8.png"]
    rows = [(n, name) for n, name in enumerate(names, 1)]
    run = read_run(published(tmp_path, [*rows, (1, "camp_1.png"), ("x", "camp_4.png"), (9, "camp_9.png")], "datasets"))
    assert kept(run) == [1, 9]
    found = dict(zip(run.rejects["row"], run.rejects["reason"], strict=True))
    assert "cut off or damaged" in found[3]
    assert "claims 100000 x 100000" in found[4]
    assert all("leads out" in found[line] for line in (5, 6, 7))
    assert "outside of the folder" in found[8]
    assert found[9] == "Particle ID 1 stands already in line 2"
    assert "'x', not a whole number" in found[10]
    assert run.crop(1) is None
    assert run.facts.missing_files == ("camp_9.png",)
    assert "1 of 8 images are missing, first 'camp_9.png'" in messages(run)


def test_absolute_names_are_found_by_their_ends_and_never_outside(tmp_path):
    folder = tmp_path / "datasets"
    write_png(folder / "camp" / "camp_1.png", crop_of(1))
    write_png(tmp_path / "elsewhere" / "camp_3.png", crop_of(3))
    names = [
        "/home/somebody/ice/camp/camp_1.png",
        "D:\\ice\\camp\\camp_1.png",
        str(tmp_path / "elsewhere" / "camp_3.png"),
    ]
    table = published(tmp_path, [(1, names[0]), (3, names[2])], "datasets/inner/deeper/deepest/deep")
    shutil.copytree(folder / "camp", table.parent / "camp")
    run = read_run(table)
    assert kept(run) == [1]
    np.testing.assert_array_equal(run.crop(0), crop_of(1))
    assert "leads out" in reasons(run)[0]
    assert read_run(published(tmp_path, [(1, names[1])], "datasets")).crop(0).shape == crop_of(1).shape


def test_the_number_in_the_name_of_the_image_decides(tmp_path):
    write_png(tmp_path / "datasets" / "camp_7.png", crop_of(1))
    run = read_run(published(tmp_path, [(1, "camp_7.png")], "datasets"))
    assert kept(run) == [7]
    assert "imgpaths has another number than Particle ID in 1 of 1 rows" in messages(run)


def test_an_image_of_another_size_than_stated_is_noticed(tmp_path):
    write_png(tmp_path / "camp_1.png", crop_of(1))
    (tmp_path / "camp.csv").write_text("Particle ID,Image Width,Image Height,imgpaths\n1,13,10,camp_1.png\n")
    run = read_run(tmp_path / "camp.csv")
    assert kept(run) == [1]
    assert "line 2: 1 of 1 images are not as large as Image Width and Image Height state" in messages(run)


def test_a_run_folder_may_hold_an_image_table_but_not_reach_out_of_the_folder(tmp_path):
    write_png(tmp_path / "GRIP_3046_0_20_1" / "GRIP_3046_0_20_1_1.png", crop_of(1))
    write_png(tmp_path / "another" / "GRIP_3046_0_20_1_2.png", crop_of(2))
    rows = [(1, "GRIP_3046_0_20_1/GRIP_3046_0_20_1_1.png"), (2, "another/GRIP_3046_0_20_1_2.png")]
    table = published(tmp_path, rows, "x")
    shutil.move(table, tmp_path / "GRIP_3046_0_20_1" / "particles.csv")
    run = read_run(tmp_path / "GRIP_3046_0_20_1")
    assert kept(run) == [1]
    assert "outside of the folder" in reasons(run)[0]


def test_a_table_of_paths_alone_is_enough(tmp_path):
    write_png(tmp_path / "a" / "camp_11nov_4_fc80_20x_33.png", crop_of(1))
    (tmp_path / "mine.csv").write_text("imgpaths\na/camp_11nov_4_fc80_20x_33.png\na/nameless.png\n")
    run = read_run(tmp_path / "mine.csv")
    assert run.particles[["Run", "Particle ID"]].values.tolist() == [["camp_11nov_4_fc80_20x", 33]]
    assert reasons(run) == ["no particle number"]


def test_a_plain_folder_of_crops_is_a_run(tmp_path):
    folder = tmp_path / "scan"
    write_png(folder / "GRIP_3046_0_20_1_10.png", crop_of(1))
    write_png(folder / "GRIP_3046_0_20_1_9.png", crop_of(2))
    write_png(folder / "GRIP_3046_0_20_1_9_bin.png", (crop_of(2) < 127) * np.uint8(255))
    tifffile.imwrite(folder / "nameless.tif", crop_of(3))
    write_png(folder / "12.png", np.dstack([crop_of(4)] * 3))
    (folder / "broken_1.png").write_bytes(b"")
    (folder / ".hidden_1.png").write_bytes(b"")
    run = read_run(folder)
    assert run.facts.format == "images"
    assert run.particles[["Run", "Particle ID"]].values.tolist() == [
        ["GRIP_3046_0_20_1", 9],
        ["GRIP_3046_0_20_1", 10],
        ["scan", 12],
        ["scan", 13],
    ]
    assert reasons(run) == ["broken_1.png: empty, cut off or no PNG image"]
    np.testing.assert_array_equal(run.crop(2), crop_of(4))
    assert run.mask(0).sum() == 24
    assert run.mask(1) is None
    assert "no particle number in their names (first 'nameless.tif')" in messages(run)


def test_one_image_is_a_run(tmp_path):
    write_png(tmp_path / "camp_11nov_4_fc80_20x_33.png", crop_of(1))
    run = read_run(tmp_path / "camp_11nov_4_fc80_20x_33.png")
    assert run.particles[["Run", "Particle ID"]].values.tolist() == [["camp_11nov_4_fc80_20x", 33]]
    np.testing.assert_array_equal(run.crop(0), crop_of(1))
