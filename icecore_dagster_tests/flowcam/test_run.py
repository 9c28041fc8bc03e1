"""Reading whole runs: what is kept, what is refused and why, what is tolerated, and the images of what is kept."""

import numpy as np
import pandas as pd
import pytest
import tifffile

from icecore_dagster.flowcam.run import RunError, read_run

from .builders import (
    FIELDS_53,
    FIELDS_65,
    GUID,
    STEM,
    build_run,
    collage_of,
    crop_of,
    kept,
    list_text,
    messages,
    particle,
    reasons,
    tiff_claiming,
    write_collage,
    write_png,
    write_text,
)


def test_a_complete_run_has_particles_crops_and_masks(tmp_path):
    run = read_run(build_run(tmp_path))
    assert kept(run) == [1, 2, 3, 4]
    assert run.particles["Run"].unique().tolist() == [STEM]
    assert run.particles["Area (ABD)"].dtype == np.float64
    assert run.particles.index.tolist() == [0, 1, 2, 3]
    assert run.rejects.empty
    for i in range(4):
        np.testing.assert_array_equal(run.crop(i), crop_of(i + 1))
        np.testing.assert_array_equal(run.mask(i), crop_of(i + 1) < 127)
    assert [i for i, _, _ in run.iter_crops()] == [0, 1, 2, 3]
    for i, crop, mask in run.iter_crops():
        np.testing.assert_array_equal(crop, crop_of(i + 1))
        assert mask.sum() == 24


def test_the_collage_is_the_one_that_the_row_names(tmp_path):
    rows = [particle(1), particle(2, collage_file=f"{STEM}_images_000007.tif"), particle(3)]
    folder = build_run(tmp_path, rows)
    page = np.full((48, 96), 200, dtype=np.uint8)
    write_collage(folder / f"{STEM}_images_000007.tif", page)
    run = read_run(folder)
    assert np.unique(run.crop(1)).tolist() == [200]
    assert [i for i, _, _ in run.iter_crops()] == [0, 2, 1]  # page by page


def test_each_collage_is_decoded_only_when_crops_are_asked_for(tmp_path):
    folder = build_run(tmp_path)
    run = read_run(folder)
    write_collage(folder / f"{STEM}_000001.tif", np.full((48, 96), 9, dtype=np.uint8))
    assert np.unique(run.crop(0)).tolist() == [9]


def test_what_the_list_lacks_is_derived(tmp_path):
    row = read_run(build_run(tmp_path)).particles.iloc[0]
    assert row["Circularity"] == 1.0
    assert row["Aspect Ratio"] == pytest.approx(4.5 / 6.8, abs=1e-4)
    assert row["Convexity"] == 1.0  # never above 1
    assert row["Transparency"] == pytest.approx(1 - 1 / 1.05, abs=1e-3)
    assert row["Volume (ABD)"] == pytest.approx(np.pi / 6 * row["Diameter (ABD)"] ** 3)
    assert row["Geodesic Length"] == row["Geodesic Thickness"] == pytest.approx(0.277 * 4)  # imaginary root
    assert (row["Geodesic Aspect Ratio"], row["Fiber Curl"]) == (1.0, pytest.approx(0.277 * 4 / 0.9 - 1, abs=1e-4))
    assert (row["Date"], row["Time"]) == ("2020-11-13", "10:00:01")


def test_missing_files_are_named_and_tolerated(tmp_path):
    folder = build_run(tmp_path, beside=False)
    (folder / f"{STEM}_000001_bin.tif").unlink()
    run = read_run(folder)
    assert set(run.facts.missing_files) == {
        f"{STEM}{end}" for end in (".ctx", "_run_summary.txt", "_summary.csv", ".csv", "_000001_bin.tif")
    }
    assert (run.facts.volume_imaged_ml, run.facts.volume_source) == (None, "unknown")
    assert len(run.particles) == 4
    assert run.mask(0) is None


def test_masks_that_were_not_to_be_saved_are_not_missed(tmp_path):
    folder = build_run(tmp_path)
    (folder / f"{STEM}_000001_bin.tif").unlink()
    assert read_run(folder).facts.missing_files == (f"{STEM}.csv", f"{STEM}_000001_bin.tif")
    write_text(folder / f"{STEM}.ctx", "[CaptureRegion]\nSaveBinaryImageFiles=0\n")
    assert read_run(folder).facts.missing_files == (f"{STEM}.csv",)


def test_an_absent_collage_leaves_its_particles_without_images(tmp_path):
    run = read_run(build_run(tmp_path, [particle(1), particle(2, collage_file="gone.tif"), particle(3)]))
    assert kept(run) == [1, 2, 3]
    assert run.crop(1) is None
    assert run.mask(1) is None
    assert [i for i, _, _ in run.iter_crops()] == [0, 2]
    assert "gone.tif" in run.facts.missing_files
    assert "gone.tif: the collage is missing, 1 of 3 particles have no image" in messages(run)


