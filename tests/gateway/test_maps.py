"""A map's picture has the colours of inferno, its numbers are the model's, and Accept chooses."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from gateway import maps


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", maps.PNG),
        ("*/*", maps.PNG),
        ("image/avif,image/webp,*/*;q=0.8", maps.PNG),
        ("application/octet-stream", maps.RAW),
        ("Application/Octet-Stream; q=0.9, text/html", maps.RAW),
        ("image/png, application/octet-stream", maps.PNG),
    ],
)
def test_numbers_are_for_those_who_ask(accept: str, kind: str) -> None:
    assert maps.media_type(accept) == kind


def test_values_become_colours_and_what_lies_outside_is_clipped() -> None:
    values = np.array([[-1, 0, 1], [2, 4, 9]], dtype=np.float32)
    image = Image.open(BytesIO(maps.picture(values, 0, 4))).convert("RGB")
    dark, middle, bright = (0x00, 0x00, 0x04), (0xBC, 0x37, 0x54), (0xFC, 0xFF, 0xA4)
    found = np.asarray(image).reshape(-1, 3)
    assert image.size == (3, 2)
    assert [tuple(found[i]) for i in (0, 1, 4, 5)] == [dark, dark, bright, bright]
    np.testing.assert_allclose(found[3], middle, atol=2)


def test_a_lighter_colour_is_a_higher_value() -> None:
    red, green, blue = np.frombuffer(maps.PALETTE, np.uint8).reshape(256, 3).T.astype(float)
    assert (np.diff(0.2126 * red + 0.7152 * green + 0.0722 * blue) > -0.5).all()
