"""What people see of an asset in the UI."""

import base64
import io

import pytest
from PIL import Image

from icecore_dagster.orchestration.metadata import PICTURE_PX, picture


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
