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


@pytest.mark.parametrize("shape", [(290, 390), (1, 100), (37, 5), (1, 1), (240, 240)])
@pytest.mark.parametrize(("low", "high"), [(1, 0), (0, 30)])
def test_places_are_the_tiles_whose_means_go_furthest(
    shape: tuple[int, int], low: float, high: float
) -> None:
    values = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    side = -(-max(shape) // 12)
    tiles = [
        (left, top, min(side, shape[1] - left), min(side, shape[0] - top))
        for top in range(0, shape[0], side)
        for left in range(0, shape[1], side)
    ]
    whole = max(width * height for *_, width, height in tiles)
    means = {
        (x, y, w, h): values[y : y + h, x : x + w].mean(dtype=np.float64)
        for x, y, w, h in tiles
        if 2 * w * h >= whole
    }
    expected = sorted(means, key=lambda tile: means[tile], reverse=high > low)[:5]
    assert maps.places(values, low, high) == expected


def test_a_lighter_colour_is_a_higher_value() -> None:
    red, green, blue = np.frombuffer(maps.PALETTE, np.uint8).reshape(256, 3).T.astype(float)
    assert (np.diff(0.2126 * red + 0.7152 * green + 0.0722 * blue) > -0.5).all()