@pytest.mark.parametrize("content", [b"", b"II*\0", b"not an image", None, tiff_claiming(50_000, 50_000)])
def test_a_corrupt_collage_refuses_its_rows(tmp_path, content):
    folder = build_run(tmp_path, [particle(1), particle(2, collage_file="bad.tif"), particle(3)])
    whole = (folder / f"{STEM}_000001.tif").read_bytes()
    (folder / "bad.tif").write_bytes(whole[: len(whole) // 2] if content is None else content)
    run = read_run(folder)
    assert kept(run) == [1, 3]
    (reject,) = run.rejects.itertuples()
    assert reject.reason.startswith("bad.tif: ")
    assert reject.remedy.startswith("copy it again")
    assert (reject.file, reject.row, reject.Run) == (f"{STEM}.lst", 57, STEM)
    np.testing.assert_array_equal(run.crop(1), crop_of(3))


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ({"image_w": 0}, "zero-sized crop"),
        ({"image_h": -3}, "zero-sized crop"),
        ({"image_x": -1}, "does not lie within its collage"),
        ({"image_x": 85}, "(x 85, y 0, 12 x 10 px) does not lie within its collage (96 x 48 px)"),
        ({"image_y": 39}, "does not lie within its collage"),
        ({"image_x": 2_000_000_000}, "does not lie within its collage"),
    ],
)
def test_an_impossible_crop_is_refused(tmp_path, box, reason):
    run = read_run(build_run(tmp_path, [particle(1), particle(2, **box), particle(3)]))
    assert kept(run) == [1, 3]
    (found,) = reasons(run)
    assert reason in found
    assert run.rejects["row"].tolist() == [57]


def test_a_repeated_particle_id_is_refused(tmp_path):
    run = read_run(build_run(tmp_path, [particle(1), particle(2), particle(2, image_x=28)]))
    assert kept(run) == [1, 2]
    assert reasons(run) == ["Particle ID 2 stands already in line 57"]
    assert run.rejects["Particle ID"].tolist() == [2]


@pytest.mark.parametrize("name", ["../../secret.tif", "/etc/secret.tif", "C:\\secret.tif", "link.tif"])
def test_a_collage_outside_of_the_folder_is_refused(tmp_path, name):
    write_collage(tmp_path / "secret.tif", collage_of([particle(2)]))
    folder = build_run(tmp_path / "landing", [particle(1), particle(2, collage_file=name)])
    (folder / "link.tif").symlink_to(tmp_path / "secret.tif")
    run = read_run(folder)
    assert kept(run) == [1]
    assert "of the folder" in reasons(run)[0]
    assert "inside" in run.rejects["remedy"][0]


def test_rows_in_are_rows_kept_and_rows_refused(tmp_path):
    folder = build_run(tmp_path, [particle(1), particle(1), particle(3, image_w=0), particle(4)])
    lines = (folder / f"{STEM}.lst").read_text().splitlines()
    (folder / f"{STEM}.lst").write_text("\n".join([*lines, "5|x", ""]) + "\n")
    run = read_run(folder)
    assert run.facts.particles_found == 5 == len(run.particles) + len(run.rejects)
    assert run.rejects["row"].is_monotonic_increasing


def test_a_mask_of_another_size_or_a_damaged_one_is_not_used(tmp_path):
    folder = build_run(tmp_path)
    for content in (np.zeros((20, 20), np.uint8), None):
        if content is None:
            (folder / f"{STEM}_000001_bin.tif").write_bytes(b"damaged")
        else:
            tifffile.imwrite(folder / f"{STEM}_000001_bin.tif", content)
        run = read_run(folder)
        assert run.crop(0) is not None
        assert run.mask(0) is None
        assert "the mask is not used" in messages(run)


def test_colour_follows_the_intensity_that_the_list_states(tmp_path):
    colours = {"avg_red": 100.0, "avg_green": 50.0, "avg_blue": 10.0}
    pixels = np.zeros((48, 96, 3), np.uint8) + np.array([100, 50, 10], np.uint8)
    for parent, intensity, grey in ((tmp_path / "a", 60.39, 60), (tmp_path / "b", 43.74, 44)):
        folder = build_run(parent, [particle(1, intensity=intensity, **colours)], fields=FIELDS_65)
        tifffile.imwrite(folder / f"{STEM}_000001.tif", pixels, photometric="rgb")
        assert np.unique(read_run(folder).crop(0)).tolist() == [grey]


