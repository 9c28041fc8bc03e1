"""The landing folder: names, what lies there, whether it changed, whether it is finished."""

import os
import shutil

import pytest

from icecore_dagster.flowcam.landing import (
    RunName,
    RunNameError,
    completeness,
    find_runs,
    fingerprint,
    parse_run_name,
    signature,
)

from .builders import STEM, build_run, crop_of, list_text, particle, write_png, write_text


def test_a_name_says_core_segment_and_replicate():
    assert parse_run_name("GRIP_3046_40_55_1") == RunName("GRIP_3046", "40_55", 1, 40, 55, "GRIP_3046_40_55_1")
    assert parse_run_name("EGRIP-2_12_0_100_12").core == "EGRIP-2_12"


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("GRIP_3046_40_55", "4 parts"),
        ("GRIP_3046_40_55_1_2", "6 parts"),
        ("", "1 parts"),
        ("3046_3046_40_55_1", "core '3046'"),
        ("../x_3046_40_55_1", "core '../x'"),
        ("GRIP_x_40_55_1", "bag 'x'"),
        ("GRIP_3046_a_55_1", "from 'a'"),
        ("GRIP_3046_4.5_55_1", "from '4.5'"),
        ("GRIP_3046_040_55_1", "from '040'"),
        ("GRIP_3046_40_٥٥_1", "to '٥٥'"),
        ("GRIP_3046_40_55_0", "replicate '0'"),
        ("GRIP_3046_40_55_1\n", "replicate '1\\n'"),
        ("GRIP_3046_55_40_1", "ends (40 cm) not below where it begins (55 cm)"),
        ("GRIP_3046_40_40_1", "ends (40 cm) not below"),
    ],
)
def test_a_name_that_does_not_fit_is_refused_with_the_rule_and_an_example(name, wrong):
    with pytest.raises(RunNameError) as caught:
        parse_run_name(name)
    assert wrong in str(caught.value) or repr(wrong)[1:-1] in str(caught.value)
    assert "<core>_<bag>_<from cm>_<to cm>_<replicate>, such as GRIP_3046_40_55_1" in str(caught.value)


def test_visible_folders_are_runs(tmp_path, caplog):
    landing = tmp_path / "landing"
    for name in ("b", "a", ".being_written"):
        (landing / name).mkdir(parents=True)
    (landing / "notes.txt").write_text("")
    (tmp_path / "elsewhere").mkdir()
    (landing / "link").symlink_to(tmp_path / "elsewhere")
    assert [(run.name, run.path) for run in find_runs(landing)] == [("a", landing / "a"), ("b", landing / "b")]
    assert "leads out of the landing folder" in caplog.text
    assert find_runs(tmp_path / "absent") == []


def test_signature_changes_with_names_sizes_and_times(tmp_path):
    folder = build_run(tmp_path)
    marks = [signature(folder)]
    assert signature(folder) == marks[0]
    path = folder / f"{STEM}.ctx"
    os.utime(path, ns=(1, 1))
    marks.append(signature(folder))
    with path.open("a") as stream:
        stream.write("x")
    os.utime(path, ns=(1, 1))
    marks.append(signature(folder))
    path.rename(folder / "renamed.ctx")
    marks.append(signature(folder))
    (folder / "deep").mkdir()
    (folder / "deep" / "1.png").write_text("")
    marks.append(signature(folder))
    (folder / ".hidden").write_text("")
    assert len(set(marks)) == len(marks)
    assert signature(folder) == marks[-1]


def test_fingerprint_follows_contents_and_not_place_or_time(tmp_path):
    first = build_run(tmp_path / "a")
    second = tmp_path / "b" / "moved"
    shutil.copytree(first, second)
    for path in second.iterdir():
        os.utime(path, ns=(1, 1))
    for junk in (".DS_Store", "Thumbs.db"):
        (second / junk).write_text("junk")
    assert fingerprint(first) == fingerprint(second)
    assert len(fingerprint(first)) == 64
    (second / f"{STEM}.ctx").rename(second / "x.ctx")
    assert fingerprint(first) != fingerprint(second)
    (second / "x.ctx").rename(second / f"{STEM}.ctx")
    with (second / f"{STEM}.lst").open("r+b") as stream:
        stream.seek(-3, 2)
        stream.write(b"9")
    assert fingerprint(first) != fingerprint(second)


def test_fingerprint_does_not_follow_links_out_of_the_folder(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("one")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "file.txt").symlink_to(outside / "secret.txt")
    (folder / "folder").symlink_to(outside)
    (folder / "broken").symlink_to(outside / "absent")
    before = fingerprint(folder)
    (outside / "secret.txt").write_text("two")
    (outside / "new.txt").write_text("three")
    assert fingerprint(folder) == before


def test_a_single_file_has_marks_too(tmp_path):
    write_png(tmp_path / "a_1.png", crop_of(1))
    shutil.copy(tmp_path / "a_1.png", tmp_path / "b_1.png")
    assert fingerprint(tmp_path / "a_1.png") == fingerprint(tmp_path / "b_1.png")
    assert signature(tmp_path / "a_1.png")
    with pytest.raises(FileNotFoundError, match="no such run"):
        fingerprint(tmp_path / "c_1.png")


def test_a_complete_run_lacks_nothing(tmp_path):
    assert completeness(build_run(tmp_path)) == ()
    assert completeness(build_run(tmp_path, name="bare", beside=False)) == ()
    write_png(tmp_path / "crops" / "a_1.png", crop_of(1))
    assert completeness(tmp_path / "crops") == ()


def test_what_is_still_being_copied_is_named(tmp_path):
    folder = build_run(tmp_path, [particle(1), particle(2, collage_file="later.tif"), particle(3)])
    text = list_text([particle(1), particle(2, collage_file="later.tif"), particle(3)])
    (folder / f"{STEM}.lst").write_text(text[:-30])
    reasons = completeness(folder)
    assert reasons == (
        f"{STEM}.lst is cut off in its last row",
        "the collage 'later.tif' is missing or cut off",
        f"{STEM}.lst has 3 rows, {STEM}_run_summary.txt states 4 particles",
    )
    (folder / f"{STEM}.lst").write_text(text)
    collage = (folder / f"{STEM}_000001.tif").read_bytes()
    (folder / f"{STEM}_000001.tif").write_bytes(collage[: len(collage) // 2])
    assert f"the collage '{STEM}_000001.tif' is missing or cut off" in completeness(folder)
    (folder / f"{STEM}.lst").write_text("")
    assert "the list is empty" in completeness(folder)[0]


def test_an_image_table_is_complete_when_its_images_are_there(tmp_path):
    folder = tmp_path / "GRIP_3046_0_20_1"
    write_text(folder / "t.csv", "imgpaths\nGRIP_3046_0_20_1_1.png\nGRIP_3046_0_20_1_2.png\n")
    write_png(folder / "GRIP_3046_0_20_1_1.png", crop_of(1))
    assert completeness(folder) == ("1 of 2 images are missing or cut off, first 'GRIP_3046_0_20_1_2.png'",)
    write_png(folder / "GRIP_3046_0_20_1_2.png", crop_of(2))
    assert completeness(folder) == ()


def test_an_empty_folder_is_not_complete(tmp_path):
    (tmp_path / "run").mkdir()
    assert "no list" in completeness(tmp_path / "run")[0]
    assert "no such run" in completeness(tmp_path / "absent")[0]
