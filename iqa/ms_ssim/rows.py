"""MS-SSIM one row at a time: the loops that the CPU kernel spends its time in.

A row holds the values of its pixels' channels next to each other, as in an RGB image, so that
neighbours in a channel are `channels` values apart. The pair is held as difference `u = x - y` and
centred sum `v = x + y - CENTRE`. With E the Gaussian window and var z = E[z^2] - E[z]^2,
2 cov(x, y) = (var v - var u) / 2 and var x + var y = (var v + var u) / 2, so that

    contrast-structure = 1 - var u / ((var u + var v) / 2 + C2):

four filtered fields, and exactly 1 on identical pixels. Samples of all scales are exact in float32.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from iqa.images import Image
from iqa.jit import kernel
from iqa.ms_ssim.pooling import C1, C2

Samples = NDArray[np.float32]
Real = NDArray[np.float32] | NDArray[np.float64]
Array = NDArray[np.float64]

CENTRE = 255.0
TAPS = 11


@kernel
def load(x: Image, y: Image, u: Samples, v: Samples) -> None:
    """Difference and centred sum of two rows of pixels."""
    for i in range(len(u)):
        left, right = np.float32(x[i]), np.float32(y[i])
        u[i] = left - right
        v[i] = left + right - np.float32(CENTRE)


@kernel
def blur_down(ring: Samples, oldest: int, first: int, taps: Real, mean: Real, square: Real) -> None:
    """Weighted mean and mean square over the 11 rows of a ring, from position `first` on."""
    real = taps.dtype.type
    w0, w1, w2, w3, w4, w5 = taps
    r0 = ring[oldest, first:]
    r1 = ring[(oldest + 1) % TAPS, first:]
    r2 = ring[(oldest + 2) % TAPS, first:]
    r3 = ring[(oldest + 3) % TAPS, first:]
    r4 = ring[(oldest + 4) % TAPS, first:]
    r5 = ring[(oldest + 5) % TAPS, first:]
    r6 = ring[(oldest + 6) % TAPS, first:]
    r7 = ring[(oldest + 7) % TAPS, first:]
    r8 = ring[(oldest + 8) % TAPS, first:]
    r9 = ring[(oldest + 9) % TAPS, first:]
    r10 = ring[(oldest + 10) % TAPS, first:]
    for i in range(len(mean)):
        a0, b0 = real(r0[i]), real(r10[i])
        a1, b1 = real(r1[i]), real(r9[i])
        a2, b2 = real(r2[i]), real(r8[i])
        a3, b3 = real(r3[i]), real(r7[i])
        a4, b4 = real(r4[i]), real(r6[i])
        c = real(r5[i])
        mean[i] = (
            w0 * (a0 + b0) + w1 * (a1 + b1) + w2 * (a2 + b2) + w3 * (a3 + b3) + w4 * (a4 + b4)
        ) + w5 * c
        square[i] = (
            w0 * (a0 * a0 + b0 * b0)
            + w1 * (a1 * a1 + b1 * b1)
            + w2 * (a2 * a2 + b2 * b2)
            + w3 * (a3 * a3 + b3 * b3)
            + w4 * (a4 * a4 + b4 * b4)
        ) + w5 * (c * c)


@kernel
def blur_along(row: Real, i: int, step: int, taps: Real) -> float:
    """Weighted mean of 11 values of a channel, the first at `i`."""
    return (
        taps[0] * (row[i] + row[i + 10 * step])
        + taps[1] * (row[i + step] + row[i + 9 * step])
        + taps[2] * (row[i + 2 * step] + row[i + 8 * step])
        + taps[3] * (row[i + 3 * step] + row[i + 7 * step])
        + taps[4] * (row[i + 4 * step] + row[i + 6 * step])
        + taps[5] * row[i + 5 * step]
    )


@kernel
def contrast_loss(
    mean_u: Samples,
    square_u: Samples,
    mean_v: Samples,
    square_v: Samples,
    step: int,
    taps: Samples,
    loss: Samples,
) -> float:
    """1 - contrast-structure of a row, from the fields that `blur_down` made of it.

    Returns:
        how much rounding the row may have suffered: the sum of what one part of 1 in the mean
        squares amounts to in the loss.
    """
    half, one, c2 = np.float32(0.5), np.float32(1), np.float32(C2)
    w0, w1, w2, w3, w4, w5 = taps
    w = (w0, w1, w2, w3, w4, w5)
    risk = np.float32(0)
    for i in range(len(loss)):
        mu = blur_along(mean_u, i, step, w)
        mv = blur_along(mean_v, i, step, w)
        variance_u = blur_along(square_u, i, step, w) - mu * mu
        variance_v = blur_along(square_v, i, step, w) - mv * mv
        scale = one / (half * (variance_u + variance_v) + c2)
        value = variance_u * scale
        loss[i] = value
        risk += (mu * mu + half * value * (mv * mv)) * scale
    return risk


@kernel
def losses(
    mean_u: Array,
    square_u: Array,
    mean_v: Array,
    square_v: Array,
    step: int,
    taps: Array,
    contrast: Array,
    ssim: Array,
) -> None:
    """1 - contrast-structure and 1 - SSIM of a row, in float64."""
    w0, w1, w2, w3, w4, w5 = taps
    w = (w0, w1, w2, w3, w4, w5)
    for i in range(len(contrast)):
        mu = blur_along(mean_u, i, step, w)
        mv = blur_along(mean_v, i, step, w)
        variance_u = blur_along(square_u, i, step, w) - mu * mu
        variance_v = blur_along(square_v, i, step, w) - mv * mv
        value = variance_u / (0.5 * (variance_u + variance_v) + C2)
        total = mv + CENTRE
        luminance = mu * mu / (0.5 * (mu * mu + total * total) + C1)
        contrast[i] = value
        ssim[i] = value + luminance - value * luminance


@kernel
def accumulate(row: Real, sums: Array) -> None:
    """Add a row to the sums of its positions."""
    for i in range(len(sums)):
        sums[i] += row[i]


@kernel
def halve(above: Samples, below: Samples, start: int, channels: int, out: Samples) -> None:
    """Means of 2x2 blocks of two rows, the first block's left column at pixel `start`.

    A `start` of -1 is the column that replicates column 0.
    """
    quarter = np.float32(0.25)
    first = 0
    if start < 0:
        for c in range(channels):
            out[c] = np.float32(0.5) * (above[c] + below[c])
        first = 1
    count = len(out) // channels - first
    a = above[(start + 2 * first) * channels :]
    b = below[(start + 2 * first) * channels :]
    o = out[first * channels :]
    if channels == 1:
        for j in range(count):
            o[j] = quarter * ((a[2 * j] + b[2 * j]) + (a[2 * j + 1] + b[2 * j + 1]))
    else:
        for j in range(count):
            i, k = 6 * j, 3 * j
            o[k] = quarter * ((a[i] + b[i]) + (a[i + 3] + b[i + 3]))
            o[k + 1] = quarter * ((a[i + 1] + b[i + 1]) + (a[i + 4] + b[i + 4]))
            o[k + 2] = quarter * ((a[i + 2] + b[i + 2]) + (a[i + 5] + b[i + 5]))
