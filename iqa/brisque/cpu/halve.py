"""The half-size image, as MATLAB's `imresize(x, 0.5)`: eight rows and eight columns to one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from iqa.brisque.cpu.load import LEFT, MID_GREY, fill_outside, of_phase, ten_columns
from iqa.brisque.features import HALVING, HALVING_LEFT
from iqa.simd.jit import row_kernel
from iqa.simd.lanes import LANES, PHASES, dealt, joined, load_at, store, store_rows

Floats = NDArray[np.float32]

SIZE = len(HALVING)
REACH = SIZE - 1 - HALVING_LEFT  # rows below row 2 y, and columns right of column 2 x
B0, B1, B2, B3 = HALVING[: SIZE // 2].astype(np.float32)  # symmetric; exact


@row_kernel
def _weighted(a: Any) -> Any:
    return (B0 * (a[0] + a[7]) + B1 * (a[1] + a[6])) + (B2 * (a[2] + a[5]) + B3 * (a[3] + a[4]))


@row_kernel
def mirrored(index: int, length: int) -> int:
    """The index of the sample that stands for one up to `length` outside."""
    index = -1 - index if index < 0 else index
    return 2 * length - 1 - index if index >= length else index


@row_kernel
def halve_row(
    pixels: Floats, at: Any, width: int, line: Floats, half_rows: Floats, out: int
) -> None:
    """A row of the half-size image.

    Args:
        pixels: rows of the full image.
        at: where in them the eight rows begin that it is made of.
        width: of the full image.
        line: float32 `[PHASES, L]`, for the weighted sum of the eight.
        half_rows, out: `[R, PHASES, L]` get the row, from place `out` on.
    """
    length, half_width = line.shape[1], (width + 1) // 2
    for phase in range(0, PHASES * length, length):
        for place in range(phase + LEFT, phase + LEFT + of_phase(width), LANES):
            store(line, place, _weighted(load_at(pixels, at, place, np.float32)))
    for x in range(REACH):
        for outside in (-1 - x, width + x):
            inside = mirrored(outside, width)
            line[outside % PHASES, LEFT + outside // PHASES] = line[
                inside % PHASES, LEFT + inside // PHASES
            ]
    for j in range(0, of_phase(half_width), LANES):
        low = _two_columns(line, LEFT + 2 * j, length)
        high = _two_columns(line, LEFT + 2 * j + LANES, length)
        store_rows(half_rows, out + LEFT + j, half_rows.shape[2], dealt(low, high))
    fill_outside(half_rows, out, half_width, -MID_GREY)


@row_kernel
def _two_columns(line: Floats, place: int, length: int) -> Any:
    """Every other column of the half-size row, and those right of them, from a place on."""
    a = ten_columns(line, place, length, np.float32)
    return joined((_weighted(a), _weighted(a[2:])))
