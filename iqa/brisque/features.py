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
    above = np.clip(np.searchsorted(table, values), 1, len(table) - 1)
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
        inverse = np.where(absolute > 0, square / absolute**2, np.nan)
        shape = shapes[::-1][nearest(_inverse_ratios(), inverse)]

        pairs = moments[:, :, 2:].reshape(len(moments), SCALES, 4, 5)
        left_count, right_count, pair_absolute, left_square, right_square = np.moveaxis(pairs, 3, 0)
        left, right = np.sqrt(left_square / left_count), np.sqrt(right_square / right_count)
        skew = left / right
        ratio = (pair_absolute / count) ** 2 / ((left_square + right_square) / count)
        ratio *= (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
        index = nearest(ratios, ratio)
        mean = (right - left) * spreads[index]
        asymmetric = np.stack([shapes[index], mean, left**2, right**2], axis=3)

    rows = np.concatenate([shape, square, asymmetric.reshape(len(moments), SCALES, 16)], axis=2)
    rows = rows.reshape(len(moments), 18 * SCALES)
    rows[~np.isfinite(rows).all(axis=1) | ~np.isfinite(inverse).all(axis=(1, 2))] = np.nan
    rows[((left_square == 0) | (right_square == 0)).any(axis=(1, 2))] = np.nan
    return rows
