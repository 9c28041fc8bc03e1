"""Images: judged by their headers, decoded as grey, and never outside of the folder."""

import os

import cv2
import numpy as np
import pytest
import tifffile

from icecore_dagster.flowcam.images import (
    LUMINANCE,
    SWAPPED_LUMINANCE,
    ImageError,
    SafeFolder,
    UnsafeNameError,
    image_size,
    read_grey,
    verify_image,
)

from .builders import crop_of, png_claiming, tiff_claiming, write_png

NOISE = np.random.default_rng(0).integers(0, 256, (60, 80), dtype=np.uint8)


def save(path, image, **options):
    if path.suffix == ".png":
        write_png(path, image if image.ndim == 2 else image[..., ::-1])
    else:
        tifffile.imwrite(path, image, photometric="rgb" if image.ndim == 3 else "minisblack", **options)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.TIFF"])
def test_grey_stored_as_colour_comes_out_as_it_was(tmp_path, name):
    path = save(tmp_path / name, np.dstack([NOISE] * 3))
    assert image_size(path) == NOISE.shape
    for weights in (LUMINANCE, SWAPPED_LUMINANCE):
        np.testing.assert_array_equal(read_grey(path, weights), NOISE)


@pytest.mark.parametrize(
    "options", [{}, {"compression": "lzw"}, {"compression": "lzw", "predictor": True}, {"tile": (16, 16)}]
)
def test_grey_tiff_of_any_kind_is_read_exactly(tmp_path, options):
    np.testing.assert_array_equal(read_grey(save(tmp_path / "a.tif", NOISE, **options)), NOISE)


@pytest.mark.parametrize(("weights", "grey"), [(LUMINANCE, 76), (SWAPPED_LUMINANCE, 29)])
@pytest.mark.parametrize("name", ["red.png", "red.tif"])
def test_colour_becomes_grey_by_the_weights_of_the_version(tmp_path, name, weights, grey):
    red = np.zeros((5, 6, 3), dtype=np.uint8)
    red[..., 0] = 255
    assert np.unique(read_grey(save(tmp_path / name, red), weights)).tolist() == [grey]


def test_colour_in_separate_planes_is_read(tmp_path):
    colour = np.random.default_rng(1).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.moveaxis(colour, -1, 0).copy(), photometric="rgb", planarconfig="separate")
    expected = colour @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(read_grey(path), expected, atol=0.51)


@pytest.mark.parametrize(
    ("name", "content"), [("a.png", png_claiming(60_000, 60_000)), ("a.tif", tiff_claiming(60_000, 60_000))]
)
def test_gigapixels_are_refused_before_they_are_decoded(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ImageError, match=rf"{name}: its header claims 60000 x 60000 pixels.*; copy it again"):
        image_size(path)
    with pytest.raises(ImageError, match="claims"):
        read_grey(path)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.99])
def test_a_truncated_image_is_refused(tmp_path, name, share):
    path = save(tmp_path / name, NOISE, compression="lzw")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ImageError, match=rf"^{name}: .*; copy it again from the instrument"):
        verify_image(path)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_a_damaged_image_is_refused(tmp_path, name):
    path = save(tmp_path / name, NOISE, compression="lzw")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 300] = bytes(300)
    path.write_bytes(content)
    with pytest.raises(ImageError, match=name):
        verify_image(path)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_something_else_under_the_name_of_an_image_is_refused(tmp_path, name):
    (tmp_path / name).write_text("this is a text\n" * 20)
    with pytest.raises(ImageError, match=r"no (PNG|TIFF) image"):
        verify_image(tmp_path / name)


def test_sixteen_bits_are_refused(tmp_path):
    deep = NOISE.astype(np.uint16)
    assert cv2.imwrite(str(tmp_path / "a.png"), deep)
    tifffile.imwrite(tmp_path / "a.tif", deep)
    for name in ("a.png", "a.tif"):
        with pytest.raises(ImageError, match="save it as 8-bit grey"):
            verify_image(tmp_path / name)


@pytest.mark.parametrize(
    "name",
    [
        "../secret.png",
        "a/../../secret.png",
        "/etc/secret.png",
        "C:\\secret.png",
        "C:secret.png",
        "\\\\host\\x.png",
        "..\\secret.png",
    ],
)
def test_a_name_that_leads_out_is_refused(tmp_path, name):
    write_png(tmp_path / "secret.png", crop_of(1))
    folder = tmp_path / "run"
    folder.mkdir()
    with pytest.raises(UnsafeNameError, match="leads out"):
        SafeFolder(folder).find(name)


def test_a_link_that_leads_out_is_refused(tmp_path):
    write_png(tmp_path / "outside" / "1.png", crop_of(1))
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "file.png").symlink_to(tmp_path / "outside" / "1.png")
    (folder / "folder").symlink_to(tmp_path / "outside")
    for name in ("file.png", "folder/1.png", "folder\\1.png"):
        with pytest.raises(UnsafeNameError, match="outside of the folder"):
            SafeFolder(folder).find(name)


def test_names_are_found_below_the_folder(tmp_path):
    write_png(tmp_path / "deep" / "1.png", crop_of(1))
    write_png(tmp_path / "Run_1.TIF.png", crop_of(1))
    (tmp_path / "link.png").symlink_to(tmp_path / "deep" / "1.png")
    safe = SafeFolder(tmp_path)
    assert safe.find("deep\\1.png") == safe.find("./deep/1.png") == tmp_path.resolve() / "deep" / "1.png"
    assert safe.find("RUN_1.tif.PNG") == tmp_path.resolve() / "Run_1.TIF.png"
    assert safe.find("link.png") is not None
    assert safe.find("absent.png") is None
    assert safe.find("x" * 5000) is None


def test_a_pipe_is_no_image(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    assert SafeFolder(tmp_path).find("a.png") is None
