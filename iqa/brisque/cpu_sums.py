"""The 22 sums of a row of MSCN coefficients and the row above it, for the CPU kernel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from iqa.jit import row_kernel

Array = NDArray[np.float64]
Floats = NDArray[np.float32]

ZERO, ONE = np.float32(0), np.float32(1)


@row_kernel
def _add_own(row: Floats, sums: Array) -> None:
    absolute = square = ZERO
    for x in range(len(row)):
        absolute += abs(row[x])
        square += row[x] * row[x]
    sums[0] += absolute
    sums[1] += square


@row_kernel
def _add_products(row: Floats, other: Floats, zeros: bool, sums: Array) -> None:
    left = absolute = left_square = right_square = ZERO
    for x in range(len(row)):
        product = row[x] * other[x]
        right = max(product, ZERO)
        rest = product - right
        left += ONE if product < ZERO else ZERO
        absolute += abs(product)
        left_square += rest * rest
        right_square += right * right
    neither = ZERO
    if zeros:
        for x in range(len(row)):
            neither += ONE if row[x] * other[x] == ZERO else ZERO
    sums[0] += left
    sums[1] += len(row) - left - neither
    sums[2] += absolute
    sums[3] += left_square
    sums[4] += right_square


@row_kernel
def add_row(row: Floats, above: Floats, start: int, width: int, zeros: bool, sums: Array) -> None:
    """Add a row's 22 sums, in the order of `features`.

    Args:
        row, above: coefficients from column `start` on, with one before and one behind wrapped.
        start, width: the columns.
        zeros: whether some coefficients may be 0; else zeros need not be counted.
        sums: `[22]`.
    """
    end = start + width
    centre = row[start:end]
    _add_own(centre, sums)
    _add_products(centre, row[start - 1 : end - 1], zeros, sums[2:])
    _add_products(centre, above[start:end], zeros, sums[7:])
    _add_products(centre, above[start - 1 : end - 1], zeros, sums[12:])
    _add_products(centre, above[start + 1 : end + 1], zeros, sums[17:])
