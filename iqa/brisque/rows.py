"""The arithmetic of one image row: every inner loop of the CPU kernel, each a loop that vectorises.

A row is a run of samples in a flat buffer. Samples are luma minus 128, which halves the rounding of
float32; what surrounds the plane, black, is then -128. The loops over 7 rows are two, one per sum,
because LLVM gives up where it must prove too many pointers distinct.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from iqa.brisque.features import FLAT
from iqa.images import Image
from iqa.jit import kernel

# float32, or float64 where the arithmetic is repeated exactly.
Samples = NDArray[np.floating[Any]]
Offsets = NDArray[np.int64]

OFFSET = 128
RADIUS = 3
# Below these float32 says too little about a coefficient: a difference is off by up to 4e-5, a
# variance by up to 2e-3.
DOUBTFUL_DIFFERENCE = np.float32(2.5e-4)
DOUBTFUL_VARIANCE = np.float32(0.05)


@kernel
def levels(image: Image, row: int, out: Samples, start: int) -> None:
    """Write the luma of an image row, as `iqa.images.luma` defines it, minus 128."""
    for j in range(image.shape[1]):
        if image.shape[2] == 1:
            grey = np.int32(image[row, j, 0])
        else:
            weighted = (
                np.uint32(19595) * np.uint32(image[row, j, 0])
                + np.uint32(38470) * np.uint32(image[row, j, 1])
                + np.uint32(7471) * np.uint32(image[row, j, 2])
                + np.uint32(32768)
            )
            grey = np.int32(weighted >> np.uint32(16))
        out[start + j] = grey - np.int32(OFFSET)


@kernel
def vertical_mean(
    plane: Samples, rows: Offsets, window: Samples, out: Samples, count: int
) -> None:
    """Filter 7 rows of `plane`, which begin at `rows`, down to one."""
    kind = window.dtype.type
    a, b, c, d, e, f, g = rows[0], rows[1], rows[2], rows[3], rows[4], rows[5], rows[6]
    w0, w1, w2, w3 = window[0], window[1], window[2], window[3]
    for j in range(count):
        total = w3 * kind(plane[d + j])
        total += w2 * (kind(plane[c + j]) + kind(plane[e + j]))
        total += w1 * (kind(plane[b + j]) + kind(plane[f + j]))
        total += w0 * (kind(plane[a + j]) + kind(plane[g + j]))
        out[j] = total


@kernel
def vertical_square(
    plane: Samples, rows: Offsets, window: Samples, out: Samples, count: int
) -> None:
    """Filter the squares of 7 rows of `plane`, which begin at `rows`, down to one row."""
    kind = window.dtype.type
    a, b, c, d, e, f, g = rows[0], rows[1], rows[2], rows[3], rows[4], rows[5], rows[6]
    w0, w1, w2, w3 = window[0], window[1], window[2], window[3]
    for j in range(count):
        total = w3 * kind(plane[d + j]) * kind(plane[d + j])
        total += w2 * (
            kind(plane[c + j]) * kind(plane[c + j]) + kind(plane[e + j]) * kind(plane[e + j])
        )
        total += w1 * (
            kind(plane[b + j]) * kind(plane[b + j]) + kind(plane[f + j]) * kind(plane[f + j])
        )
        total += w0 * (
            kind(plane[a + j]) * kind(plane[a + j]) + kind(plane[g + j]) * kind(plane[g + j])
        )
        out[j] = total


@kernel
def coefficients(
    plane: Samples,
    centre: int,
    means: Samples,
    squares: Samples,
    column: int,
    window: Samples,
    out: Samples,
    start: int,
    count: int,
) -> int:
    """Finish the filters along a row and write its MSCN coefficients; count the doubtful ones.

    Args:
        plane, centre: the samples of the row, from `centre` on.
        means, squares, column: what the vertical filters made of it; `column` is 3 samples before.
        window: the 7 taps.
        out, start: where the coefficients go.
        count: how many.
    """
    kind = window.dtype.type
    w0, w1, w2, w3 = window[0], window[1], window[2], window[3]
    doubtful = np.int32(0)
    for j in range(count):
        mean = w3 * means[column + j + 3]
        mean += w2 * (means[column + j + 2] + means[column + j + 4])
        mean += w1 * (means[column + j + 1] + means[column + j + 5])
        mean += w0 * (means[column + j] + means[column + j + 6])
        square = w3 * squares[column + j + 3]
        square += w2 * (squares[column + j + 2] + squares[column + j + 4])
        square += w1 * (squares[column + j + 1] + squares[column + j + 5])
        square += w0 * (squares[column + j] + squares[column + j + 6])
        difference = kind(plane[centre + j]) - mean
        variance = square - mean * mean
        if abs(difference) < kind(FLAT):
            difference = kind(0)
        doubtful += np.int32(
            (abs(difference) < DOUBTFUL_DIFFERENCE) | (variance < DOUBTFUL_VARIANCE)
        )
        out[start + j] = difference / (np.sqrt(abs(variance)) + kind(1))
    return doubtful


@kernel
def add_magnitudes(row: Samples, start: int, count: int, sums: NDArray[np.float64]) -> None:
    """Add `[sum |c|, sum c^2]` of a row of coefficients to `sums`."""
    absolute = square = np.float32(0)
    for j in range(start, start + count):
        absolute += abs(row[j])
        square += row[j] * row[j]
    sums[0] += absolute
    sums[1] += square


@kernel
def add_products(
    row: Samples, start: int, other: int, count: int, sums: NDArray[np.float64]
) -> None:
    """Add the five sums over the products of two runs of coefficients to `sums`."""
    negative = positive = np.int32(0)
    absolute = negative_square = positive_square = np.float32(0)
    for j in range(count):
        product = row[start + j] * row[other + j]
        below, above = min(product, np.float32(0)), max(product, np.float32(0))
        negative += np.int32(product < 0)
        positive += np.int32(product > 0)
        absolute += abs(product)
        negative_square += below * below
        positive_square += above * above
    sums[0] += negative
    sums[1] += positive
    sums[2] += absolute
    sums[3] += negative_square
    sums[4] += positive_square


@kernel
def halve_columns(
    plane: Samples,
    indices: NDArray[np.int64],
    weights: NDArray[np.float64],
    out: Samples,
    start: int,
) -> None:
    """Resample a row to half its length."""
    for j in range(len(indices)):
        total = 0.0
        for tap in range(weights.shape[1]):
            total += weights[j, tap] * plane[indices[j, tap]]
        out[start + j] = total


@kernel
def halve_rows(
    ring: Samples, rows: Offsets, weights: NDArray[np.float64], out: Samples
) -> None:
    """Resample the rows of the plane that begin at `rows` to one row."""
    for j in range(len(out)):
        out[j] = weights[0] * ring[rows[0] + j]
    for tap in range(1, len(rows)):
        first, weight = rows[tap], weights[tap]
        for j in range(len(out)):
            out[j] += weight * ring[first + j]
