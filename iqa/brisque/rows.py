"""The arithmetic of one image row: the inner loops of the CPU kernel, written so that they vectorise.

Samples are luma minus 128, which halves the rounding of float32; what surrounds the plane, black,
is then -128. The filters over 7 rows are two loops, one per sum, because LLVM gives up where it
must prove too many arrays distinct.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from iqa.brisque.features import FLAT
from iqa.images import Image
from iqa.jit import kernel

# `[n]` float32, or float64 where the arithmetic is repeated exactly.
Samples = NDArray[np.floating[Any]]

OFFSET = 128
# Antialiased bicubic at scale 1/2, the first half of its 8 taps: multiples of 1/256.
HALVING = (np.array([-3, -9, 29, 111]) / 256).astype(np.float32)
# Below these float32 says too little about a coefficient: a difference is off by up to 4e-5, a
# variance by up to 2e-3.
DOUBTFUL_DIFFERENCE = np.float32(2.5e-4)
DOUBTFUL_VARIANCE = np.float32(0.05)


@kernel
def levels(pixels: NDArray[np.uint8], out: Samples) -> None:
    """Write the luma of grey or RGB pixels `[n]` or `[3 n]`, as `iqa.images.luma` defines it."""
    if len(pixels) == len(out):
        for j in range(len(out)):
            out[j] = np.int32(pixels[j]) - np.int32(OFFSET)
    else:
        for j in range(len(out)):
            weighted = (
                np.uint32(19595) * np.uint32(pixels[3 * j])
                + np.uint32(38470) * np.uint32(pixels[3 * j + 1])
                + np.uint32(7471) * np.uint32(pixels[3 * j + 2])
                + np.uint32(32768)
            )
            out[j] = np.int32(weighted >> np.uint32(16)) - np.int32(OFFSET)


@kernel
def vertical_mean(
    a: Samples, b: Samples, c: Samples, d: Samples, e: Samples, f: Samples, g: Samples,
    window: Samples, out: Samples,
) -> None:  # fmt: skip
    """Filter 7 rows down to one, as long as `out`."""
    kind = window.dtype.type
    w0, w1, w2, w3 = window[0], window[1], window[2], window[3]
    for j in range(len(out)):
        total = w3 * kind(d[j])
        total += w2 * (kind(c[j]) + kind(e[j]))
        total += w1 * (kind(b[j]) + kind(f[j]))
        out[j] = total + w0 * (kind(a[j]) + kind(g[j]))


@kernel
def vertical_square(
    a: Samples, b: Samples, c: Samples, d: Samples, e: Samples, f: Samples, g: Samples,
    window: Samples, out: Samples,
) -> None:  # fmt: skip
    """Filter the squares of 7 rows down to one, as long as `out`."""
    kind = window.dtype.type
    w0, w1, w2, w3 = window[0], window[1], window[2], window[3]
    for j in range(len(out)):
        total = w3 * (kind(d[j]) * kind(d[j]))
        total += w2 * (kind(c[j]) * kind(c[j]) + kind(e[j]) * kind(e[j]))
        total += w1 * (kind(b[j]) * kind(b[j]) + kind(f[j]) * kind(f[j]))
        out[j] = total + w0 * (kind(a[j]) * kind(a[j]) + kind(g[j]) * kind(g[j]))


@kernel
def coefficients(
    centre: Samples, means: Samples, squares: Samples, window: Samples, out: Samples
) -> int:
    """Finish the filters along a row and write its MSCN coefficients; count the doubtful ones.

    Args:
        centre: `[n]` samples of the row.
        means, squares: `[n + 6]` what the vertical filters made of it, from 3 samples before it.
        window: the 7 taps.
        out: `[n]` coefficients.
    """
    kind = window.dtype.type
    w0, w1, w2, w3 = window[0], window[1], window[2], window[3]
    doubtful = np.int32(0)
    for j in range(len(out)):
        mean = w3 * means[j + 3]
        mean += w2 * (means[j + 2] + means[j + 4])
        mean += w1 * (means[j + 1] + means[j + 5])
        mean += w0 * (means[j] + means[j + 6])
        square = w3 * squares[j + 3]
        square += w2 * (squares[j + 2] + squares[j + 4])
        square += w1 * (squares[j + 1] + squares[j + 5])
        square += w0 * (squares[j] + squares[j + 6])
        difference = kind(centre[j]) - mean
        variance = square - mean * mean
        if abs(difference) < kind(FLAT):
            difference = kind(0)
        doubtful += np.int32(
            (abs(difference) < DOUBTFUL_DIFFERENCE) | (variance < DOUBTFUL_VARIANCE)
        )
        out[j] = difference / (np.sqrt(abs(variance)) + kind(1))
    return doubtful


@kernel
def add_magnitudes(row: Samples, sums: NDArray[np.float64]) -> None:
    """Add `[sum |c|, sum c^2]` of a row of coefficients to `sums`."""
    absolute = square = np.float32(0)
    for j in range(len(row)):
        absolute += abs(row[j])
        square += row[j] * row[j]
    sums[0] += absolute
    sums[1] += square


@kernel
def add_products(row: Samples, other: Samples, sums: NDArray[np.float64]) -> None:
    """Add the five sums over the products of two runs of coefficients to `sums`."""
    zero = np.float32(0)
    negative = positive = np.int32(0)
    absolute = negative_square = positive_square = zero
    for j in range(len(row)):
        product = row[j] * other[j]
        square = product * product
        negative += np.int32(product < zero)
        positive += np.int32(product > zero)
        absolute += abs(product)
        negative_square += square if product < zero else zero
        positive_square += square if product > zero else zero
    sums[0] += negative
    sums[1] += positive
    sums[2] += absolute
    sums[3] += negative_square
    sums[4] += positive_square


@kernel
def halve_rows_even(
    a: Samples, b: Samples, c: Samples, d: Samples, e: Samples, f: Samples, g: Samples, h: Samples,
    out: Samples,
) -> None:  # fmt: skip
    """Resample 8 rows to one where the height is even: every step is exact in float32."""
    w0, w1, w2, w3 = HALVING[0], HALVING[1], HALVING[2], HALVING[3]
    for j in range(len(out)):
        total = w3 * (d[j] + e[j]) + w2 * (c[j] + f[j])
        out[j] = total + (w1 * (b[j] + g[j]) + w0 * (a[j] + h[j]))


@kernel
def halve_columns_even(row: Samples, out: Samples) -> None:
    """Resample `[2 n + 6]` samples, of which 3 either side are mirrored, to `[n]`, exactly."""
    w0, w1, w2, w3 = HALVING[0], HALVING[1], HALVING[2], HALVING[3]
    for j in range(len(out)):
        total = w3 * (row[2 * j + 3] + row[2 * j + 4]) + w2 * (row[2 * j + 2] + row[2 * j + 5])
        total += w1 * (row[2 * j + 1] + row[2 * j + 6]) + w0 * (row[2 * j] + row[2 * j + 7])
        out[j] = total


@kernel
def add_scaled(row: Samples, weight: float, out: Samples) -> None:
    """Add a row times `weight` to `out`."""
    for j in range(len(out)):
        out[j] += weight * row[j]


@kernel
def add_gathered(
    row: Samples, indices: NDArray[np.int64], weights: NDArray[np.float64], out: Samples
) -> None:
    """Add the samples of a row at `indices` `[n]` times `weights` `[n]` to `out`."""
    for j in range(len(out)):
        out[j] += weights[j] * row[indices[j]]
