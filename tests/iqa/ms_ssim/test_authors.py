"""MS-SSIM against what the authors' own MATLAB release makes of scikit-image's pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import iqa
from iqa.images import luma
from iqa.ms_ssim import reference
from tests.iqa.content import photograph

AUTHORS = json.loads((Path(__file__).parents[1] / "authors.json").read_text())["ms_ssim"]
TOLERANCE = 2e-6


def poster(grey: np.ndarray) -> np.ndarray:
    return grey // 32 * 32


def box(grey: np.ndarray) -> np.ndarray:
    padded = np.pad(grey, 1, mode="edge")
    height, width = grey.shape
    sums = [padded[i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return sum(sums) // 9


def blocks(grey: np.ndarray) -> np.ndarray:
    means = np.empty_like(grey)
    for top in range(0, grey.shape[0], 8):
        for left in range(0, grey.shape[1], 8):
            block = grey[top : top + 8, left : left + 8]
            means[top : top + 8, left : left + 8] = block.sum() // block.size
    return (grey + 3 * means) // 4


DISTORTIONS = {"poster": poster, "box": box, "blocks": blocks}


@pytest.mark.parametrize("distortion", DISTORTIONS)
@pytest.mark.parametrize("name", AUTHORS["pictures"])
def test_is_the_authors_score(name: str, distortion: str) -> None:
    entry = AUTHORS["pictures"][name]
    grey = luma(photograph(name))
    assert list(grey.shape) == entry["shape"]
    distorted = DISTORTIONS[distortion](grey.astype(np.int64)).astype(np.uint8)
    x, y = grey[:, :, None], distorted[:, :, None]
    expected = pytest.approx(entry[distortion], abs=TOLERANCE)
    assert reference.score(x, y) == expected
    assert iqa.ms_ssim.score([x], [y]).values[0] == expected


@pytest.mark.parametrize("sides", [(5, 6), (6, 5), (5, 5), (1, 1)])
def test_an_odd_side_repeats_its_last_row_or_column(sides: tuple[int, int]) -> None:
    height, width = sides
    plane = np.arange(height * width, dtype=np.float64).reshape(height, width, 1) ** 2
    halved = reference.halve(plane)
    assert halved.shape == (-(-height // 2), -(-width // 2), 1)
    for row, column in np.ndindex(halved.shape[:2]):
        rows = [2 * row, min(2 * row + 1, height - 1)]
        columns = [2 * column, min(2 * column + 1, width - 1)]
        assert halved[row, column, 0] == plane[np.ix_(rows, columns)].mean()
