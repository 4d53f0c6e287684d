"""BRISQUE is the same at every level, and each level's bits in any batch."""

from __future__ import annotations

import numpy as np
import pytest

import iqa.brisque
from iqa.images import Image
from iqa.simd.levels import LEVEL, available
from tests.iqa.at_level import lines_at_level
from tests.iqa.content import KINDS, PHOTOGRAPHS, photograph, picture

SIZES = [(16, 16, 3), (17, 33, 1), (64, 129, 3), (97, 300, 1), (530, 71, 3)]


def pictures() -> list[Image]:
    made = [picture(kind, *size, seed) for seed, kind in enumerate(KINDS) for size in SIZES]
    return [*made, *map(photograph, PHOTOGRAPHS)]


@pytest.mark.parametrize("other", [each.name for each in available() if each is not LEVEL])
def test_levels_agree_and_each_has_its_own_bits_in_any_batch(other: str) -> None:
    lines = lines_at_level("tests.iqa.brisque.score_at_level", other)
    assert lines[0] == lines[1] == lines[2]
    values = [float.fromhex(value) for value in lines[0].split()]
    np.testing.assert_allclose(values, iqa.brisque.score(pictures()).values, rtol=0, atol=1e-4)
