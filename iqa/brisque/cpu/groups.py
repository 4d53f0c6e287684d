"""Four rows of one scale for the CPU kernel: their coefficients, and the sums of these."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from iqa.brisque.cpu.coefficients import (
    BLOCK,
    LINE,
    RADIUS,
    ROWS,
    coefficients_along,
    filter_down,
    filter_outside,
    level_of,
)  # fmt: skip
from iqa.brisque.cpu.exact import exact_coefficients
from iqa.brisque.cpu.planes import (
    COUNTS,
    INSIDE,
    KEPT,
    OUTSIDE,
    RING,
    SIGN_PHASES,
    UNITS,
    Lines,
    Plane,
)
from iqa.brisque.cpu.rows import LANES, PHASES
from iqa.brisque.cpu.sums import (
    add_row,
    add_totals,
    count_products,
    count_signs,
    no_totals,
    note_signs,
    store_totals,
)  # fmt: skip
from iqa.simd.jit import row_kernel

Integers = NDArray[np.int64]


@row_kernel
def _place(plane: Plane, row: int) -> int:
    """Where a row of pixels begins."""
    slot = row & (RING - 1) if 0 <= row < plane.height else OUTSIDE
    return slot * PHASES * plane.stride


@row_kernel
def _exact(pixels: Any, plane: Plane, places: Integers, start: int, near: int, out: int) -> None:
    """Coefficients in float64 of 64 pixels for every bit of `near`."""
    while near:
        if near & 1:
            at = (
                places[0] + start, places[1] + start, places[2] + start, places[3] + start,
                places[4] + start, places[5] + start, places[6] + start,
            )  # fmt: skip
            exact_coefficients(
                pixels, at, plane.stride, plane.coefficients, out, plane.coefficient_stride
            )
        near >>= 1
        start, out = start + LANES, out + LANES


@row_kernel
def _coefficients(plane: Plane, row: int, rows: int, slot: int, lines: Lines) -> None:
    """Coefficients of up to four rows from `row` on, to the places from `slot` on."""
    pixels, stride, out_stride = plane.pixels, plane.stride, plane.coefficient_stride
    places = lines.at
    size = PHASES * stride
    if row >= RADIUS and row + ROWS + RADIUS <= plane.height:
        for k in range(ROWS + 2 * RADIUS):
            places[k] = (row - RADIUS + k & RING - 1) * size
    else:
        for k in range(ROWS + 2 * RADIUS):
            places[k] = _place(plane, row - RADIUS + k)
    vectors = plane.length // LANES
    blocks = (plane.length + BLOCK - 1) // BLOCK
    for block in range(blocks):
        start, count = 0, plane.length
        if blocks > 1:  # Divisions take as long as several pixels.
            start = block * vectors // blocks * LANES
            count = (block + 1) * vectors // blocks * LANES - start
        # Found out a group ahead, as that takes a while; any row nearby will do.
        inside = INSIDE * PHASES * stride + start
        used = min(start + count, (plane.width + PHASES - 1) // PHASES) - start
        if slot == 0:
            plane.levels[block] = level_of(pixels, places[RADIUS] + start, inside, count, used)
        level = plane.levels[block]
        plane.levels[block] = level_of(pixels, places[RADIUS + ROWS] + start, inside, count, used)
        if blocks == 1:
            filter_outside(level, lines.filtered, count)
            first, seen = start, count
        else:  # The numbers before and behind are filtered, too.
            first, seen = start - 1, count + LANES
        filtered = 0
        for k in range(first, first + PHASES * stride, stride):
            at = (
                places[0] + k, places[1] + k, places[2] + k, places[3] + k, places[4] + k,
                places[5] + k, places[6] + k, places[7] + k, places[8] + k, places[9] + k,
            )  # fmt: skip
            filter_down(pixels, at, seen, level, lines.filtered, filtered)
            filtered += LINE
        for i in range(rows):
            kept = (slot + i) & (KEPT - 1)
            out = kept * PHASES * out_stride + LANES + start
            near = coefficients_along(
                lines.filtered, i * PHASES * LINE + start - first,
                pixels, places[RADIUS + i] + start, stride, level, count,
                plane.coefficients, out, out_stride,
            )  # fmt: skip
            if near:
                plane.counts[COUNTS + kept] = 1
                _exact(pixels, plane, places[i:], start, near, out)


@row_kernel
def _clear_right(plane: Plane, here: int) -> None:
    """Set coefficients of a row right of the image to 0."""
    for phase in range(PHASES):
        k = here + phase * plane.coefficient_stride
        for j in range((plane.width + PHASES - 1 - phase) // PHASES, plane.length):
            plane.coefficients[k + j] = 0


@row_kernel
def add_group(plane: Plane, row: int, end: int, slot: int, lines: Lines) -> None:
    """Coefficients of rows `row` to `row + 3`, and sums of those of them that are before `end`."""
    stride, step, width = plane.coefficient_stride, plane.sign_step, plane.width
    coefficients, counts, words = plane.coefficients, plane.counts, plane.words
    rows, size = min(ROWS, end - row), SIGN_PHASES * step
    for i in range(rows):
        counts[COUNTS + (slot + i & KEPT - 1)] = 0
    _coefficients(plane, row, rows, slot, lines)
    last, beyond = width - 1, width % PHASES * stride + width // PHASES
    last = last % PHASES * stride + last // PHASES
    totals = no_totals()
    for i in range(rows):
        # Long before the sums read them: a vector of which a part was just written takes long.
        here = (slot + i & KEPT - 1) * PHASES * stride + LANES
        if width % (PHASES * LANES):
            _clear_right(plane, here)
        coefficients[here + 3 * stride - 1] = coefficients[here + last]
    for i in range(rows):
        own, upper = slot + i & KEPT - 1, slot + i - 1 & KEPT - 1
        here, above = own * PHASES * stride + LANES, upper * PHASES * stride + LANES
        totals = add_row(totals, coefficients, here, above, stride, plane.length)
        # For the row below, the first one is repeated right of the image.
        coefficients[here + beyond] = coefficients[here]
        signs = own * size * UNITS
        note_signs(coefficients, here, stride, plane.length, plane.signs, signs, step * UNITS)
    store_totals(lines.totals, totals)
    add_totals(lines.totals, plane.totals)
    for i in range(rows):
        own, upper = slot + i & KEPT - 1, slot + i - 1 & KEPT - 1
        if counts[COUNTS + own] or counts[COUNTS + upper]:
            here, above = own * PHASES * stride + LANES, upper * PHASES * stride + LANES
            # The row's own beyond must not count.
            repeated = coefficients[here + beyond]
            coefficients[here + beyond] = 0
            count_products(coefficients, here, above, stride, plane.length, counts)
            coefficients[here + beyond] = repeated
        else:
            count_signs(words, own * size, upper * size, KEPT * size, step, width, counts)
