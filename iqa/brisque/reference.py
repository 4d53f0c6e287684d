"""BRISQUE in plain float64 NumPy: the definition that the fast kernels are tested against.

Mittal, Moorthy, Bovik, "No-Reference Image Quality Assessment in the Spatial Domain", IEEE
Transactions on Image Processing 21 (2012). Follows the authors' release at every size, except that
a pixel on a flat neighbourhood has an MSCN coefficient of exactly zero (see `mscn`).
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from iqa.brisque import regressor
from iqa.brisque.features import FLAT, HALVING, HALVING_LEFT, WINDOW, shape_table
from iqa.images import Image, luma

Array = NDArray[np.float64]


def mscn(plane: Array) -> Array:
    """Mean-subtracted contrast-normalised coefficients of a plane `[H, W]` (range 0 to 255).

    Outside the plane counts as 0. A difference from the local mean below `FLAT` is what float64
    leaves of an exact 0, and is set to it.
    """
    radius = len(WINDOW) // 2

    def blur(values: Array) -> Array:
        padded = np.pad(values, radius)
        rows = sliding_window_view(padded, len(WINDOW), axis=0) @ WINDOW
        return sliding_window_view(rows, len(WINDOW), axis=1) @ WINDOW

    mean = blur(plane)
    deviation = np.sqrt(np.abs(blur(plane**2) - mean**2))
    difference = plane - mean
    difference[np.abs(difference) < FLAT] = 0
    return difference / (deviation + 1)


def halve(plane: Array) -> Array:
    """The plane `[H, W]` at half size, as MATLAB's antialiased bicubic `imresize(plane, 0.5)`.

    Sample x (from 0) of `ceil(n / 2)` takes the eight samples around position 2 x + 0.5, those from
    2 x - 3 to 2 x + 4; beyond an edge they are mirrored, the edge sample repeated.

    Returns:
        `[ceil(H / 2), ceil(W / 2)]`.
    """
    padded = np.pad(plane, (HALVING_LEFT, len(HALVING) - 1 - HALVING_LEFT), mode="symmetric")
    height, width = plane.shape
    rows = sliding_window_view(padded, len(HALVING), axis=0)[:height:2] @ HALVING
    return sliding_window_view(rows, len(HALVING), axis=1)[:, :width:2] @ HALVING


def moments(plane: Array) -> Array:
    """The sums `[22]` that the features of one scale are fitted to; see `iqa.brisque.features`."""
    coefficients = mscn(plane)
    sums = [np.abs(coefficients).sum(), (coefficients**2).sum()]
    for shift in ((0, 1), (1, 0), (1, 1), (-1, 1)):
        product = coefficients * np.roll(coefficients, shift, axis=(0, 1))
        left, right = product[product < 0], product[product > 0]
        sums += [left.size, right.size, np.abs(product).sum(), (left**2).sum(), (right**2).sum()]
    return np.array(sums)


def fit(sums: Array, pixels: int) -> Array:
    """The features `[18]` of one scale, from its `moments` (sections III.A and III.B of the paper).

    All are nan where one is undefined: without contrast, or with products of one sign only.
    """
    shapes, ratios, spreads = shape_table()
    absolute, square = sums[:2] / pixels
    found = [shapes[np.abs(1 / ratios - square / absolute**2).argmin()], square]
    for negatives, positives, total, left_square, right_square in sums[2:].reshape(4, 5):
        left, right = np.sqrt([left_square / negatives, right_square / positives])
        skew = left / right
        ratio = (total / pixels) ** 2 / ((left_square + right_square) / pixels)
        ratio *= (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
        nearest = np.abs(ratios - ratio).argmin()
        found += [shapes[nearest], (right - left) * spreads[nearest], left**2, right**2]
    return np.array(found) if np.isfinite(found).all() else np.full(len(found), np.nan)


def features(image: Image) -> Array:
    """The 36 BRISQUE features `[36]` of one uint8 image `[H, W, C]`; nan where one is undefined."""
    full = luma(image).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.concatenate([fit(moments(each), each.size) for each in (full, halve(full))])
    return np.full(len(found), np.nan) if np.isnan(found).any() else found


def score(image: Image) -> float:
    """BRISQUE of one uint8 image `[H, W, C]`, sides at least 16; nan where it is undefined."""
    model = regressor.load()
    scaled = (
        2 * (features(image) - model.feature_low) / (model.feature_high - model.feature_low) - 1
    )
    distances = ((scaled - model.vectors) ** 2).sum(axis=1)
    return float(model.coefficients @ np.exp(-model.gamma * distances) - model.rho)
