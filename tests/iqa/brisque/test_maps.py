"""BRISQUE's map is the magnitude of the reference's MSCN coefficients, and changes no score."""

from __future__ import annotations

import numpy as np
import pytest

import iqa
from iqa.brisque.reference import mscn
from iqa.images import luma

RANDOM = np.random.default_rng(5)


@pytest.mark.parametrize("shape", [(16, 16, 1), (255, 40, 3), (600, 33, 3)])
def test_a_map_is_the_magnitude_of_the_mscn_coefficients(shape: tuple[int, int, int]) -> None:
    image = RANDOM.integers(0, 256, shape, dtype=np.uint8)
    scores = iqa.brisque.score([image], maps=True)
    assert scores.maps is not None
    (found,) = scores.maps
    assert found is not None
    assert found.dtype == np.float32
    expected = np.abs(mscn(luma(image).astype(np.float64)))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(scores.values, iqa.brisque.score([image]).values)


def test_an_image_without_a_score_has_no_map() -> None:
    flat, small = np.zeros((64, 64, 1), np.uint8), np.zeros((8, 8, 1), np.uint8)
    scores = iqa.brisque.score([flat, small], maps=True)
    assert scores.maps == [None, None]
    assert iqa.brisque.score([flat]).maps is None
