"""Rows of pixels for the CPU kernel: luma from uint8, and the half-size image from luma.

A row is a list of four phases: pixel x is number x // 4 of phase x % 4. So are all the neighbours
of 16 pixels that are 4 apart vectors in memory. Behind the numbers of a phase is what lies right of
the image, and the last one there is what lies left of it in the next phase: number -1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from iqa.images import Image
from iqa.luma import HALF, LEVEL, luma_of
from iqa.simd.jit import row_kernel
from iqa.simd.lanes import evens, load, load_bytes, odds, prefetch, spread, store

Array = NDArray[np.float64]
Floats = NDArray[np.float32]

PHASES = 4
READ_AHEAD = 64
PREFETCH = 8192
LANES = 16
LEFT = 3  # columns that a window sees on either side
# Taken from every pixel: differences and variances stay as they are, their rounding gets smaller.
MIDDLE = 128

ROUNDING = np.float32(HALF - LEVEL * MIDDLE)
ONE = np.float32(1)
# Antialiased bicubic at scale 1/2: multiples of 1/256, so exact in float32 on uint8 pixels.
B0, B1, B2, B3 = np.array([-3, -9, 29, 111], np.float32) / np.float32(256)


@row_kernel
def _grey(pixels: Image, start: int, like: Any) -> Any:
    """16 pixels less `MIDDLE`."""
    return load_bytes(pixels, start, like) - spread(np.float32(MIDDLE))


@row_kernel
def _luma(pixels: Image, start: int, like: Any) -> Any:
    """Luma of 16 pixels RGB less `MIDDLE`."""
    return luma_of(pixels, start, ROUNDING, like)


@row_kernel
def _framed(values: Any, rows: Floats, inside: int, outside: int) -> Any:
    """The values, but what lies outside where they do, see `load_row`."""
    one = spread(ONE)
    mask = load(rows, inside, one)
    return values * mask + load(rows, outside, one) * (one - mask)


@row_kernel
def _store_phases(
    phases: Any, j: int, stride: int, whole: int, inside: int, outside: int, rows: Floats, out: int
) -> None:
    """Write 64 neighbouring pixels; those from number `whole` of their phase on may be outside."""
    k, m, n = j + stride, j + 2 * stride, j + 3 * stride
    a, b, c, d = phases
    if j >= whole:
        a = _framed(a, rows, inside + j, outside + j)
        b = _framed(b, rows, inside + k, outside + k)
        c = _framed(c, rows, inside + m, outside + m)
        d = _framed(d, rows, inside + n, outside + n)
    store(rows, out + j, a)
    store(rows, out + k, b)
    store(rows, out + m, c)
    store(rows, out + n, d)


@row_kernel
def _phases(a: Any, b: Any, c: Any, d: Any) -> Any:
    """Separate 64 neighbouring pixels into their phases."""
    even, next_even, odd, next_odd = evens(a, b), evens(c, d), odds(a, b), odds(c, d)
    return (
        evens(even, next_even), evens(odd, next_odd), odds(even, next_even), odds(odd, next_odd),
    )  # fmt: skip


@row_kernel
def load_row(
    pixels: Image, start: int, channels: int, count: int, stride: int, whole: int,
    inside: int, outside: int, rows: Floats, out: int,
) -> None:  # fmt: skip
    """A row of luma less `MIDDLE` in phases.

    Args:
        pixels, start: uint8, and where the row begins.
        channels: 1 or 3, interleaved.
        count: numbers in each phase; what is read ends within `READ_AHEAD` bytes after them.
        stride: from phase to phase.
        whole: from this number on some lie outside the image.
        inside, outside: places in `rows` of a row of 1 inside the image and 0 outside, and of one
            that lies outside.
        rows, out: where to.
    """
    like = spread(ONE)
    for j in range(0, count, LANES):
        k, step = start + PHASES * channels * j, channels * LANES
        prefetch(pixels, k + PREFETCH)
        if channels == 1:
            phases = _phases(
                _grey(pixels, k, like), _grey(pixels, k + step, like),
                _grey(pixels, k + 2 * step, like), _grey(pixels, k + 3 * step, like),
            )  # fmt: skip
        else:
            prefetch(pixels, k + PREFETCH + 64)
            prefetch(pixels, k + PREFETCH + 128)
            phases = _phases(
                _luma(pixels, k, like), _luma(pixels, k + step, like),
                _luma(pixels, k + 2 * step, like), _luma(pixels, k + 3 * step, like),
            )  # fmt: skip
        _store_phases(phases, j, stride, whole, inside, outside, rows, out)


@row_kernel
def halve_down(
    pixels: Floats, start: int, a: int, b: int, c: int, d: int, e: int, f: int, g: int, h: int,
    count: int, out: Floats,
) -> None:  # fmt: skip
    """Weighted sum of the rows of `pixels` that begin at 8 places, of numbers from `start` on."""
    b0, b1, b2, b3 = spread(B0), spread(B1), spread(B2), spread(B3)
    for j in range(start, start + count, LANES):
        outer = b0 * (load(pixels, a + j, b0) + load(pixels, h + j, b0))
        outer = outer + b1 * (load(pixels, b + j, b0) + load(pixels, g + j, b0))
        inner = b2 * (load(pixels, c + j, b0) + load(pixels, f + j, b0))
        inner = inner + b3 * (load(pixels, d + j, b0) + load(pixels, e + j, b0))
        store(out, j, outer + inner)


@row_kernel
def _half_pixels(b: Any, a: Any) -> Any:
    outer = b[0] * (a[0] + a[7]) + b[1] * (a[1] + a[6])
    return outer + (b[2] * (a[2] + a[5]) + b[3] * (a[3] + a[4]))


@row_kernel
def _two_half_pixels(b: Any, line: Floats, j: int, stride: int) -> Any:
    """Pixels 2 j and 2 j + 1 of the half-size row, for 16 consecutive j."""
    k, m, n = j + stride, j + 2 * stride, j + 3 * stride
    like = b[0]
    a = (
        load(line, k - 1, like), load(line, m - 1, like), load(line, n - 1, like),
        load(line, j, like), load(line, k, like), load(line, m, like), load(line, n, like),
        load(line, j + 1, like), load(line, k + 1, like), load(line, m + 1, like),
    )  # fmt: skip
    return _half_pixels(b, a), _half_pixels(b, a[2:])


@row_kernel
def halve_along(
    line: Floats, stride: int, count: int, whole: int, inside: int, outside: int,
    pixels: Floats, out: int, half_stride: int,
) -> None:  # fmt: skip
    """Half-size row of a line of phases, to `pixels` from `out` on.

    Args:
        line: a row with phases `stride` apart.
        count: numbers in a phase of the result.
        whole, inside, outside: see `load_row`, of the half-size image.
        pixels, out: where to; rows of it.
        half_stride: distance of its phases.
    """
    b = spread(B0), spread(B1), spread(B2), spread(B3)
    for j in range(0, count, LANES):
        even, odd = _two_half_pixels(b, line, 2 * j, stride)
        next_even, next_odd = _two_half_pixels(b, line, 2 * j + LANES, stride)
        phases = (
            evens(even, next_even), evens(odd, next_odd),
            odds(even, next_even), odds(odd, next_odd),
        )  # fmt: skip
        _store_phases(phases, j, half_stride, whole, inside, outside, pixels, out)
