import json
import pickletools
from pathlib import Path

import cv2
import numpy as np
import pytest

from icecore_dagster.learning.networks.tensors import (
    BACKGROUND_GREY,
    TensorFormatError,
    open_tensors,
    to_network_input,
    write_tensors,
)


def _crops(rng: np.random.Generator, shapes: list[tuple[int, int]]) -> list[np.ndarray]:
    return [rng.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]


def test_what_is_written_comes_back_native_and_resized(tmp_path: Path) -> None:
    crops = _crops(np.random.default_rng(0), [(7, 300), (128, 128), (1, 1), (200, 40)])
    write_tensors(tmp_path / "set", iter(crops), ["a_1", "a_2", "b_10", "b_9"])
    tensors = open_tensors(tmp_path / "set")
    assert tensors.particle_ids.tolist() == ["a_1", "a_2", "b_10", "b_9"]
    for i, crop in enumerate(crops):
        np.testing.assert_array_equal(tensors.native(i), crop)
        np.testing.assert_array_equal(tensors.images[i], to_network_input(crop))
    assert isinstance(tensors.images, np.memmap)
    assert isinstance(tensors.pixels, np.memmap)


def test_resize_is_plain_bilinear() -> None:
    crop = _crops(np.random.default_rng(1), [(31, 57)])[0]
    plain = cv2.resize(crop, (128, 128), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(to_network_input(crop, background_grey=BACKGROUND_GREY), plain)


@pytest.mark.parametrize("background", [100, 122, 134, 146])
def test_a_particle_looks_alike_on_every_background(background: int) -> None:
    crop = np.full((40, 40), background, np.uint8)
    crop[10:30, 10:30] = round(0.5 * background)
    found = to_network_input(crop)
    assert found[0, 0] == BACKGROUND_GREY
    assert found[64, 64] == pytest.approx(0.5 * BACKGROUND_GREY, abs=1)


def test_light_beyond_the_scale_is_cut_off_and_black_water_refuses_nothing() -> None:
    glint = np.full((9, 9), 100, np.uint8)
    glint[4, 4] = 250
    assert to_network_input(glint, 9)[4, 4] == 255
    assert to_network_input(np.zeros((5, 5), np.uint8)).max() == 0


def test_a_failure_on_the_way_leaves_the_former_set_and_no_debris(tmp_path: Path) -> None:
    crops = _crops(np.random.default_rng(2), [(9, 9), (8, 8)])
    write_tensors(tmp_path / "set", crops, ["a", "b"])

    def cut_off():
        yield crops[0]
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_tensors(tmp_path / "set", cut_off(), ["c", "d"])
    assert open_tensors(tmp_path / "set").particle_ids.tolist() == ["a", "b"]
    assert [p.name for p in tmp_path.iterdir()] == ["set"]


def test_writing_again_replaces(tmp_path: Path) -> None:
    crops = _crops(np.random.default_rng(3), [(9, 9), (8, 8)])
    write_tensors(tmp_path / "set", crops, ["a", "b"])
    write_tensors(tmp_path / "set", crops[1:], ["c"])
    assert open_tensors(tmp_path / "set").particle_ids.tolist() == ["c"]


@pytest.mark.parametrize(
    ("count", "ids", "message"),
    [
        (2, ["a", "b", "c"], "c is the first without an image"),
        (2, ["a"], "more crops"),
        (2, ["a", "a"], "twice"),
        (0, [], "empty"),
    ],
)
def test_crops_and_ids_that_do_not_match_are_refused(tmp_path: Path, count: int, ids: list[str], message: str) -> None:
    crops = _crops(np.random.default_rng(4), [(5, 5)] * count)
    with pytest.raises(ValueError, match=message):
        write_tensors(tmp_path / "set", crops, ids)
    assert not (tmp_path / "set").exists()


def test_a_colour_crop_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"particle b:.*uint8"):
        write_tensors(tmp_path / "set", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.uint8)], ["a", "b"])


def test_absent_and_foreign_sets_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="write them first"):
        open_tensors(tmp_path / "none")
    write_tensors(tmp_path / "set", [np.zeros((4, 4), np.uint8)], ["a"])
    (tmp_path / "set" / "tensors.json").write_text(json.dumps({"format_version": 99}))
    with pytest.raises(TensorFormatError, match="write the tensors again"):
        open_tensors(tmp_path / "set")


def test_no_file_of_the_set_is_a_pickle(tmp_path: Path) -> None:
    write_tensors(tmp_path / "set", [np.zeros((4, 4), np.uint8)], ["a"])
    for file in (tmp_path / "set").glob("*.npy"):
        np.load(file, allow_pickle=False)
        with pytest.raises(ValueError):
            list(pickletools.genops(file.read_bytes()))
