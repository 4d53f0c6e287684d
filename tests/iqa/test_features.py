"""The fits that turn a kernel's sums into features, against samples of known distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from iqa.brisque.features import MOMENTS, SCALES, features_from_moments, nearest, shape_table

Array = NDArray[np.float64]
PIXELS = 10_000


def sums(shape: float, left: float, right: float) -> Array:
    """The sums `[22]` that many samples would make, whose products are asymmetric like this.

    Args:
        shape: of the coefficients (variance 0.25) and of their products.
        left, right: scales of the two sides of the products' density.
    """
    moment = [math.gamma((order + 1) / shape) / math.gamma(1 / shape) for order in range(3)]
    scale = math.sqrt(0.25 / moment[2])
    below = left / (left + right) * PIXELS
    above = PIXELS - below
    product = [
        below,
        above,
        moment[1] * (left * below + right * above),
        moment[2] * left**2 * below,
        moment[2] * right**2 * above,
    ]
    return np.array([PIXELS * scale * moment[1], PIXELS * 0.25, *product * 4])


def features(row: Array) -> Array:
    moments = np.broadcast_to(row, (1, SCALES, MOMENTS)).copy()
    return features_from_moments(moments, np.full((1, SCALES), PIXELS, dtype=np.int64))[0]


@pytest.mark.parametrize("shape", [0.3, 0.5, 0.731, 1.0, 2.0, 3.5, 9.0])
@pytest.mark.parametrize(("left", "right"), [(1.0, 1.0), (0.4, 0.7), (2.0, 0.3)])
def test_fits_find_the_distribution(shape: float, left: float, right: float) -> None:
    found = features(sums(shape, left, right))
    np.testing.assert_array_equal(found[:18], found[18:])
    assert found[0] == pytest.approx(shape, abs=0.00051)
    assert found[1] == pytest.approx(0.25)
    spread = math.gamma(3 / shape) / math.gamma(1 / shape)
    mean = (right - left) * math.gamma(2 / shape) / math.gamma(1 / shape)
    for start in (2, 6, 10, 14):
        assert found[start] == pytest.approx(shape, abs=0.00051)
        assert found[start + 1] == pytest.approx(mean, rel=2e-3, abs=1e-12)
        assert found[start + 2] == pytest.approx(left**2 * spread)
        assert found[start + 3] == pytest.approx(right**2 * spread)


def test_shape_stays_on_the_grid() -> None:
    row = sums(1.0, 1.0, 1.0)
    row[0] = PIXELS * 0.5  # |c| is constant: no finite shape is flat enough
    assert features(row)[0] == pytest.approx(10.0)
    row[0] = PIXELS * 0.001
    assert features(row)[0] == pytest.approx(0.2)


@pytest.mark.parametrize("zeroed", [slice(0, 22), slice(2, 3), slice(5, 6), slice(13, 17)])
def test_undefined_fits_are_nan(zeroed: slice) -> None:
    row = sums(1.0, 1.0, 1.0)
    row[zeroed] = 0
    if zeroed == slice(2, 3):
        row[5] = 0  # no product below 0
    assert np.isnan(features(row)).all()


def test_an_undefined_image_leaves_its_neighbours() -> None:
    moments = np.broadcast_to(sums(0.8, 0.5, 0.6), (3, SCALES, MOMENTS)).copy()
    moments[1] = 0
    found = features_from_moments(moments, np.full((3, SCALES), PIXELS, dtype=np.int64))
    assert np.isnan(found[1]).all()
    np.testing.assert_array_equal(found[0], features(moments[0, 0]))
    np.testing.assert_array_equal(found[2], found[0])


def test_nearest_is_the_nearest_and_the_lower_on_a_tie() -> None:
    table = np.array([1.0, 2.0, 4.0])
    found = nearest(table, np.array([-5.0, 1.4, 1.5, 1.6, 3.0, 3.1, 99.0]))
    np.testing.assert_array_equal(found, [0, 0, 0, 1, 1, 2, 2])


def test_table_is_monotonic_on_the_authors_grid() -> None:
    shapes, ratios, _ = shape_table()
    assert (shapes[0], round(shapes[-1], 9), len(shapes)) == (0.2, 10.0, 9801)
    assert (np.diff(ratios) > 0).all()
