"""BRISQUE's ties on the GPU: where two fits are tied, float64 decides as in the reference."""

from __future__ import annotations

import numpy as np
import pytest

from iqa.brisque import gpu, reference, regressor
from tests.iqa.brisque.test_gpu import noise, specks
from tests.iqa.poison import poison_allocations

# Seeds of noise in which a ratio lies within 5e-10 of the middle between two fits.
TIES = (1120, 27179)
# Blocks of 128 pixels: one more than there are parts, so that a part has several.
SUMMED = {"RGB, odd sides": (noise(17, 19, 3), 2), "specks, odd sides": (specks(17, 23), 3)}


def test_ties_are_decided_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [
        np.random.default_rng(seed).integers(0, 256, (16, 17, 1), dtype=np.uint8) for seed in TIES
    ]
    monkeypatch.setattr(gpu, "EXACT_PARTS", 1)
    poison_allocations(monkeypatch)
    found, _ = gpu.rows([(picture,) for picture in pictures], "cpu")
    expected = np.stack([reference.features(picture) for picture in pictures])
    np.testing.assert_allclose(found[:, 1:], expected, rtol=1e-9)
    np.testing.assert_allclose(found[:, 0], regressor.load().scores(expected), rtol=1e-9)


@pytest.mark.parametrize("name", SUMMED)
def test_sums_in_float64_are_those_of_the_reference(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture, parts = SUMMED[name]
    monkeypatch.setattr(gpu, "PRECISION", 1.0)  # any two fits are tied
    monkeypatch.setattr(gpu, "EXACT_PARTS", parts)
    poison_allocations(monkeypatch)
    found, _ = gpu.rows([(picture,)], "cpu")
    np.testing.assert_allclose(found[0, 1:], reference.features(picture), rtol=1e-9)
