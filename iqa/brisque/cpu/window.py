"""MSCN coefficients: the 7x7 Gaussian window, down the columns first, then along the rows.

Four rows at a time share what their windows down see and square. What these leave of a block of
columns stays in the first-level cache: `[2 fields, 4 rows, 4 phases, LINE]`, of the pixels and
their squares. The block begins at number `CACHE_LINE`, before and behind it is a vector of the
blocks beside it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from iqa.brisque.cpu.load import CACHE_LINE, LANES, LEFT, MIDDLE, PHASES, ten_columns
from iqa.brisque.features import FLAT, WINDOW
from iqa.simd.jit import ordered_row_kernel
from iqa.simd.lanes import (
    alike,
    bits_below,
    count_of,
    load,
    load_at,
    load_rows,
    minus,
    spread,
    squared,
    store,
    store_rows,
    zero_below,
)

Floats = NDArray[np.float32]
Real = NDArray[Any]  # float32, or float64 where a pixel needs it

RADIUS = len(WINDOW) // 2
ROWS = 4
BLOCK = 112  # numbers of a phase at most: larger blocks leave the first-level cache
LINE = CACHE_LINE + BLOCK + CACHE_LINE
ROW = PHASES * LINE
FIELD = ROWS * ROW
BLURRED = (2, ROWS, PHASES, LINE)

# Weights from the outside to the middle. The window down is in units of its middle weight, which
# saves a multiplication; the one along makes up for it.
DOWN = WINDOW[:RADIUS] / WINDOW[RADIUS]
ALONG = WINDOW[: RADIUS + 1] * WINDOW[RADIUS]
DOWN_32, ALONG_32 = DOWN.astype(np.float32), ALONG.astype(np.float32)
# In float32 the outer weight takes up the rounding of the others: together they must sum to 1, or
# bright and dark areas would get a variance that is not theirs.
_DOWN_SUM = 1 + 2 * DOWN_32.astype(np.float64).sum()
ALONG_32[0] = (1 / _DOWN_SUM - float(ALONG_32[3])) / 2 - float(ALONG_32[2]) - float(ALONG_32[1])

# A pixel closer to its mean, or with less variance, than float32 can tell is computed in float64.
NEAR_DIFFERENCE = np.float32(1e-4)
NEAR_VARIANCE = np.float32(0.05)
NEAR_RATIO = NEAR_VARIANCE / NEAR_DIFFERENCE


class Block(NamedTuple):
    """Columns of a row of which windows are made at a time.

    Attributes:
        first: number of each phase that it begins with.
        before: numbers of the block before, 0 if there is none.
        size: numbers, in whole vectors.
        rest: numbers of phase 0 from `first` on that are columns of the image.
        level: taken from every pixel, which makes squares small; the same for all blocks of a row.
    """

    first: int
    before: int
    size: int
    rest: int
    level: float


# Every term of a window is one fused multiply-add; the small ones first, which rounds less.


@ordered_row_kernel
def _down(w: Any, a: Any) -> Any:
    return a[3] + w[0] * (a[0] + a[6]) + w[1] * (a[1] + a[5]) + w[2] * (a[2] + a[4])


@ordered_row_kernel
def blur_down(
    pixels: Floats,
    at: Any,
    first: int,
    last: int,
    level: float,
    taps: Real,
    blurred: Real,
    place: int,
) -> None:
    """Windows down some columns, of four rows.

    Args:
        pixels: rows of pixels, `[R, PHASES, L]`.
        at: where in them the ten rows begin that the windows see.
        first, last: numbers of each phase, `last` exclusive.
        level: taken from every pixel, which makes squares small.
        taps: `DOWN` or `DOWN_32`.
        blurred, place: `BLURRED`, of the same type, and where in its lines number `first` goes.
    """
    w = spread(taps[0]), spread(taps[1]), spread(taps[2])
    middle, length = alike(level, w[0]), pixels.shape[2]
    for phase in range(PHASES):
        start, out = phase * length + LEFT + first, phase * LINE + place
        for j in range(0, last - first, count_of(middle)):
            a = minus(load_at(pixels, at, start + j, middle), middle)
            windows = _down(w, a), _down(w, a[1:]), _down(w, a[2:]), _down(w, a[3:])
            store_rows(blurred, out + j, ROW, windows)
            a = squared(a)
            windows = _down(w, a), _down(w, a[1:]), _down(w, a[2:]), _down(w, a[3:])
            store_rows(blurred, FIELD + out + j, ROW, windows)


@ordered_row_kernel
def blur_block(pixels: Floats, at: Any, block: Block, blurred: Floats) -> None:
    """Windows down a block of columns and a vector on either side; blocks go from left to right.

    What a block shares with the one before is kept. The arguments are those of `blur_down`.
    """
    begin, end, like = 0, block.size, spread(MIDDLE)
    if block.before == 0:
        _blacken(blurred, CACHE_LINE - 1, block.level)
    else:
        begin = LANES
        for line in range(CACHE_LINE, 2 * FIELD, LINE):
            last = load(blurred, line + block.before - LANES, like)
            behind = load(blurred, line + block.before, like)
            store(blurred, line - LANES, last)
            store(blurred, line, behind)
    if block.rest > block.size:
        end += LANES
    else:
        _blacken(blurred, CACHE_LINE + block.size, block.level)
    start, stop, place = block.first + begin, block.first + end, CACHE_LINE + begin
    blur_down(pixels, at, start, stop, block.level, DOWN_32, blurred, place)


@ordered_row_kernel
def _blacken(blurred: Floats, place: int, level: float) -> None:
    """Windows down a column outside of the image, at a place in all lines."""
    weight, black = 1 + 2 * (DOWN_32[0] + DOWN_32[1] + DOWN_32[2]), -MIDDLE - level
    for row in range(ROWS):
        for phase in range(PHASES):
            blurred[0, row, phase, place] = weight * black
            blurred[1, row, phase, place] = weight * (black * black)


@ordered_row_kernel
def _along(w: Any, a: Any) -> Any:
    return w[0] * (a[0] + a[6]) + w[1] * (a[1] + a[5]) + w[2] * (a[2] + a[4]) + w[3] * a[3]


@ordered_row_kernel
def _windows_along(w: Any, blurred: Real, place: int) -> Any:
    """Windows of a vector of each phase; `place` is that of phase 0."""
    a = ten_columns(blurred, place, LINE, w[0])
    return _along(w, a), _along(w, a[1:]), _along(w, a[2:]), _along(w, a[3:])


@ordered_row_kernel
def _variances(mean: Any, square: Any) -> Any:
    return (
        abs(square[0] - mean[0] * mean[0]),
        abs(square[1] - mean[1] * mean[1]),
        abs(square[2] - mean[2] * mean[2]),
        abs(square[3] - mean[3] * mean[3]),
    )


@ordered_row_kernel
def _differences(pixels: Floats, centre: int, length: int, middle: Any, mean: Any) -> Any:
    c = minus(load_rows(pixels, centre, length, PHASES, middle), middle)
    return c[0] - mean[0], c[1] - mean[1], c[2] - mean[2], c[3] - mean[3]


@ordered_row_kernel
def _coefficients(differences: Any, variances: Any) -> Any:
    d, v, one = differences, variances, alike(1.0, differences[0])
    return (
        d[0] / (math.sqrt(v[0]) + one),
        d[1] / (math.sqrt(v[1]) + one),
        d[2] / (math.sqrt(v[2]) + one),
        d[3] / (math.sqrt(v[3]) + one),
    )


@ordered_row_kernel
def coefficients_along(
    blurred: Floats,
    row: int,
    pixels: Floats,
    centre: int,
    block: Block,
    out: Floats,
    place: int,
) -> int:
    """Coefficients of a row of a block.

    Args:
        blurred: see `blur_block`.
        row: which of the four.
        pixels, centre: where the block begins in this row.
        block: which one.
        out, place: `[K, PHASES, L]`, and where in it the coefficients go.

    Returns:
        a bit for each vector of four phases in which a pixel is too near to its mean, or to those
        around.
    """
    w = spread(ALONG_32[0]), spread(ALONG_32[1]), spread(ALONG_32[2]), spread(ALONG_32[3])
    middle, ratio, limit = alike(block.level, w[0]), spread(NEAR_RATIO), spread(NEAR_VARIANCE)
    near, length = 0, pixels.shape[2]
    for j in range(0, block.size, LANES):
        at = row * ROW + CACHE_LINE + j
        mean = _windows_along(w, blurred, at)
        v = _variances(mean, _windows_along(w, blurred, FIELD + at))
        d = _differences(pixels, centre + j, length, middle, mean)
        store_rows(out, place + j, length, _coefficients(d, v))
        difference = min(min(abs(d[0]), abs(d[1])), min(abs(d[2]), abs(d[3])))
        variance = min(min(v[0], v[1]), min(v[2], v[3]))
        found = np.int64(bits_below(min(ratio * difference, variance), limit))
        if j + LANES > block.rest:
            found &= (1 << (block.rest - j)) - 1
        if found != 0:
            near |= 1 << (j // LANES)
    return near


@ordered_row_kernel
def exact_along(
    blurred: NDArray[np.float64], row: int, pixels: Floats, centre: int, out: Floats, place: int
) -> None:
    """Coefficients of a vector of each phase in float64, where a difference that should be 0 is 0.

    The arguments are those of `coefficients_along`, at level 0.
    """
    w = spread(ALONG[0]), spread(ALONG[1]), spread(ALONG[2]), spread(ALONG[3])
    nothing, flat, length = spread(0.0), spread(FLAT), pixels.shape[2]
    for j in range(0, LANES, count_of(nothing)):
        at = row * ROW + CACHE_LINE + j
        mean = _windows_along(w, blurred, at)
        v = _variances(mean, _windows_along(w, blurred, FIELD + at))
        d = _differences(pixels, centre + j, length, nothing, mean)
        d = (
            zero_below(d[0], flat),
            zero_below(d[1], flat),
            zero_below(d[2], flat),
            zero_below(d[3], flat),
        )
        store_rows(out, place + j, length, _coefficients(d, v))
