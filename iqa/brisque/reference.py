"""BRISQUE in plain float64 NumPy: the definition that the fast kernels are tested against.

Mittal, Moorthy, Bovik, "No-Reference Image Quality Assessment in the Spatial Domain", IEEE
Transactions on Image Processing 21 (2012). Follows the authors' release as piq 0.8 does, except
that a pixel on a flat neighbourhood has an MSCN coefficient of exactly zero (see `mscn`).
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from iqa.brisque.features import FLAT, WINDOW, features_from_moments
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


def resize_taps(length: int) -> tuple[NDArray[np.intp], Array]:
    """Taps of MATLAB's antialiased bicubic `imresize` from `length` to `length // 2` samples.

    Returns:
        positions `[length // 2, taps]`, of which the outer ones lie outside; and their weights,
        which sum to 1. For an even length there are 8 taps and the weights are multiples of 1/256.
    """
    half = length // 2
    scale = half / length
    taps = int(np.ceil(4 / scale)) + 2
    centres = (np.arange(half) + 0.5) / scale - 0.5
    first = np.floor(centres) - taps // 2 + 1
    positions = first[:, None] + np.arange(taps)
    x = np.abs(centres[:, None] - positions) * scale
    weights = np.where(
        x <= 1,
        1.5 * x**3 - 2.5 * x**2 + 1,
        np.where(x <= 2, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2, 0),
    )
    weights /= weights.sum(axis=1, keepdims=True)
    used = np.flatnonzero(np.any(weights != 0, axis=0))
    columns = slice(used[0], used[-1] + 1)
    return positions[:, columns].astype(np.intp), weights[:, columns]


def resize_weights(length: int) -> tuple[NDArray[np.intp], Array]:
    """The same with positions outside mirrored, the edge sample repeated."""
    indices, weights = resize_taps(length)
    indices = np.where(indices < 0, -1 - indices, indices)
    return np.where(indices >= length, 2 * length - 1 - indices, indices), weights


def halve(plane: Array) -> Array:
    """The plane `[H, W]` at half size, `[H // 2, W // 2]`, by antialiased bicubic interpolation."""
    indices, weights = resize_weights(plane.shape[0])
    rows = np.einsum("otw,ot->ow", plane[indices], weights)
    indices, weights = resize_weights(plane.shape[1])
    return np.einsum("rot,ot->ro", rows[:, indices], weights)


def moments(plane: Array) -> Array:
    """The 22 sums `[22]` that the 18 features of one scale are fitted to, see `features`."""
    coefficients = mscn(plane)
    sums = [np.abs(coefficients).sum(), (coefficients**2).sum()]
    for shift in ((0, 1), (1, 0), (1, 1), (-1, 1)):
        product = coefficients * np.roll(coefficients, shift, axis=(0, 1))
        left, right = product[product < 0], product[product > 0]
        sums += [left.size, right.size, np.abs(product).sum(), (left**2).sum(), (right**2).sum()]
    return np.array(sums)


def features(image: Image) -> Array:
    """The 36 BRISQUE features `[36]` of one uint8 image `[H, W, C]`; nan where one is undefined."""
    full = luma(image).astype(np.float64)
    half = halve(full)
    sums = np.stack([moments(full), moments(half)])
    return features_from_moments(sums, np.array([full.size, half.size]))
