from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import tifffile

from icecore_dagster.flowcam.run import read_run
from icecore_dagster.particles.measure import measure_particle
from icecore_dagster.particles.properties import BY_FLOWCAM_NAME
from icecore_dagster.simulation.writer.tables import EXPORT_COLUMNS, LIST_FIELDS


@pytest.fixture
def run_folder(ice_folders: tuple[Path, Path]) -> Path:
    return ice_folders[0] / "GRIP_3046_0_20_1"


def test_a_run_folder_holds_what_the_instrument_leaves(run_folder: Path):
    name = run_folder.name
    texts = {f"{name}.lst", f"{name}.csv", f"{name}.ctx", f"{name}_run_summary.txt", f"{name}_summary.csv"}
    pictures = {"cal_image_000001.tif", f"{name}_000001.tif", f"{name}_000001_bin.tif"}
    assert {path.name for path in run_folder.iterdir()} == texts | pictures


def test_our_reader_finds_nothing_to_complain_of(run_folder: Path, labelled_folder: Path):
    for folder in (run_folder, *(path for path in labelled_folder.iterdir() if not path.name.startswith("."))):
        run = read_run(folder)
        assert run.problems == ()
        assert len(run.rejects) == 0
        assert run.facts.missing_files == ()
        assert run.facts.particles_claimed == len(run.particles)


def test_run_facts_follow_from_the_context(run_folder: Path):
    facts = read_run(run_folder).facts
    frames = int(_context(run_folder)["RawImageTotal"])
    assert facts.magnification == 20
    assert facts.calibration_um_per_px == 0.277
    assert facts.fringe_px == 4.5
    assert facts.volume_imaged_ml == pytest.approx(frames * 1280 * 960 * 0.277**2 * 80e-12, abs=1e-6)


def test_export_properties_equal_those_recomputed_from_crop_and_mask(run_folder: Path):
    exported = pd.read_csv(run_folder / f"{run_folder.name}.csv")
    assert tuple(exported.columns) == EXPORT_COLUMNS
    for i, crop, mask in read_run(run_folder).iter_crops():
        row = exported.iloc[i]
        values = measure_particle(crop, mask, 0.277, 4.5, int(row["Capture X"]), int(row["Capture Y"]))
        for name in set(EXPORT_COLUMNS) & set(BY_FLOWCAM_NAME):
            assert row[name] == pytest.approx(values[BY_FLOWCAM_NAME[name].column], rel=1e-6, abs=5.1e-5), name


def test_list_and_export_agree(run_folder: Path):
    lines = (run_folder / f"{run_folder.name}.lst").read_text().splitlines()
    assert lines[:2] == ["017", "num-fields|53"]
    listed = pd.DataFrame([line.split("|") for line in lines[55:]], columns=list(LIST_FIELDS))
    exported = pd.read_csv(run_folder / f"{run_folder.name}.csv", dtype=str)
    for field, column in {
        "id": "Particle ID",
        "image_x": "Image X",
        "src_y": "Capture Y",
        "esd_diameter": "Diameter (ESD)",
        "roughness": "Roughness",
        "timestamp": "Timestamp",
        "collage_file": "Image File",
        "elapsed_time": "Elapsed Time",
    }.items():
        assert listed[field].tolist() == exported[column].tolist(), field
    assert listed["image_id"].is_unique


def test_crops_keep_the_instruments_border_and_contrast(run_folder: Path):
    calibration = cv2.imread(str(run_folder / "cal_image_000001.tif"), cv2.IMREAD_GRAYSCALE)
    context = _context(run_folder)
    run = read_run(run_folder)
    for i, crop, mask in run.iter_crops():
        x, y = int(run.particles["Capture X"][i]), int(run.particles["Capture Y"][i])
        height, width = crop.shape
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        inside = x > 0 and y > 0 and x + width < 1280 and y + height < 960
        if inside:
            assert (rows[0], columns[0], height - rows[-1], width - columns[-1]) == (4, 4, 5, 5)
        difference = crop.astype(int) - calibration[y : y + height, x : x + width]
        far = (difference < -float(context["ThresholdDark"])) | (difference > float(context["ThresholdLight"]))
        # Closing adds to the mask only what lies near pixels beyond the thresholds, and takes none of them away.
        reached = cv2.dilate(far.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=int(context["CloseHoles"]))
        assert not (mask & (reached == 0)).any()
        assert (far & mask).any()


def test_collages_are_grey_rgb_and_masks_black_or_white(run_folder: Path):
    for path in sorted(run_folder.glob("*_0?????.tif")):
        if path.name.startswith("cal_image"):
            continue
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages[0]
            assert page.compression == tifffile.COMPRESSION.LZW
            assert {"Software", "DateTime"}.isdisjoint(tag.name for tag in page.tags)
            collage = page.asarray()
        assert collage.shape == (960, 1280, 3)
        assert (collage == collage[:, :, :1]).all()
        mask = tifffile.imread(path.with_name(path.name.replace(".tif", "_bin.tif")))
        assert set(np.unique(mask)) == {0, 255}


def test_context_time_is_utc_and_list_time_local(run_folder: Path):
    local = pd.Timestamp(
        (run_folder / f"{run_folder.name}_run_summary.txt").read_text().split("Start:")[1][:21].strip()
    )
    assert local - pd.Timestamp(_context(run_folder)["RunStartTime"]) == pd.Timedelta(hours=1)
    first = pd.read_csv(run_folder / f"{run_folder.name}.csv")["Timestamp"].iloc[0]
    assert pd.Timestamp(first) >= local


def _context(folder: Path) -> dict[str, str]:
    lines = (folder / f"{folder.name}.ctx").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)
