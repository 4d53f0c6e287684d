"""Luma against Pillow, whose integer arithmetic it repeats."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image as Pillow

from iqa.images import luma

LEVELS = np.arange(256, dtype=np.uint8)


@pytest.mark.parametrize("blue", [0, 1, 85, 127, 128, 254, 255])
def test_every_red_and_green_as_pillow(blue: int) -> None:
    red, green = np.meshgrid(LEVELS, LEVELS)
    image = np.stack([red, green, np.full_like(red, blue)], axis=2)
    np.testing.assert_array_equal(luma(image), np.asarray(Pillow.fromarray(image).convert("L")))


def test_grey_is_its_own_luma() -> None:
    grey = LEVELS.reshape(16, 16, 1)
    np.testing.assert_array_equal(luma(grey), grey[:, :, 0])
    np.testing.assert_array_equal(luma(np.repeat(grey, 3, axis=2)), grey[:, :, 0])
