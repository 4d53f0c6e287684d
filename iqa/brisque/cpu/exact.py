"""MSCN coefficients in float64, where a difference that should be 0 is 0, for the CPU kernel."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iqa.brisque.cpu.rows import LANES
from iqa.brisque.features import FLAT, WINDOW
from iqa.simd.jit import row_kernel
from iqa.simd.lanes import load, spread, store, zero_below

Real = NDArray[Any]  # float32, or float64 where a row needs it
Floats = NDArray[np.float32]

W0, W1, W2, W3 = WINDOW[: len(WINDOW) // 2 + 1]
WIDE = LANES // 2


@row_kernel
def _window(w: Any, a: Any) -> Any:
    return w[0] * (a[0] + a[6]) + w[1] * (a[1] + a[5]) + w[2] * (a[2] + a[4]) + w[3] * a[3]


@row_kernel
def _column(w: Any, pixels: Real, at: Any, j: int) -> Any:
    """Vertical window of the pixels and of their squares."""
    like = w[0]
    a = (
        load(pixels, at[0] + j, like), load(pixels, at[1] + j, like),
        load(pixels, at[2] + j, like), load(pixels, at[3] + j, like),
        load(pixels, at[4] + j, like), load(pixels, at[5] + j, like),
        load(pixels, at[6] + j, like),
    )  # fmt: skip
    b = (
        a[0] * a[0], a[1] * a[1], a[2] * a[2], a[3] * a[3], a[4] * a[4], a[5] * a[5], a[6] * a[6],
    )  # fmt: skip
    return _window(w, a), _window(w, b)


@row_kernel
def _coefficient(w: Any, c: Any, centre: Any) -> Any:
    mean = _window(w, (c[0][0], c[1][0], c[2][0], c[3][0], c[4][0], c[5][0], c[6][0]))
    square = _window(w, (c[0][1], c[1][1], c[2][1], c[3][1], c[4][1], c[5][1], c[6][1]))
    difference = zero_below(centre - mean, spread(FLAT))
    return difference / (math.sqrt(abs(square - mean * mean)) + spread(1.0))


@row_kernel
def exact_coefficients(
    pixels: Real, at: Any, stride: int, out: Floats, place: int, out_stride: int
) -> None:
    """Coefficients of 64 consecutive pixels of a row.

    Args:
        pixels: rows of pixels with phases `stride` apart.
        at: places in them of the pixels of seven rows that the windows see.
        out, place, out_stride: where the coefficients go.
    """
    w = spread(W0), spread(W1), spread(W2), spread(W3)
    m, n = 2 * stride, 3 * stride
    for j in range(0, LANES, WIDE):
        c = (
            _column(w, pixels, at, j + stride - 1),
            _column(w, pixels, at, j + m - 1), _column(w, pixels, at, j + n - 1),
            _column(w, pixels, at, j), _column(w, pixels, at, j + stride),
            _column(w, pixels, at, j + m), _column(w, pixels, at, j + n),
            _column(w, pixels, at, j + 1), _column(w, pixels, at, j + 1 + stride),
            _column(w, pixels, at, j + 1 + m),
        )  # fmt: skip
        k, like = at[3] + j, w[0]
        store(out, place + j, _coefficient(w, c, load(pixels, k, like)))
        store(out, place + out_stride + j, _coefficient(w, c[1:], load(pixels, k + stride, like)))
        store(out, place + 2 * out_stride + j, _coefficient(w, c[2:], load(pixels, k + m, like)))
        store(out, place + 3 * out_stride + j, _coefficient(w, c[3:], load(pixels, k + n, like)))
