"""MS-SSIM one row at a time: the loops that the CPU kernel spends its time in.

The pair is held as difference `u = x - y` and centred sum `v = x + y - CENTRE`. With E the Gaussian
window and var z = E[z^2] - E[z]^2, 2 cov(x, y) = (var v - var u) / 2 and
var x + var y = (var v + var u) / 2, so that

    contrast-structure = 1 - var u / ((var u + var v) / 2 + C2):

four filtered fields, and exactly 1 on identical pixels. Samples of all scales are exact in float32.

A row is a list of four phases of `length` samples: pixel 4 j + p of a channel is sample j of phase
p. The 11 taps of 4 neighbouring pixels are then 14 vectors to load, not 44.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from iqa.images import Image
from iqa.jit import row_kernel
from iqa.lanes import VECTOR_BYTES, evens, load, odds, spread, store, sum_of
from iqa.ms_ssim.pooling import C1, C2

Samples = NDArray[np.float32]
Array = NDArray[np.float64]
Real = NDArray[Any]  # float32, or float64 where a row needs it
Words = NDArray[np.uint32]

CENTRE = 255
PHASES = 4
# Rows of windows that are made at a time, and the rows of samples that they take.
GROUP = 4
RING = 16


@row_kernel
def separate(
    row: Image, columns: NDArray[np.int64], regular: int, channels: int, planes: Image
) -> None:
    """Copy the pixels `columns` of an interleaved row into planes `[C, N]`.

    Columns are consecutive from the one at `regular` on.
    """
    for j in range(regular):
        for c in range(channels):
            planes[c, j] = row[columns[j] * channels + c]
    rest, count = row[columns[regular] * channels :], len(columns) - regular
    if channels == 1:
        grey = planes[0, regular:]
        for j in range(count):
            grey[j] = rest[j]
    else:
        red, green, blue = planes[0, regular:], planes[1, regular:], planes[2, regular:]
        for j in range(count):
            red[j], green[j], blue[j] = rest[3 * j], rest[3 * j + 1], rest[3 * j + 2]


@row_kernel
def split(x: Words, y: Words, length: int, u: Samples, v: Samples) -> None:
    """Difference and centred sum of planes of pixels, of which a word holds one of each phase."""
    byte, centre = np.uint32(255), np.int32(CENTRE)
    u0, u1, u2, u3 = u[:length], u[length:], u[2 * length :], u[3 * length :]
    v0, v1, v2, v3 = v[:length], v[length:], v[2 * length :], v[3 * length :]
    for j in range(length):
        a, b = x[j], y[j]
        x0, y0 = np.int32(a & byte), np.int32(b & byte)
        x1, y1 = np.int32(a >> np.uint32(8) & byte), np.int32(b >> np.uint32(8) & byte)
        x2, y2 = np.int32(a >> np.uint32(16) & byte), np.int32(b >> np.uint32(16) & byte)
        x3, y3 = np.int32(a >> np.uint32(24)), np.int32(b >> np.uint32(24))
        u0[j], v0[j] = np.int32(x0 - y0), np.int32(x0 + y0 - centre)
        u1[j], v1[j] = np.int32(x1 - y1), np.int32(x1 + y1 - centre)
        u2[j], v2[j] = np.int32(x2 - y2), np.int32(x2 + y2 - centre)
        u3[j], v3[j] = np.int32(x3 - y3), np.int32(x3 + y3 - centre)


@row_kernel
def centre_of(row: Samples) -> float:
    """Mean of a row as a whole number, so that samples stay exact when it is subtracted."""
    total = np.float32(0)
    for i in range(len(row)):
        total += row[i]
    return np.rint(total / len(row))


@row_kernel
def _weights(taps: Real) -> Any:
    return spread(taps[0]), spread(taps[1]), spread(taps[2]), spread(taps[3]), spread(taps[4])


@row_kernel
def _window(w: Any, a: Any) -> Any:
    """Weighted sum of the first 11 of `a`; the window is symmetric and its middle weighs 1."""
    pairs = (
        w[0] * (a[0] + a[10]) + w[1] * (a[1] + a[9]) + w[2] * (a[2] + a[8]) + w[3] * (a[3] + a[7])
    )
    return pairs + (w[4] * (a[4] + a[6]) + a[5])


@row_kernel
def _group(w: Any, a: Any) -> Any:
    """Weighted sums of 4 windows over 14 values."""
    return _window(w, a), _window(w, a[1:]), _window(w, a[2:]), _window(w, a[3:])


@row_kernel
def _store_rows(out: Real, index: int, a: Any) -> None:
    store(out[0], index, a[0])
    store(out[1], index, a[1])
    store(out[2], index, a[2])
    store(out[3], index, a[3])


@row_kernel
def _store_phases(out: Real, index: int, length: int, a: Any) -> None:
    store(out, index, a[0])
    store(out, index + length, a[1])
    store(out, index + 2 * length, a[2])
    store(out, index + 3 * length, a[3])


@row_kernel
def blur_down(
    ring: Samples,
    top: int,
    start: int,
    count: int,
    centre: float,
    taps: Real,
    mean: Real,
    square: Real,
) -> None:
    """Weighted mean and mean square of `sample - centre` down each column, for 4 rows of windows.

    Args:
        ring: `[16, M]` the last rows.
        top: first row of the first window; row r is at r modulo 16.
        start, count: the columns.
        centre: makes squares small.
        taps: outer half of the window's weights.
        mean, square: `[4, N]` get the result.
    """
    middle, w = spread(taps.dtype.type(centre)), _weights(taps)
    # Modulo 16 as a mask, which is right for negative rows, too.
    r0, r1 = ring[top & 15, start:], ring[top + 1 & 15, start:]
    r2, r3 = ring[top + 2 & 15, start:], ring[top + 3 & 15, start:]
    r4, r5 = ring[top + 4 & 15, start:], ring[top + 5 & 15, start:]
    r6, r7 = ring[top + 6 & 15, start:], ring[top + 7 & 15, start:]
    r8, r9 = ring[top + 8 & 15, start:], ring[top + 9 & 15, start:]
    r10, r11 = ring[top + 10 & 15, start:], ring[top + 11 & 15, start:]
    r12, r13 = ring[top + 12 & 15, start:], ring[top + 13 & 15, start:]
    for i in range(0, count, VECTOR_BYTES // taps.itemsize):
        a = (
            load(r0, i, middle) - middle, load(r1, i, middle) - middle,
            load(r2, i, middle) - middle, load(r3, i, middle) - middle,
            load(r4, i, middle) - middle, load(r5, i, middle) - middle,
            load(r6, i, middle) - middle, load(r7, i, middle) - middle,
            load(r8, i, middle) - middle, load(r9, i, middle) - middle,
            load(r10, i, middle) - middle, load(r11, i, middle) - middle,
            load(r12, i, middle) - middle, load(r13, i, middle) - middle,
        )  # fmt: skip
        _store_rows(mean, i, _group(w, a))
        a = (
            a[0] * a[0], a[1] * a[1], a[2] * a[2], a[3] * a[3], a[4] * a[4], a[5] * a[5],
            a[6] * a[6], a[7] * a[7], a[8] * a[8], a[9] * a[9], a[10] * a[10], a[11] * a[11],
            a[12] * a[12], a[13] * a[13],
        )  # fmt: skip
        _store_rows(square, i, _group(w, a))


@row_kernel
def _group_along(w: Any, row: Real, j: int, length: int) -> Any:
    """Weighted sums of 11 neighbouring pixels, from sample `j` of each phase on."""
    k, m, n = j + length, j + 2 * length, j + 3 * length
    like = w[0]
    return _group(w, (
        load(row, j, like), load(row, k, like), load(row, m, like), load(row, n, like),
        load(row, j + 1, like), load(row, k + 1, like),
        load(row, m + 1, like), load(row, n + 1, like),
        load(row, j + 2, like), load(row, k + 2, like),
        load(row, m + 2, like), load(row, n + 2, like),
        load(row, j + 3, like), load(row, k + 3, like),
    ))  # fmt: skip


@row_kernel
def blur_along(
    mean: Real, square: Real, length: int, taps: Real, gain: float, means: Real, variances: Real
) -> None:
    """Window means and variances of a row, from column means and mean squares.

    What comes out is `1 / gain` times too large, gain being 1 over the sum of the window's weights.
    """
    w, factor = _weights(taps), spread(taps.dtype.type(gain))
    for j in range(0, length, VECTOR_BYTES // taps.itemsize):
        a = _group_along(w, mean, j, length)
        _store_phases(means, j, length, a)
        b = _group_along(w, square, j, length)
        _store_phases(variances, j, length, (
            b[0] - factor * (a[0] * a[0]), b[1] - factor * (a[1] * a[1]),
            b[2] - factor * (a[2] * a[2]), b[3] - factor * (a[3] * a[3]),
        ))  # fmt: skip


@row_kernel
def contrast_along(
    mean: Samples,
    square: Samples,
    variance_u: Samples,
    length: int,
    taps: Samples,
    gain: float,
    loss: Samples,
    energy_v: Samples,
    variance_v: Samples,
) -> None:
    """`blur_along` of v, and half of 1 - contrast-structure of each window added to `loss`.

    Of v it leaves what `risk` wants: squared mean and variance of the first phase.
    """
    w, factor, c2 = _weights(taps), spread(np.float32(gain)), spread(np.float32(2 * C2 / gain))
    for j in range(0, length, VECTOR_BYTES // taps.itemsize):
        a = _group_along(w, mean, j, length)
        a = a[0] * a[0], a[1] * a[1], a[2] * a[2], a[3] * a[3]
        store(energy_v, j, a[0])
        b = _group_along(w, square, j, length)
        store(variance_v, j, b[0] - factor * a[0])
        _add(loss, j, load(variance_u, j, c2), b[0] - factor * a[0], c2)
        _add(loss, j + length, load(variance_u, j + length, c2), b[1] - factor * a[1], c2)
        _add(loss, j + 2 * length, load(variance_u, j + 2 * length, c2), b[2] - factor * a[2], c2)
        _add(loss, j + 3 * length, load(variance_u, j + 3 * length, c2), b[3] - factor * a[3], c2)


@row_kernel
def _add(loss: Samples, i: int, u: Any, v: Any, c2: Any) -> None:
    store(loss, i, load(loss, i, c2) + u / (u + v + c2))


@row_kernel
def risk(
    mean_u: Samples, variance_u: Samples, energy_v: Samples, variance_v: Samples, gain: float
) -> float:
    """How delicate windows are; `energy_v` is the square of the mean of v.

    Returns:
        the sum of what an error of one part in the mean squares makes of the losses, where windows
        are so alike that their errors are, too.
    """
    half, one = spread(np.float32(0.5)), spread(np.float32(1))
    c2, noise = spread(np.float32(C2 / gain)), spread(np.float32(16 / gain))
    sums = spread(np.float32(0))
    for i in range(0, len(mean_u), VECTOR_BYTES // mean_u.itemsize):
        mean, square = load(mean_u, i, one), load(energy_v, i, one)
        u, v = load(variance_u, i, one), load(variance_v, i, one)
        dither = noise + v
        inverse = one / ((half * (u + v) + c2) * dither)
        energy = half * noise * (u * dither * inverse) * square
        sums = sums + inverse * (mean * mean * dither + energy)
    return gain * float(sum_of(sums))


@row_kernel
def losses(
    mean_u: Array,
    variance_u: Array,
    mean_v: Array,
    variance_v: Array,
    gain: float,
    contrast: Array,
    ssim: Array,
) -> None:
    """1 - contrast-structure and 1 - SSIM of each window, in float64; see `blur_along`."""
    for i in range(len(contrast)):
        mean, total = gain * mean_u[i], gain * mean_v[i] + CENTRE
        value = variance_u[i] / (0.5 * (variance_u[i] + variance_v[i]) + C2 / gain)
        luminance = mean * mean / (0.5 * (mean * mean + total * total) + C1)
        contrast[i] = value
        ssim[i] = value + luminance - value * luminance


@row_kernel
def accumulate(row: Real, factor: float, sums: Array) -> None:
    """Add `factor` times a row to the sums of its windows."""
    for i in range(len(sums)):
        sums[i] += factor * row[i]


@row_kernel
def halve(above: Samples, below: Samples, length: int, half: int, out: Samples) -> None:
    """Means of 2x2 pixels of two rows; `half` is the length of the result's phases."""
    quarter = spread(np.float32(0.25))
    step = VECTOR_BYTES // out.itemsize
    for j in range(0, half, step):
        for pair in range(2):
            i = 2 * (pair * length + j)
            a = _sum_of_blocks(above, below, i, length, quarter)
            b = _sum_of_blocks(above, below, i + step, length, quarter)
            store(out, pair * half + j, evens(a, b))
            store(out, (pair + 2) * half + j, odds(a, b))


@row_kernel
def _sum_of_blocks(above: Samples, below: Samples, i: int, length: int, quarter: Any) -> Any:
    k = i + length
    upper = load(above, i, quarter) + load(above, k, quarter)
    return quarter * (upper + (load(below, i, quarter) + load(below, k, quarter)))
