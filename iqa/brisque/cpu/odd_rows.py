"""Half-size rows in float64 for the CPU kernel, of images of which a side is odd.

There the weights of the halving differ from pixel to pixel, and so would the rounding to float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from iqa.brisque.cpu.rows import LANES
from iqa.simd.jit import row_kernel
from iqa.simd.lanes import evens, load, odds, spread, store

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

TAPS = 9  # the first of pixel x of the half-size row is pixel 2 x - 3
WIDE = LANES // 2


@row_kernel
def halve_down(
    pixels: Floats, start: int, at: Integers, weights: Array, count: int, out: Array
) -> None:
    """Weighted sum of the rows of `pixels` that begin `at` 9 places, see `cpu_rows.halve_down`."""
    for j in range(start, start + count, WIDE):
        total = spread(0.0)
        for tap in range(TAPS):
            total = total + spread(weights[tap]) * load(pixels, at[tap] + j, total)
        store(out, j, total)


@row_kernel
def _weighted(weights: Array, place: int, step: int, a: Any) -> Any:
    like = a[0]
    return (
        (load(weights, place, like) * a[0] + load(weights, place + step, like) * a[1])
        + (load(weights, place + 2 * step, like) * a[2]
        + load(weights, place + 3 * step, like) * a[3])
        + (load(weights, place + 4 * step, like) * a[4]
        + load(weights, place + 5 * step, like) * a[5])
        + (load(weights, place + 6 * step, like) * a[6]
        + load(weights, place + 7 * step, like) * a[7])
        + load(weights, place + 8 * step, like) * a[8]
    )  # fmt: skip


@row_kernel
def _two_half_pixels(weights: Array, line: Array, j: int, stride: int) -> Any:
    """Pixels 2 j and 2 j + 1 of the half-size row, for 8 consecutive j."""
    k, m, n = j + stride, j + 2 * stride, j + 3 * stride
    like = spread(0.0)
    a = (
        load(line, k - 1, like), load(line, m - 1, like), load(line, n - 1, like),
        load(line, j, like), load(line, k, like), load(line, m, like), load(line, n, like),
        load(line, j + 1, like), load(line, k + 1, like),
        load(line, m + 1, like), load(line, n + 1, like),
    )  # fmt: skip
    step = len(weights) // (2 * TAPS)
    return _weighted(weights, j, step, a), _weighted(weights, TAPS * step + j, step, a[2:])


@row_kernel
def halve_along(
    line: Array, stride: int, count: int, weights: Array, inside: int, outside: int,
    pixels: Floats, wide_pixels: Array, out: int, half_stride: int,
) -> None:  # fmt: skip
    """As `cpu_rows.halve_along`, to rows of both precisions.

    Args:
        weights: `[2, 9, N]`, of the half-size row's even and odd pixels.
        inside, outside: see `cpu_rows.load_row`.
    """
    for j in range(0, count, WIDE):
        even, odd = _two_half_pixels(weights, line, 2 * j, stride)
        next_even, next_odd = _two_half_pixels(weights, line, 2 * j + WIDE, stride)
        values = (
            evens(even, next_even), evens(odd, next_odd),
            odds(even, next_even), odds(odd, next_odd),
        )  # fmt: skip
        for phase in range(4):
            k = phase * half_stride + j
            mask = load(pixels, inside + k, values[phase])
            beyond = load(pixels, outside + k, mask) * (spread(1.0) - mask)
            value = values[phase] * mask + beyond
            store(pixels, out + k, value)
            store(wide_pixels, out + k, value)
