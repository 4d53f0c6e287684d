"""PSNR's GPU kernel has the CPU's bits, as its sums are integers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from iqa.images import Image
from iqa.psnr import cpu, gpu
from iqa.psnr.gpu import sums
from tests.iqa.poison import poison_allocations

PART = sums.BLOCK * sums.BLOCKS_PER_PART


def pair(height: int, width: int, channels: int) -> tuple[Image, Image]:
    random = np.random.default_rng(height * width)
    one, other = random.integers(0, 256, (2, height, width, channels), dtype=np.uint8)
    return one, other


def extreme(height: int, width: int) -> tuple[Image, Image]:
    """As different as two pictures can be: a sum of 32 bits holds 66,051 such pixels."""
    return np.zeros((height, width, 3), np.uint8), np.full((height, width, 3), 255, np.uint8)


PAIRS = {
    "one pixel": pair(1, 1, 1),
    "one row, RGB": pair(1, 7, 3),
    "prime sides, RGB": pair(17, 37, 3),
    "a part to the pixel": pair(PART // 64, 64, 1),
    "a part and a pixel": pair(1, PART + 1, 3),
    "identical": pair(20, 20, 3)[:1] * 2,
    "black and white": extreme(300, 400),
}


@pytest.fixture(scope="module")
def batch() -> np.ndarray:
    """All pairs in one ragged batch, on poisoned memory."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        poison_allocations(monkeypatch)
        found, errors = gpu.rows(list(PAIRS.values()), "cpu")
    assert errors == [None] * len(PAIRS)
    return found


@pytest.mark.parametrize("name", PAIRS)
def test_has_the_bits_of_the_cpu(batch: np.ndarray, name: str) -> None:
    expected = cpu.rows([PAIRS[name]], threads=1)[0]
    np.testing.assert_array_equal(batch[list(PAIRS).index(name)], expected)


def test_views_and_tensors_are_read_as_they_are() -> None:
    one, other = pair(20, 30, 3)
    cut = (one[::2, 5:], other[::2, 5:])
    tensors = tuple(torch.from_numpy(image.copy()) for image in (one, other))
    found, _ = gpu.rows([cut, tensors], "cpu")
    np.testing.assert_array_equal(found, cpu.rows([cut, (one, other)], threads=1))


@pytest.mark.parametrize("shape", [(1, 1, 1), (1081, 1921, 3)])
def test_memory_for_a_pair_covers_its_pixels_and_tables(shape: tuple[int, int, int]) -> None:
    pixels = 2 * int(np.prod(shape))
    assert pixels < gpu.memory_needed(np.array([shape]))[0] <= 1.01 * pixels + 512
