"""MSCN coefficients: the 7x7 Gaussian window, down the columns first, then along the rows.

Four rows at a time share what their windows down see and square. What these leave, of the pixels
and of their squares, lies as rows of pixels do.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from iqa.brisque.cpu.load import LEFT, MID_GREY, of_phase, ten_columns
from iqa.brisque.features import FLAT, WINDOW
from iqa.simd.jit import block_kernel, ordered_row_kernel
from iqa.simd.lanes import (
    LANES,
    PHASES,
    count_of,
    inside,
    load,
    load_at,
    load_rows,
    negative_bits,
    nonzero_bits,
    spread,
    store,
    store_rows,
    sum_of,
    vector_max,
    vector_min,
    zero_below,
)

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Real = NDArray[Any]  # float32, or float64 where a pixel or a tie needs it

RADIUS = len(WINDOW) // 2
ROWS = 4
FIELDS = 2  # pixels and their squares

# Weights from the outside to the middle. The window down is in units of its middle weight, which
# saves a multiplication; the one along makes up for it.
DOWN = WINDOW[:RADIUS] / WINDOW[RADIUS]
ALONG = WINDOW[: RADIUS + 1] * WINDOW[RADIUS]
DOWN_32, ALONG_32 = DOWN.astype(np.float32), ALONG.astype(np.float32)
# In float32 the outer weight takes up the rounding of the others: together they must sum to 1, or
# bright and dark areas would get a variance that is not theirs.
_DOWN_SUM = 1 + 2 * DOWN_32.astype(np.float64).sum()
ALONG_32[0] = (1 / _DOWN_SUM - float(ALONG_32[3])) / 2 - float(ALONG_32[2]) - float(ALONG_32[1])

# A pixel closer to its mean, or with less variance, than float32 can tell is computed in float64,
# or is 0 where all around it is flat.
NEAR_DIFFERENCE = np.float32(1e-4)
NEAR_VARIANCE = np.float32(0.05)
NEAR_RATIO = NEAR_VARIANCE / NEAR_DIFFERENCE


class Lines(NamedTuple):
    """What rows of coefficients are made by means of.

    Attributes:
        blurred: float32 `[FIELDS, ROWS, PHASES, L]`, windows down the columns.
        exact: the same in float64.
        near: int64 `[L]`, for each vector of the phases bits of the rows, the first one's lowest,
            in which it has a pixel that needs float64.
    """

    blurred: Floats
    exact: Doubles
    near: NDArray[np.int64]


# Every weighted term is one fused multiply-add. The window down begins with the middle row, which
# has no weight; the one along with the small terms, which rounds less.


@ordered_row_kernel
def _down(w: Any, a: Any) -> Any:
    """Windows of four rows, of ten."""
    return a[3:7] + w[0] * (a[0:4] + a[6:10]) + w[1] * (a[1:5] + a[5:9]) + w[2] * (a[2:6] + a[4:8])


@ordered_row_kernel
def blur_down(
    pixels: Floats, at: Any, first: int, last: int, level: float, taps: Real, blurred: Real
) -> None:
    """Windows down some columns, of four rows.

    Args:
        pixels: rows of pixels, `[R, PHASES, L]`.
        at: where in them the ten rows begin that the windows see.
        first, last: numbers of each phase, `last` exclusive.
        level: taken from every pixel, which makes squares small.
        taps: `DOWN` or `DOWN_32`.
        blurred: see `Lines`, of the same type.
    """
    length, row = pixels.shape[2], PHASES * blurred.shape[3]
    for phase in range(PHASES):
        start, out = phase * length + LEFT, phase * blurred.shape[3] + LEFT
        for j in range(first, last, count_of(taps.dtype)):
            a = load_at(pixels, at, start + j, taps.dtype) - level
            store_rows(blurred, out + j, row, _down(taps, a))
            store_rows(blurred, ROWS * row + out + j, row, _down(taps, a * a))


@ordered_row_kernel
def _blacken(blurred: Floats, place: int, level: float) -> None:
    """Windows down a vector of columns outside of the image."""
    weight, black = 1 + 2 * (DOWN_32[0] + DOWN_32[1] + DOWN_32[2]), -MID_GREY - level
    mean = spread(np.float32(weight * black), 1)
    square = spread(np.float32(weight * (black * black)), 1)
    length, rows = blurred.shape[3], ROWS * PHASES
    for out in range(place, place + rows * length, length):
        store(blurred, out, mean)
        store(blurred, rows * length + out, square)


@ordered_row_kernel
def _along(w: Any, a: Any) -> Any:
    outer = w[0] * (a[0:4] + a[6:10]) + w[1] * (a[1:5] + a[5:9])
    return outer + w[2] * (a[2:6] + a[4:8]) + w[3] * a[3:7]


@ordered_row_kernel
def _windows_along(w: Any, blurred: Real, field: int, row: int, j: int) -> Any:
    """Windows of a vector of each phase, from number `j` on."""
    length = blurred.shape[3]
    place = (field * ROWS + row) * PHASES * length + LEFT + j
    return _along(w, ten_columns(blurred, place, length, w.dtype))


@ordered_row_kernel
def _statistics(
    w: Any, blurred: Real, i: int, pixels: Floats, centre: int, j: int, level: float
) -> Any:
    """For a vector of each phase: means, pixels less them, and variances."""
    mean = _windows_along(w, blurred, 0, i, j)
    variances = abs(_windows_along(w, blurred, 1, i, j) - mean * mean)
    own = load_rows(pixels, centre + j, pixels.shape[2], PHASES, w.dtype)
    return mean, own - level - mean, variances


@ordered_row_kernel
def coefficients_along(
    lines: Lines,
    i: int,
    pixels: Floats,
    centre: int,
    numbers: int,
    level: float,
    out: Real,
    place: int,
    rounding: Doubles,
) -> None:
    """Coefficients of a row.

    Args:
        lines: windows down; `near` gets what has a pixel too near to its mean, or to those around.
        i: which of the four.
        pixels, centre: where the row begins.
        numbers: of each phase.
        level: what was taken from every pixel.
        out, place: `[K, PHASES, L]`, and where in it the row goes.
        rounding: see `coefficients`.
    """
    length = pixels.shape[2]
    total = spread(np.float32(0), 1)
    for j in range(0, numbers, LANES):
        mean, differences, variances = _statistics(
            ALONG_32, lines.blurred, i, pixels, centre, j, level
        )
        store_rows(out, place + j, length, differences / (math.sqrt(variances) + 1))
        least = min(NEAR_RATIO * vector_min(abs(differences)), vector_min(variances))
        found = np.int64(negative_bits(least - NEAR_VARIANCE))
        if j + LANES > numbers:
            found &= (1 << (numbers - j)) - 1
        # No branch on it, which would be mispredicted where pictures are partly flat.
        lines.near[j // LANES] |= int(found != 0) << i
        if i == 0:
            ratio = mean[0] / (math.sqrt(variances[0]) + 1)
            fourth = ratio * ratio * ratio * ratio
            total = total + inside(numbers - j if found == 0 else 0, fourth, 0)
    rounding[0] += sum_of(total)


@ordered_row_kernel
def _is_flat(pixels: Floats, at: Any, j: int) -> bool:
    """Whether all that the windows of a vector of each phase see, and a column more, is equal."""
    length, first = pixels.shape[2], at[0] + LEFT + j
    lowest = highest = spread(pixels.reshape(-1)[first], 1)
    for start in at:
        left = load_rows(pixels, start + LEFT + j - 1, length, PHASES, np.float32)
        right = load_rows(pixels, start + LEFT + j + 1, length, PHASES, np.float32)
        lowest = min(lowest, vector_min(min(left, right)))
        highest = max(highest, vector_max(max(left, right)))
        if nonzero_bits(highest - lowest) != 0:
            return False
    return True


@block_kernel
def _zero_where_flat(
    pixels: Floats, at: Any, numbers: int, rows: int, lines: Lines, out: Real, place: int
) -> int:
    """Make coefficients 0 where all is flat, so that none is near: a quarter of a document's time.

    `numbers` are those of each phase; the other arguments, and what is returned, are those of
    `coefficients`.
    """
    found, length = 0, pixels.shape[2]
    for j in range(0, numbers, LANES):
        if lines.near[j // LANES] != 0 and _is_flat(pixels, at, j):
            lines.near[j // LANES] = 0
            found = (1 << rows) - 1
            for i in range(rows):
                own = place + i * PHASES * length + LEFT + j
                store_rows(out, own, length, spread(np.float32(0), PHASES))
    return found


@ordered_row_kernel
def exact_along(
    lines: Lines, i: int, pixels: Floats, centre: int, first: int, last: int, out: Real, place: int
) -> None:
    """Some coefficients of a row in float64, where a difference that should be 0 is 0.

    The arguments are those of `coefficients_along`, at level 0, and of `blur_down`.
    """
    length = pixels.shape[2]
    for j in range(first, last, count_of(np.float64)):
        _, differences, variances = _statistics(ALONG, lines.exact, i, pixels, centre, j, 0.0)
        differences = zero_below(differences, FLAT)
        store_rows(out, place + j, length, differences / (math.sqrt(variances) + 1))


@ordered_row_kernel
def _exact_where_near(
    pixels: Floats,
    at: Any,
    numbers: int,
    step: int,
    rows: int,
    lines: Lines,
    out: Real,
    place: int,
) -> int:
    """Compute in float64 what is near, `step` of so many numbers at a time; none is near then.

    The other arguments, and what is returned, are those of `coefficients`.
    """
    first, found, length = 0, 0, pixels.shape[2]
    while first < numbers:
        last = first
        while last < numbers and lines.near[last // LANES] != 0:
            last += step
        if last > first:  # windows down also of the columns beside them, once for all of these
            blur_down(pixels, at, first - 1, last + 1, 0.0, DOWN, lines.exact)
        for j in range(first, last, step):
            near = int(lines.near[j // LANES])
            lines.near[j // LANES] = 0
            found |= near
            for i in range(rows):
                if near >> i & 1:
                    centre, own = at[RADIUS + i] + LEFT, place + i * PHASES * length + LEFT
                    exact_along(lines, i, pixels, centre, j, j + step, out, own)
        first = last + step
    return found


@ordered_row_kernel
def _level(pixels: Floats, place: int, count: int) -> float:
    """The whole grey level nearest to the mean of the first `count` pixels of a phase."""
    total = spread(np.float32(0), 1)
    for j in range(0, count, LANES):
        total = total + inside(count - j, load(pixels, place + j, np.float32), 0)
    return np.rint(sum_of(total) / np.float32(count))


@ordered_row_kernel
def coefficients(
    pixels: Floats,
    at: Any,
    width: int,
    rows: int,
    lines: Lines,
    out: Real,
    place: int,
    rounding: Doubles,
) -> int:
    """Coefficients of up to four rows; of type float64 they are all computed in it.

    Args:
        pixels, at: see `blur_down`.
        width: columns.
        rows: how many.
        lines: see `Lines`; none is near.
        out, place: `[K, PHASES, L]` get them, from place `place` on.
        rounding: a sum that gets `(m / (s + 1))^4` of every fourth pixel of the first row that has
            none near beside it, m its local mean less the level, s its local deviation: see
            `join.precision`.

    Returns:
        a bit for each row, the first one's lowest: whether some of its coefficients may be 0.
    """
    zeros, numbers, length = 0, of_phase(width), pixels.shape[2]
    if out.itemsize == 8:
        lines.near[0], step = (1 << rows) - 1, numbers
    else:
        level, step = _level(pixels, at[RADIUS] + LEFT, numbers), LANES
        _blacken(lines.blurred, LEFT - LANES, level)
        _blacken(lines.blurred, LEFT + (numbers + LANES - 1) // LANES * LANES, level)
        blur_down(pixels, at, 0, numbers, level, DOWN_32, lines.blurred)
        for i in range(rows):
            centre, own = at[RADIUS + i] + LEFT, place + i * PHASES * length + LEFT
            coefficients_along(lines, i, pixels, centre, numbers, level, out, own, rounding)
        zeros = _zero_where_flat(pixels, at, numbers, rows, lines, out, place)
    return zeros | _exact_where_near(pixels, at, numbers, step, rows, lines, out, place)