@pytest.mark.parametrize(("version", "grey"), [("3.4.5", 60), ("4.19.3", 44)])
def test_colour_follows_the_version_where_the_list_states_no_colours(tmp_path, version, grey):
    folder = build_run(tmp_path)
    write_text(folder / f"{STEM}.ctx", f"[Software]\nSoftwareVersion={version}\n")
    pixels = np.zeros((48, 96, 3), np.uint8) + np.array([100, 50, 10], np.uint8)
    tifffile.imwrite(folder / f"{STEM}_000001.tif", pixels, photometric="rgb")
    assert np.unique(read_run(folder).crop(0)).tolist() == [grey]


def export_text(numbers, **extra) -> str:
    head = "Particle ID,Camera,Length,Original Reference ID,Biovolume (Cylinder),Filter Score,Image File,"
    head += "Image X,Image Y,Image Width,Image Height"
    rows = []
    for n in numbers:
        cells = {"length": 0.9, "guid": GUID.format(n), **extra.get(f"row{n}", {})}
        place = f"{STEM}_000001.tif,{14 * (n - 1)},0,12,10"
        rows.append(f"{n},1,{cells['length']},{cells['guid']},{n}.5,0.25,{place}")
    return "\n".join([head, *rows, ""])


def test_the_export_fills_what_the_list_lacks(tmp_path):
    folder = build_run(tmp_path)
    write_text(folder / f"{STEM}.csv", export_text([4, 3, 2, 1]))
    run = read_run(folder)
    assert run.particles["Biovolume (Cylinder)"].tolist() == [1.5, 2.5, 3.5, 4.5]
    assert run.particles["Filter Score"].tolist() == [0.25] * 4
    assert run.particles["raw_area"].tolist() == [24.0] * 4
    assert run.problems == ()
    assert run.facts.format == "list 017"


def test_where_list_and_export_disagree_the_list_is_used_and_it_is_said(tmp_path):
    folder = build_run(tmp_path)
    text = export_text([1, 2, 3, 9], row1={"length": 7.5}, row2={"guid": "another"})
    write_text(folder / f"{STEM}.csv", text)
    run = read_run(folder)
    assert run.particles["Length"].tolist() == [0.9] * 4
    assert run.particles["Biovolume (Cylinder)"].fillna(-1).tolist() == [1.5, -1, 3.5, -1]
    assert "line 2: Length (7.5) disagrees with the list (0.9) in 1 of 4 rows" in messages(run)
    assert "line 3: another image id than in the list in 1 of 4 rows" in messages(run)
    assert "1 of 4 particles of the list are not here" in messages(run)
    assert "1 of 4 particles are not in the list" in messages(run)


def test_a_bad_export_beside_a_list_is_a_problem_only(tmp_path):
    folder = build_run(tmp_path)
    write_text(folder / f"{STEM}.csv", "Particle ID,Length,Length\n1,2,3\n")
    run = read_run(folder)
    assert len(run.particles) == 4
    assert "the export beside the list is not used" in messages(run)


def test_a_column_of_a_user_does_not_rename_the_run(tmp_path):
    write_text(tmp_path / "mine" / "mine.csv", "Particle ID,Run,Row\n1,7,8\n")
    run = read_run(tmp_path / "mine")
    assert run.particles[["Run", "Row"]].values.tolist() == [["mine", 2]]


def test_an_export_without_a_list_names_its_collages(tmp_path):
    folder = build_run(tmp_path)
    (folder / f"{STEM}.lst").unlink()
    write_text(folder / "data_export.csv", export_text([1, 2, 3, 4]))
    run = read_run(folder)
    assert run.facts.format == "export"
    assert run.facts.volume_imaged_ml == 0.00994
    np.testing.assert_array_equal(run.crop(2), crop_of(3))
    np.testing.assert_array_equal(run.mask(2), crop_of(3) < 127)


@pytest.mark.parametrize("first_image", [0, 1])
def test_images_exported_one_by_one_are_matched_by_number_and_size(tmp_path, first_image):
    text = "Capture ID,Area (ABD) (µm²),Image X (px),Image Y (px),Image Width (px),Image Height (px)\n"
    for n in (1, 2, 3):
        text += f"{n},1.5,0,0,{10 + n},8\n"
        write_png(tmp_path / "run5" / f"run5_{n - 1 + first_image:05d}.png", np.full((8, 10 + n), 50 + n, np.uint8))
    write_text(tmp_path / "run5" / "run5.csv", text + "4,1.5,0,0,0,0\n", encoding="latin-1")
    run = read_run(tmp_path / "run5")
    assert run.facts.format == "export"
    assert [run.crop(i)[0, 0] for i in range(3)] == [51, 52, 53]
    assert reasons(run) == ["zero-sized crop (0 x 0 px)"]
    assert ("numbered from 0" in messages(run)) == (first_image == 0)
    (tmp_path / "run5" / f"run5_{first_image:05d}.png").write_bytes(b"damaged")
    assert reasons(read_run(tmp_path / "run5"))[0].startswith(f"run5_{first_image:05d}.png: empty, cut off or no PNG")


