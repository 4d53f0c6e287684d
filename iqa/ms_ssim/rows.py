"""MS-SSIM one row at a time: the loops that the CPU kernel spends its time in.

The pair is held as difference `u = x - y` and centred sum `v = x + y - CENTRE`. With E the Gaussian
window and var z = E[z^2] - E[z]^2, 2 cov(x, y) = (var v - var u) / 2 and
var x + var y = (var v + var u) / 2, so that

    contrast-structure = 1 - var u / ((var u + var v) / 2 + C2):

four filtered fields, and exactly 1 on identical pixels. Samples of all scales are exact in float32.

A row is a list of phases of `length` samples: pixel 4 j + p of a channel is sample j of phase p.
The 11 taps of 4 neighbouring pixels are then 14 vectors to load, not 44, and halving a row needs no
shuffles. Each halving leaves half as many phases, so the five scales have 4, 2, 1, 1 and 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from iqa.images import Image
from iqa.jit import row_kernel
from iqa.ms_ssim.pooling import C1, C2

Samples = NDArray[np.float32]
Array = NDArray[np.float64]
Real = NDArray[Any]  # float32, or float64 where a row needs it

CENTRE = 255.0
RING = 12
IRREGULAR = 16


@row_kernel
def separate(row: Image, columns: NDArray[np.int64], channels: int, planes: Image) -> None:
    """Copy the pixels `columns` of an interleaved row into planes `[C, N]`.

    Columns are consecutive from the one at `IRREGULAR` on.
    """
    for c in range(channels):
        for j in range(IRREGULAR):
            planes[c, j] = row[columns[j] * channels + c]
    rest = row[columns[IRREGULAR] * channels :]
    count = len(columns) - IRREGULAR
    if channels == 1:
        grey = planes[0, IRREGULAR:]
        for j in range(count):
            grey[j] = rest[j]
    else:
        red, green, blue = planes[0, IRREGULAR:], planes[1, IRREGULAR:], planes[2, IRREGULAR:]
        for j in range(count):
            red[j], green[j], blue[j] = rest[3 * j], rest[3 * j + 1], rest[3 * j + 2]


@row_kernel
def load(x: Image, y: Image, length: int, u: Samples, v: Samples) -> None:
    """Four phases of difference and centred sum of a plane of pixels."""
    centre = np.float32(CENTRE)
    u0, u1, u2, u3 = u[:length], u[length:], u[2 * length :], u[3 * length :]
    v0, v1, v2, v3 = v[:length], v[length:], v[2 * length :], v[3 * length :]
    for j in range(length):
        x0, y0 = np.float32(x[4 * j]), np.float32(y[4 * j])
        x1, y1 = np.float32(x[4 * j + 1]), np.float32(y[4 * j + 1])
        x2, y2 = np.float32(x[4 * j + 2]), np.float32(y[4 * j + 2])
        x3, y3 = np.float32(x[4 * j + 3]), np.float32(y[4 * j + 3])
        u0[j], u1[j], u2[j], u3[j] = x0 - y0, x1 - y1, x2 - y2, x3 - y3
        v0[j], v1[j] = x0 + y0 - centre, x1 + y1 - centre
        v2[j], v3[j] = x2 + y2 - centre, x3 + y3 - centre


@row_kernel
def centre_of(row: Samples) -> float:
    """Mean of a row as a whole number, so that samples stay exact when it is subtracted."""
    total = np.float32(0)
    for i in range(len(row)):
        total += row[i]
    return np.rint(total / len(row))


@row_kernel
def _window(
    w: Any, a0: Any, a1: Any, a2: Any, a3: Any, a4: Any, a5: Any,
    a6: Any, a7: Any, a8: Any, a9: Any, a10: Any,
) -> Any:  # fmt: skip
    """Weighted sum of 11 values; the window is symmetric and its middle weighs 1."""
    pairs = w[0] * (a0 + a10) + w[1] * (a1 + a9) + w[2] * (a2 + a8) + w[3] * (a3 + a7)
    return pairs + (w[4] * (a4 + a6) + a5)


@row_kernel
def blur_down(
    ring: Samples,
    oldest: int,
    start: int,
    centre: float,
    taps: Real,
    mean: Real,
    square: Real,
    next_mean: Real,
    next_square: Real,
) -> None:
    """Weighted mean and mean square of `sample - centre` down each column, for two rows of windows.

    The windows take rows 0 to 10 and 1 to 11 of the ring's 12, counted from `oldest`; columns are
    counted from `start`.
    """
    real = mean.dtype.type
    middle = real(centre)
    w0, w1, w2, w3, w4 = taps
    w = (w0, w1, w2, w3, w4)
    r0 = ring[oldest % RING, start:]
    r1 = ring[(oldest + 1) % RING, start:]
    r2 = ring[(oldest + 2) % RING, start:]
    r3 = ring[(oldest + 3) % RING, start:]
    r4 = ring[(oldest + 4) % RING, start:]
    r5 = ring[(oldest + 5) % RING, start:]
    r6 = ring[(oldest + 6) % RING, start:]
    r7 = ring[(oldest + 7) % RING, start:]
    r8 = ring[(oldest + 8) % RING, start:]
    r9 = ring[(oldest + 9) % RING, start:]
    r10 = ring[(oldest + 10) % RING, start:]
    r11 = ring[(oldest + 11) % RING, start:]
    for i in range(len(mean)):
        a0, a1, a2 = real(r0[i]) - middle, real(r1[i]) - middle, real(r2[i]) - middle
        a3, a4, a5 = real(r3[i]) - middle, real(r4[i]) - middle, real(r5[i]) - middle
        a6, a7, a8 = real(r6[i]) - middle, real(r7[i]) - middle, real(r8[i]) - middle
        a9, a10, a11 = real(r9[i]) - middle, real(r10[i]) - middle, real(r11[i]) - middle
        mean[i] = _window(w, a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10)
        next_mean[i] = _window(w, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11)
        a0, a1, a2, a3 = a0 * a0, a1 * a1, a2 * a2, a3 * a3
        a4, a5, a6, a7 = a4 * a4, a5 * a5, a6 * a6, a7 * a7
        a8, a9, a10, a11 = a8 * a8, a9 * a9, a10 * a10, a11 * a11
        square[i] = _window(w, a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10)
        next_square[i] = _window(w, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11)


@row_kernel
def blur_along(row: Real, phases: int, length: int, taps: Real, out: Real) -> None:
    """Weighted means of 11 neighbouring pixels of one channel; both rows `phases * length` long."""
    w0, w1, w2, w3, w4 = taps
    w = (w0, w1, w2, w3, w4)
    a, b, c, d = row, row[length:], row[2 * length :], row[3 * length :]
    out0, out1, out2, out3 = out[:length], out[length:], out[2 * length :], out[3 * length :]
    if phases == 4:
        for j in range(length):
            t0, t1, t2, t3 = a[j], b[j], c[j], d[j]
            t4, t5, t6, t7 = a[j + 1], b[j + 1], c[j + 1], d[j + 1]
            t8, t9, t10, t11 = a[j + 2], b[j + 2], c[j + 2], d[j + 2]
            t12, t13 = a[j + 3], b[j + 3]
            out0[j] = _window(w, t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10)
            out1[j] = _window(w, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11)
            out2[j] = _window(w, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12)
            out3[j] = _window(w, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12, t13)
    elif phases == 2:
        for j in range(length):
            t0, t1, t2, t3, t4, t5 = a[j], b[j], a[j + 1], b[j + 1], a[j + 2], b[j + 2]
            t6, t7, t8, t9 = a[j + 3], b[j + 3], a[j + 4], b[j + 4]
            t10, t11 = a[j + 5], b[j + 5]
            out0[j] = _window(w, t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10)
            out1[j] = _window(w, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11)
    else:
        for j in range(length):
            out0[j] = _window(
                w, a[j], a[j + 1], a[j + 2], a[j + 3], a[j + 4], a[j + 5],
                a[j + 6], a[j + 7], a[j + 8], a[j + 9], a[j + 10],
            )  # fmt: skip


@row_kernel
def contrast_loss(
    mean_u: Samples,
    square_u: Samples,
    mean_v: Samples,
    square_v: Samples,
    gain: float,
    loss: Samples,
) -> float:
    """1 - contrast-structure of each window, from the weighted sums of samples and squares.

    Args:
        mean_u, square_u, mean_v, square_v: the sums, which `gain` times are means.
        gain: 1 over the sum of the window's weights.
        loss: gets the result.

    Returns:
        how delicate the row is: the sum of what an error of one part in the mean squares makes of
        the losses, where windows are so alike that their errors are, too.
    """
    half, one, factor = np.float32(0.5), np.float32(1), np.float32(gain)
    # All variances below are 1 / gain times too large, and so are these.
    c2, noise = np.float32(C2 / gain), np.float32(16 / gain)
    risk = np.float32(0)
    for i in range(len(loss)):
        energy_u, energy_v = mean_u[i] * mean_u[i], mean_v[i] * mean_v[i]
        variance_u = square_u[i] - factor * energy_u
        variance_v = square_v[i] - factor * energy_v
        total, dither = half * (variance_u + variance_v) + c2, noise + variance_v
        inverse = one / (total * dither)
        value = variance_u * (inverse * dither)
        loss[i] = value
        risk += inverse * (energy_u * dither + half * noise * value * energy_v)
    return gain * float(risk)


@row_kernel
def losses(
    mean_u: Array,
    square_u: Array,
    mean_v: Array,
    square_v: Array,
    gain: float,
    contrast: Array,
    ssim: Array,
) -> None:
    """1 - contrast-structure and 1 - SSIM of each window, in float64; see `contrast_loss`."""
    for i in range(len(contrast)):
        mean, total = gain * mean_u[i], gain * mean_v[i]
        variance_u, variance_v = (
            gain * square_u[i] - mean * mean,
            gain * square_v[i] - total * total,
        )
        value = variance_u / (0.5 * (variance_u + variance_v) + C2)
        total += CENTRE
        luminance = mean * mean / (0.5 * (mean * mean + total * total) + C1)
        contrast[i] = value
        ssim[i] = value + luminance - value * luminance


@row_kernel
def accumulate(row: Real, sums: Array) -> None:
    """Add a row to the sums of its windows."""
    for i in range(len(sums)):
        sums[i] += row[i]


@row_kernel
def halve_phases(above: Samples, below: Samples, length: int, out: Samples) -> None:
    """Means of 2x2 pixels of two rows whose left and right pixels are in neighbouring phases."""
    quarter = np.float32(0.25)
    a, b = above[length:], below[length:]
    for j in range(length):
        out[j] = quarter * ((above[j] + a[j]) + (below[j] + b[j]))


@row_kernel
def halve_neighbours(above: Samples, below: Samples, length: int, out: Samples) -> None:
    """Means of 2x2 pixels of two rows of one phase; `length` is that of the result."""
    quarter = np.float32(0.25)
    for j in range(length):
        out[j] = quarter * ((above[2 * j] + above[2 * j + 1]) + (below[2 * j] + below[2 * j + 1]))
