"""From the sums that a kernel makes of an image to the 36 features that BRISQUE regresses on.

A kernel reduces each of two scales to 22 sums over its MSCN coefficients: `[sum |c|, sum c^2]`, and
for the products of each coefficient with its left, upper, upper-left and lower-left neighbour (the
plane wraps around) `[count < 0, count > 0, sum |p|, sum p^2 where p < 0, sum p^2 where p > 0]`.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from iqa.gaussian import gaussian_window

Array = NDArray[np.float64]

MINIMUM_SIDE = 16
SCALES = 2
MOMENTS = 22
WINDOW = gaussian_window(7, 7 / 6)
FLAT = 1e-9


@cache
def shape_table() -> tuple[Array, Array, Array]:
    """Shapes on the authors' grid, 0.2 to 10 in steps of 0.001, and what a fit looks up there.

    Returns:
        shapes, `E|x|^2 / E[x^2]` of a generalised Gaussian of that shape (ascending), and its
        `Gamma(2/a) / sqrt(Gamma(1/a) Gamma(3/a))`.
    """
    shapes = np.float64(0.2) + 0.001 * np.arange(9801)
    log_gamma = np.vectorize(math.lgamma, otypes=[np.float64])
    log_ratio = log_gamma(2 / shapes) - (log_gamma(1 / shapes) + log_gamma(3 / shapes)) / 2
    return shapes, np.exp(2 * log_ratio), np.exp(log_ratio)


def nearest(table: Array, values: Array) -> NDArray[np.intp]:
    """Index of the entry of the ascending `table` nearest to each value; the lower one on a tie."""
    above = np.minimum(np.maximum(table.searchsorted(values), 1), len(table) - 1)
    return above - (values - table[above - 1] <= table[above] - values)


@cache
def _inverse_ratios() -> Array:
    """`E[x^2] / E|x|^2` in the ascending order that `nearest` needs: of shapes from 10 to 0.2."""
    return 1 / shape_table()[1][::-1]


def features_from_moments(moments: Array, pixels: NDArray[np.int64]) -> Array:
    """Fit the generalised Gaussians (moment matching, sections III.A and III.B of the paper).

    Args:
        moments: `[N, 2, 22]` sums, per image and scale.
        pixels: `[N, 2]` pixels of each scale.

    Returns:
        `[N, 36]` features; a row is nan where the fit is undefined (no contrast, or products of one
        sign only), as on a flat image.
    """
    shapes, ratios, spreads = shape_table()
    count = pixels[:, :, None].astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        absolute, square = moments[:, :, 0:1] / count, moments[:, :, 1:2] / count
        inverse = square / absolute**2
        shape = shapes[::-1][nearest(_inverse_ratios(), inverse)]

        pairs = moments[:, :, 2:].reshape(len(moments), SCALES, 4, 5).transpose(3, 0, 1, 2)
        left_count, right_count, pair_absolute, left_square, right_square = pairs
        left_variance, right_variance = left_square / left_count, right_square / right_count
        left, right = np.sqrt(left_variance), np.sqrt(right_variance)
        skew = left / right
        skew_square = skew * skew
        ratio = pair_absolute * pair_absolute / ((left_square + right_square) * count)
        ratio *= (skew_square * skew + 1) * (skew + 1) / ((skew_square + 1) * (skew_square + 1))
        index = nearest(ratios, ratio)
        mean = (right - left) * spreads[index]

    scales = np.empty((len(moments), SCALES, 18))
    scales[:, :, 0:1], scales[:, :, 1:2] = shape, square
    scales[:, :, 2::4], scales[:, :, 3::4] = shapes[index], mean
    scales[:, :, 4::4], scales[:, :, 5::4] = left_variance, right_variance
    rows = scales.reshape(len(moments), 18 * SCALES)
    one_sided = ((left_square == 0) | (right_square == 0)).any(axis=(1, 2))
    rows[one_sided | ~np.isfinite(rows).all(axis=1)] = np.nan
    return rows