def test_a_numbered_image_of_another_size_is_not_taken_for_the_particle(tmp_path):
    folder = build_run(tmp_path)
    (folder / f"{STEM}.lst").unlink()
    (folder / f"{STEM}_000001.tif").rename(folder / f"{STEM}_images_000001.tif")
    write_text(folder / "data_export.csv", export_text([1, 2]))
    run = read_run(folder)
    assert kept(run) == [1, 2]
    assert run.crop(0) is None
    assert "1 of 2 images do not have the size" in messages(run)


def test_a_collage_that_changes_after_reading_is_not_cut_wrongly(tmp_path):
    folder = build_run(tmp_path)
    run = read_run(folder)
    write_collage(folder / f"{STEM}_000001.tif", np.zeros((8, 8), np.uint8))
    with pytest.raises(ValueError, match="it has changed since the run was read; read the run again"):
        run.crop(3)


def test_an_export_without_images_is_read_without_images(tmp_path):
    write_text(tmp_path / "run5" / "run5.csv", "Particle ID,Length\n1,2.5\n")
    run = read_run(tmp_path / "run5")
    assert kept(run) == [1]
    assert run.crop(0) is None
    assert "the table names no images" in messages(run)


def test_a_list_or_an_export_can_be_given_itself(tmp_path):
    folder = build_run(tmp_path)
    assert kept(read_run(folder / f"{STEM}.lst")) == [1, 2, 3, 4]
    write_text(folder / f"{STEM}.csv", export_text([1, 2]))
    assert kept(read_run(folder / f"{STEM}.csv")) == [1, 2]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no list .* lies directly in this folder"),
        ({"a.lst": "017", "b.lst": "017"}, "2 lists in one folder"),
        ({"a.csv": "Particle ID\n1\n", "b.csv": "Particle ID\n1\n"}, "2 particle tables in one folder"),
        ({"a.ctx": "[x]", "a_000001.tif": ""}, "no list .*copy the list from the instrument"),
        ({"cal_image_000001.tif": "", "a_000001.tif": ""}, "files of a FlowCam run"),
        ({"collage_1.png": ""}, "files of a FlowCam run"),
        ({"a.lst": ""}, r"a\.lst: the list is empty"),
    ],
)
def test_a_folder_that_is_no_run_is_refused(tmp_path, files, message):
    folder = tmp_path / "run"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    with pytest.raises(RunError, match=message):
        read_run(folder)


def test_nothing_at_all_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such run"):
        read_run(tmp_path / "absent")
    (tmp_path / "a.doc").write_text("")
    with pytest.raises(RunError, match=r"a\.doc: no particle table"):
        read_run(tmp_path / "a.doc")


def test_a_list_of_version_013_is_read_with_its_images(tmp_path):
    folder = tmp_path / "old"
    folder.mkdir()
    head = [1, 0.5, 24, 7, 5, 6.0, 16, 15, 6.0, 2.76, 3.0, 1.5, 3.1, 8, 7.5, 100.0, 9.0, 1.25, 1.5, 2400, 1.06, -30]
    row = [*head, 100, 101, 102, 1, *[0] * 8, "p.tif", 14, 0, 12, 10, 3, 4, 30849435, "1783852240l", 5]
    (folder / "old.lst").write_text("013\n1\n" + ":".join(map(str, row)) + "\n")
    tifffile.imwrite(folder / "p.tif", collage_of([particle(2)]))
    run = read_run(folder)
    np.testing.assert_array_equal(run.crop(0), crop_of(2))
    assert run.particles["Aspect Ratio"].tolist() == [0.5]  # version 1: Width / Length
    assert run.particles["Circularity"].tolist() == [0.8]
    assert (run.facts.format, run.facts.fringe_px, run.facts.time_zone) == ("list 013", 0.0, "UTC")
    assert run.facts.started_at.isoformat() == "2020-11-13T09:00:20+00:00"
    assert run.facts.missing_files == ("old.ctx", "old.csv")


def test_a_run_without_images_in_its_list_is_kept(tmp_path):
    fields = [f for f in FIELDS_53 if f != "collage_file"]
    folder = build_run(tmp_path)
    (folder / f"{STEM}.lst").write_text(list_text([particle(1)], fields))
    run = read_run(folder)
    assert run.crop(0) is None
    assert "the table names no images" in messages(run)


def test_two_readings_are_the_same(tmp_path):
    folder = build_run(tmp_path)
    first, second = read_run(folder), read_run(folder)
    pd.testing.assert_frame_equal(first.particles, second.particles)
    assert first.facts == second.facts
