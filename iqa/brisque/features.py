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
from iqa.simd.jit import row_kernel

Array = NDArray[np.float64]

MINIMUM_SIDE = 16
SCALES = 2
MOMENTS = 22
FEATURES = 36
WINDOW = gaussian_window(7, 7 / 6)
FLAT = 1e-9
# Weights of the halving, and how many of its taps are left of position 2 x. Multiples of 1/256, so
# that float32 is exact.
HALVING = np.array([-3, -9, 29, 111, 111, 29, -9, -3]) / 256
HALVING_LEFT = 3


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


@cache
def fit_tables() -> Array:
    """`[4, 9801]` of `shape_table` in the order that `fit` takes.

    Ratios, inverse ratios (of shapes from 10 to 0.2, so that both ascend), shapes, spreads.
    """
    shapes, ratios, spreads = shape_table()
    return np.stack([ratios, 1 / ratios[::-1], shapes, spreads])


@row_kernel
def nearest(table: Array, value: float) -> int:
    """Index of the entry of the ascending `table` nearest to a value; the lower one on a tie."""
    low, high = 0, len(table)
    while low < high:
        middle = (low + high) // 2
        if table[middle] < value:
            low = middle + 1
        else:
            high = middle
    above = min(max(low, 1), len(table) - 1)
    return above - int(value - table[above - 1] <= table[above] - value)


@row_kernel
def is_tie(table: Array, index: int, value: float, limit: float) -> bool:
    """Whether another entry than `index` is as near to a value, but for this share of it."""
    other = index + 1 if value > table[index] else index - 1
    if other < 0 or other == len(table):
        return False
    return abs(value - (table[index] + table[other]) / 2) < limit * value


@row_kernel
def fit(moments: Array, pixels: int, tables: Array, limit: float, out: Array) -> bool:
    """Fit the generalised Gaussians of one scale (sections III.A and III.B of the paper).

    Args:
        moments: `[22]` sums.
        pixels: how many pixels they are of.
        tables: `fit_tables()`.
        limit: by what share of it the ratio that is looked up for products may be off; that of the
            coefficients themselves by half of it.
        out: `[18]` gets the features; all nan where the fit is undefined (no contrast, or products
            of one sign only), as on a flat image.

    Returns:
        whether the sums leave two shapes tied: both are as near, but for `limit`.
    """
    ratios, inverse_ratios, shapes, spreads = tables[0], tables[1], tables[2], tables[3]
    absolute, square = moments[0] / pixels, moments[1] / pixels
    inverse_ratio = square / (absolute * absolute)
    index = nearest(inverse_ratios, inverse_ratio)
    tie = is_tie(inverse_ratios, index, inverse_ratio, limit / 2)
    out[0], out[1] = shapes[len(shapes) - 1 - index], square
    defined = True
    for direction in range(4):
        pair, k = moments[2 + 5 * direction :], 2 + 4 * direction
        left_square, right_square = pair[3], pair[4]
        left_variance, right_variance = left_square / pair[0], right_square / pair[1]
        left, right = math.sqrt(left_variance), math.sqrt(right_variance)
        skew = left / right
        skew_square = skew * skew
        ratio = pair[2] * pair[2] / ((left_square + right_square) * pixels)
        ratio *= (skew_square * skew + 1) * (skew + 1) / ((skew_square + 1) * (skew_square + 1))
        index = nearest(ratios, ratio)
        tie = tie or is_tie(ratios, index, ratio, limit)
        out[k], out[k + 1] = shapes[index], (right - left) * spreads[index]
        out[k + 2], out[k + 3] = left_variance, right_variance
        defined = defined and left_square > 0 and right_square > 0
    for feature in out:
        defined = defined and math.isfinite(feature)
    if not defined:
        out[:] = np.nan
    return tie and defined


def features_from_moments(moments: Array, pixels: NDArray[np.int64]) -> Array:
    """The features `[36]` of an image, from its sums `[2, 22]` and the pixels `[2]` of its scales.

    All are nan where one of the scales has no fit.
    """
    out = np.empty((SCALES, FEATURES // SCALES))
    for scale in range(SCALES):
        fit(moments[scale], int(pixels[scale]), fit_tables(), 0.0, out[scale])
    return np.full(FEATURES, np.nan) if np.isnan(out).any() else out.reshape(-1)
