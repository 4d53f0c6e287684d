"""From pixels to rows of numbers: how an image lies in vectors.

A row is luma less 128 in float32, cut into four phases: column x is number `LEFT + x // 4` of phase
x % 4. So the neighbours of columns that are 4 apart lie side by side, too, and a window of 7 takes
10 loads for four vectors of columns, not 28: a sixth of the kernel's time. Before and behind the
columns of the image is what lies outside of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from iqa.images import Image
from iqa.luma import luma_of
from iqa.simd.jit import row_kernel
from iqa.simd.lanes import (
    LANES,
    PHASES,
    RUN,
    count_of,
    inside,
    joined,
    load_pixels,
    load_rows,
    prefetch,
    store_rows,
)
from iqa.simd.memory import CACHE_LINE

Floats = NDArray[np.float32]

LEFT = CACHE_LINE // 4  # numbers, so that the vectors of every level are aligned
AHEAD = 8192  # bytes that the cache is told of before they are read
# Taken from every pixel: differences and variances stay as they are, their rounding gets smaller.
MID_GREY = np.float32(128)


@row_kernel
def phase_length(width: int) -> int:
    """Numbers in a phase; on either side of those of the image is a vector of any level.

    Cache lines are odd in number, or rows would share few sets of a cache: 2% of the time.
    """
    return (-(-width // (PHASES * LEFT)) + 2 | 1) * LEFT


@row_kernel
def of_phase(columns: int) -> int:
    """How many of so many columns are of the first phase."""
    return (columns + PHASES - 1) // PHASES


@row_kernel
def load_row(pixels: Image, start: int, channels: int, width: int, rows: Floats, out: int) -> None:
    """A row of an image.

    Args:
        pixels: its bytes; what is read ends within a `RUN` after the row.
        start: the byte where the row begins.
        channels: 1 or 3, interleaved.
        width: columns.
        rows, out: `[R, PHASES, L]` get them, from place `out` on.
    """
    length = rows.shape[2]
    # A loop for each, with steps that are known when it is compiled: 3% of the kernel with AVX2.
    if channels == 1:
        for j in range(0, of_phase(width), LANES):
            at, place = start + PHASES * j, out + LEFT + j
            for line in range(0, RUN, CACHE_LINE):
                prefetch(pixels, at + AHEAD + line)
            store_rows(rows, place, length, load_pixels(pixels, at, 1) - MID_GREY)
    else:
        for j in range(0, of_phase(width), LANES):
            at, place = start + 3 * PHASES * j, out + LEFT + j
            for line in range(0, 3 * RUN, CACHE_LINE):
                prefetch(pixels, at + AHEAD + line)
            store_rows(rows, place, length, luma_of(pixels, at, MID_GREY))
    fill_outside(rows, out, width, -MID_GREY)


@row_kernel
def ten_columns(rows: Any, place: int, length: int, dtype: Any) -> Any:
    """Columns x - 3 to x + 6, for a vector of x of phase 0 that lie from a place on."""
    left = load_rows(rows, place + length - 1, length, 3, dtype)
    own = load_rows(rows, place, length, PHASES, dtype)
    return joined((left, own, load_rows(rows, place + 1, length, 3, dtype)))


@row_kernel
def fill_outside(rows: Any, out: int, width: int, value: float | np.float32) -> None:
    """Set what lies right of the image, up to the end of its last vectors.

    Args:
        rows, out: `[R, PHASES, L]`, and where in it the row begins.
        width: columns of the image.
        value: set.
    """
    length = rows.shape[2]
    for j in range(width // RUN * LANES, of_phase(width), count_of(rows.dtype)):
        own = load_rows(rows, out + LEFT + j, length, PHASES, rows.dtype)
        store_rows(rows, out + LEFT + j, length, inside(width - PHASES * j, own, value))
