"""SSIM's GPU kernel against the float64 reference."""

from __future__ import annotations

import numpy as np
import pytest

from iqa.images import Image
from iqa.ssim import gpu, reference
from tests.iqa.poison import poison_allocations


def pair(height: int, width: int, channels: int) -> tuple[Image, Image]:
    random = np.random.default_rng(height * width)
    original = random.integers(0, 256, (height, width, channels), dtype=np.uint8)
    noise = random.integers(-30, 31, original.shape)
    return original, np.clip(original + noise, 0, 255).astype(np.uint8)


def negative(height: int, width: int) -> tuple[Image, Image]:
    original, _ = pair(height, width, 1)
    return original, 255 - original


PAIRS = {
    "smallest": pair(11, 11, 1),
    "prime sides, RGB": pair(11, 37, 3),
    "more than a tile wide": pair(13, 79, 1),
    "negative": negative(23, 12),
    "flat": (np.full((12, 15, 1), 100, np.uint8), np.full((12, 15, 1), 109, np.uint8)),
}


@pytest.fixture(scope="module")
def batch() -> np.ndarray:
    """Scores of all pairs in one ragged batch, on poisoned memory."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        poison_allocations(monkeypatch)
        found, errors = gpu.rows(list(PAIRS.values()), "cpu")
    assert errors == [None] * len(PAIRS)
    assert found.shape == (len(PAIRS), 1)
    return found[:, 0]


@pytest.mark.parametrize("name", PAIRS)
def test_matches_the_reference(batch: np.ndarray, name: str) -> None:
    expected = reference.score(*PAIRS[name])
    assert batch[list(PAIRS).index(name)] == pytest.approx(expected, abs=1e-6)


def test_a_negative_score_is_not_clamped(batch: np.ndarray) -> None:
    assert batch[list(PAIRS).index("negative")] < -0.5
