"""Luma is Pillow's, bit for bit, also inside the CPU kernel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from iqa.brisque.cpu.load import LEFT, MID_GREY, load_row, phase_length
from iqa.images import check_image, luma, on_host
from iqa.luma import write_luma
from iqa.simd.lanes import PHASES


def test_luma_is_pillows_for_every_colour_of_a_grid() -> None:
    levels = np.array([*range(0, 256, 5), 1, 127, 128, 254], np.uint8)
    red, green, blue = (axis.ravel() for axis in np.meshgrid(levels, levels, levels))
    image = np.stack([red, green, blue], axis=1).reshape(1, -1, 3)
    expected = np.asarray(Image.fromarray(image).convert("L"))
    np.testing.assert_array_equal(luma(image), expected)
    written = np.empty((1, image.shape[1], 1), np.uint8)
    write_luma(image, written)
    np.testing.assert_array_equal(written[:, :, 0], expected)
    width = image.shape[1]
    pixels = np.zeros(image.size + 1024, np.uint8)
    pixels[: image.size] = image.reshape(-1)
    rows = np.empty((1, PHASES, phase_length(width)), np.float32)
    load_row(pixels, 0, 3, width, rows, 0)
    found = rows[0, :, LEFT:].T.reshape(-1)[:width]
    np.testing.assert_array_equal(found + MID_GREY, expected[0])


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (1, 21), (4, 16), (5, 67)])
def test_luma_is_written_whole_and_nowhere_else(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    for turned in (image, image[::-1, ::-1], image.transpose(1, 0, 2)):
        height, width, _ = turned.shape
        memory = np.full(height * width + 128, 77, np.uint8)
        write_luma(turned, memory[64:-64].reshape(height, width, 1))
        np.testing.assert_array_equal(memory[64:-64].reshape(height, width), luma(turned))
        assert set(memory[:64]) | set(memory[-64:]) == {77}


def test_luma_of_grey_is_the_grey() -> None:
    image = np.arange(256, dtype=np.uint8).reshape(1, 256, 1)
    np.testing.assert_array_equal(luma(image), image[:, :, 0])
    np.testing.assert_array_equal(luma(np.repeat(image, 3, axis=2)), image[:, :, 0])


def test_what_is_no_image_is_refused_with_its_shape() -> None:
    assert check_image(np.zeros((16, 16, 3), np.uint8), 16) is None
    for wrong in (np.zeros((16, 16), np.uint8), np.zeros((16, 16, 2), np.uint8)):
        error = check_image(wrong, 16)
        assert error is not None
        assert error.code == "invalid_image"
        assert str(list(wrong.shape)) in error.message


def test_an_image_on_a_device_comes_to_the_host() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert on_host(image) is image
    np.testing.assert_array_equal(on_host(torch.from_numpy(image)), image)
