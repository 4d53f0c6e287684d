"""BRISQUE against what the authors' own MATLAB release makes of scikit-image's pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import iqa
from iqa.brisque import reference, regressor
from iqa.images import luma
from tests.iqa.content import photograph

AUTHORS = json.loads((Path(__file__).parents[1] / "authors.json").read_text())["brisque"]
TOLERANCE = 0.02


@pytest.mark.parametrize("name", AUTHORS["pictures"])
def test_is_the_authors_score_in_exact_arithmetic(name: str) -> None:
    entry = AUTHORS["pictures"][name]
    grey = luma(photograph(name))
    assert list(grey.shape) == entry["shape"]
    image = grey[:, :, None]
    features = reference.features(image)
    assert regressor.load().scores(features[None])[0] == pytest.approx(entry["exact"], abs=2e-3)
    assert iqa.brisque.score([image]).values[0] == pytest.approx(entry["exact"], abs=TOLERANCE)


@pytest.mark.parametrize("sides", [(16, 16), (17, 16), (16, 17), (19, 21)])
def test_halving_takes_eight_samples_of_a_mirrored_plane(sides: tuple[int, int]) -> None:
    height, width = sides
    plane = np.random.default_rng(height * width).integers(0, 256, sides).astype(np.float64)
    halved = reference.halve(plane)
    assert halved.shape == (-(-height // 2), -(-width // 2))

    def mirrored(index: int, length: int) -> int:
        index = -1 - index if index < 0 else index
        return 2 * length - 1 - index if index >= length else index

    weights = [-3, -9, 29, 111, 111, 29, -9, -3]
    for row, column in np.ndindex(halved.shape):
        expected = sum(
            weights[i]
            * weights[j]
            * plane[mirrored(2 * row - 3 + i, height), mirrored(2 * column - 3 + j, width)]
            for i in range(8)
            for j in range(8)
        )
        assert halved[row, column] * 65536 == expected
