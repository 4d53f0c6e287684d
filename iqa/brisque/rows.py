"""The arithmetic of one image row: the inner loops of the CPU kernel, written so that they vectorise.

Samples are luma minus 128, which halves the rounding of float32; what surrounds the plane, black,
is then -128. The filters over 7 rows are two loops, one per sum, because LLVM gives up where it
must prove too many arrays distinct.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from iqa.brisque.features import FLAT, WINDOW
from iqa.images import Image
from iqa.jit import kernel

# `[n]` float32, or float64 where the arithmetic is repeated exactly.
Samples = NDArray[np.floating[Any]]

OFFSET = 128
SPAN = 1024
LINE = SPAN + len(WINDOW) - 1
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
def filter_columns(
    a: Samples, b: Samples, c: Samples, d: Samples, e: Samples, f: Samples, g: Samples,
    window: Samples, lines: Samples,
) -> None:  # fmt: skip
    """Filter 7 rows and their squares down to one line each, `[LINE]` and `[LINE]`."""
    kind = window.dtype.type
    w0, w1, w2, w3 = window[0], window[1], window[2], window[3]
    for j in range(len(d)):
        a0, b0, c0, d0 = kind(a[j]), kind(b[j]), kind(c[j]), kind(d[j])
        e0, f0, g0 = kind(e[j]), kind(f[j]), kind(g[j])
        lines[j] = (w3 * d0 + w2 * (c0 + e0)) + (w1 * (b0 + f0) + w0 * (a0 + g0))
        square = w3 * (d0 * d0) + w2 * (c0 * c0 + e0 * e0)
        lines[LINE + j] = square + (w1 * (b0 * b0 + f0 * f0) + w0 * (a0 * a0 + g0 * g0))


@kernel
def filter_row(centre: Samples, window: Samples, lines: Samples, out: Samples) -> bool:
    """Filter two lines along the row and write its MSCN coefficients; say if one is doubtful.

    Args:
        centre: `[n]` samples of the row, n at most `SPAN`.
        window: the 7 taps.
        lines: what `filter_columns` made of the row, from 3 samples before it on.
        out: `[n]` coefficients.
    """
    kind = window.dtype.type
    w0, w1, w2, w3 = window[0], window[1], window[2], window[3]
    doubtful = np.float32(0)
    for j in range(len(out)):
        mean = w3 * lines[j + 3] + w2 * (lines[j + 2] + lines[j + 4])
        mean += w1 * (lines[j + 1] + lines[j + 5]) + w0 * (lines[j] + lines[j + 6])
        k = LINE + j
        square = w3 * lines[k + 3] + w2 * (lines[k + 2] + lines[k + 4])
        square += w1 * (lines[k + 1] + lines[k + 5]) + w0 * (lines[k] + lines[k + 6])
        difference = kind(centre[j]) - mean
        variance = square - mean * mean
        difference = kind(0) if abs(difference) < kind(FLAT) else difference
        near = (abs(difference) < DOUBTFUL_DIFFERENCE) | (variance < DOUBTFUL_VARIANCE)
        doubtful += np.float32(1) if near else np.float32(0)
        out[j] = difference / (np.sqrt(abs(variance)) + kind(1))
    return doubtful > 0


@kernel
def add_row(row: Samples, above: Samples, sums: NDArray[np.float64]) -> None:
    """Add the 22 sums of a row of coefficients to `sums`; see `iqa.brisque.features`.

    Args:
        row, above: `[n + 2]` two rows of the plane, each between copies of its two ends.
        sums: `[22]`.
    """
    zero, one = np.float32(0), np.float32(1)
    absolute = square = zero
    n0 = n1 = n2 = n3 = p0 = p1 = p2 = p3 = zero  # float32 counts: half the instructions
    a0 = a1 = a2 = a3 = l0 = l1 = l2 = l3 = r0 = r1 = r2 = r3 = zero
    for j in range(len(row) - 2):
        c = row[j + 1]
        absolute += abs(c)
        square += c * c
        x0, x1, x2, x3 = c * row[j], c * above[j + 1], c * above[j], c * above[j + 2]
        n0 += one if x0 < zero else zero
        p0 += one if x0 > zero else zero
        a0 += abs(x0)
        l0 += x0 * x0 if x0 < zero else zero
        r0 += x0 * x0 if x0 > zero else zero
        n1 += one if x1 < zero else zero
        p1 += one if x1 > zero else zero
        a1 += abs(x1)
        l1 += x1 * x1 if x1 < zero else zero
        r1 += x1 * x1 if x1 > zero else zero
        n2 += one if x2 < zero else zero
        p2 += one if x2 > zero else zero
        a2 += abs(x2)
        l2 += x2 * x2 if x2 < zero else zero
        r2 += x2 * x2 if x2 > zero else zero
        n3 += one if x3 < zero else zero
        p3 += one if x3 > zero else zero
        a3 += abs(x3)
        l3 += x3 * x3 if x3 < zero else zero
        r3 += x3 * x3 if x3 > zero else zero
    sums[0] += absolute
    sums[1] += square
    for start, n, p, a, l, r in (
        (2, n0, p0, a0, l0, r0),
        (7, n1, p1, a1, l1, r1),
        (12, n2, p2, a2, l2, r2),
        (17, n3, p3, a3, l3, r3),
    ):
        sums[start] += n
        sums[start + 1] += p
        sums[start + 2] += a
        sums[start + 3] += l
        sums[start + 4] += r


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
