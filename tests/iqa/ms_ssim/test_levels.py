"""MS-SSIM and SSIM are the same at every level, and each level's bits in any batch."""

from __future__ import annotations

import numpy as np
import pytest

import iqa.ms_ssim
import iqa.ssim
from iqa.images import Image
from iqa.simd.levels import LEVEL, available
from tests.iqa.at_level import lines_at_level
from tests.iqa.content import KINDS, picture

SIZES = [(161, 163, 3), (240, 331, 1), (177, 1600, 1)]
WITH_MULTIPLY_ADD = ("v4", "v3")


def pairs() -> list[tuple[Image, Image]]:
    made = []
    for seed, kind in enumerate(KINDS):
        for size in SIZES:
            x = picture(kind, *size, seed)
            noise = np.random.default_rng(seed).normal(0, 2 + 4 * seed, x.shape)
            made.append((x, np.clip(np.rint(x + noise), 0, 255).astype(np.uint8)))
    return made


@pytest.mark.parametrize(
    "other",
    [each.name for each in available() if each.name in WITH_MULTIPLY_ADD and each is not LEVEL],
)
def test_levels_agree_and_each_has_its_own_bits_in_any_batch(other: str) -> None:
    lines = lines_at_level("tests.iqa.ms_ssim.score_at_level", other)
    x, y = (list(images) for images in zip(*pairs(), strict=True))
    for score, there in ((iqa.ms_ssim.score, lines[:3]), (iqa.ssim.score, lines[3:])):
        assert there[0] == there[1] == there[2]
        values = [float.fromhex(value) for value in there[0].split()]
        np.testing.assert_allclose(values, score(x, y).values, rtol=0, atol=1e-7)
