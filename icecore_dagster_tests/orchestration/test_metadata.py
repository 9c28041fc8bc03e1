"""What people see of an asset in the UI."""

import base64
import io

import pytest
from PIL import Image

from icecore_dagster.orchestration.metadata import PICTURE_PX, numbers, picture


@pytest.mark.parametrize(("size", "shown"), [((2_000, 500), (PICTURE_PX, 250)), ((640, 3_000), (640, 3_000))])
def test_a_picture_fits_the_window_and_keeps_its_shape(size, shown):
    buffer = io.BytesIO()
    Image.new("RGBA", size, (200, 10, 10, 255)).save(buffer, format="PNG")
    markdown = picture(buffer.getvalue(), "a red one").value
    head, _, content = markdown.removesuffix(")").partition(",")
    assert head == "![a red one](data:image/png;base64"
    image = Image.open(io.BytesIO(base64.b64decode(content)))
    assert image.size == shown
    assert image.convert("RGB").getpixel((5, 5)) == (200, 10, 10)


def test_numbers_are_as_long_as_people_read_them():
    shown = numbers({"kWh": 0.00001567098765667955, "particles": 3_085_063, "nothing": None, "found": True, "ROC": 0.0})
    assert {key: one.value for key, one in shown.items()} == {
        "kWh": 0.000015671,
        "particles": 3_085_063,
        "nothing": "unknown",
        "found": True,
        "ROC": 0.0,
    }
