"""Sums over MSCN coefficients and products of neighbours, whose signs are counted as bits.

A row of coefficients lies as a row of pixels does. Right of the image its last vectors are 0; once
it is the row above, its first column is repeated there. Left of the image is its last column. The
arrays of rows are of float32, or of float64 where a tie must be decided.

The product with a lower left neighbour is summed at that one, as with its upper right neighbour.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from iqa.brisque.cpu.load import LEFT, fill_outside, of_phase
from iqa.simd.jit import row_kernel
from iqa.simd.lanes import (
    PHASES,
    count_of,
    joined,
    load,
    load_rows,
    negative_bits,
    nonzero_bits,
    ones,
    spread,
    sum_of,
    vector_sum,
    with_item,
)

Rows = NDArray[Any]  # [K, PHASES, L]
Doubles = NDArray[np.float64]

BLOCK = 1024  # numbers of a phase that are added in float32; more of them would round too much


@row_kernel
def wrap(rows: Rows, row: int, width: int) -> None:
    """Make what its last vectors have right of a new row 0, and begin it with its last column."""
    last = width - 1
    fill_outside(rows, row * PHASES * rows.shape[2], width, 0.0)
    rows[row, PHASES - 1, LEFT - 1] = rows[row, last % PHASES, LEFT + last // PHASES]


@row_kernel
def no_totals(rows: Rows) -> Any:
    """Vectors of 0 for |c|, c^2 and, of each neighbour, for |p|, p^2 where p < 0, and p > 0."""
    nothing = rows.dtype.type(0)
    of_products = spread(nothing, 3)
    return spread(nothing, 2), of_products, of_products, of_products, of_products


@row_kernel
def add_totals(totals: Any, sums: Doubles) -> None:
    """Add totals to the sums of `iqa.brisque.features`."""
    own = totals[0]
    sums[0] += sum_of(own[0])
    sums[1] += sum_of(own[1])
    for k, total in enumerate(totals[1:]):
        sums[4 + 5 * k] += sum_of(total[0])
        sums[5 + 5 * k] += sum_of(total[1])
        sums[6 + 5 * k] += sum_of(total[2])


@row_kernel
def _add(total: Any, c: Any, others: Any) -> Any:
    """Add the products of columns with one neighbour each."""
    product = c * others
    negative, positive = min(product, 0), max(product, 0)
    squares = vector_sum(negative * negative), vector_sum(positive * positive)
    return total + joined((vector_sum(abs(product)), *squares))


@row_kernel
def add_row(
    totals: Any, rows: Rows, row: int, above: int, width: int, zeros: bool, sums: Doubles
) -> Any:
    """Add a row and its products to the totals, and to the sums how many are of either sign.

    Args:
        totals: vectors, see `no_totals`.
        rows: of coefficients.
        row, above: which is the row, and which the one above, see `end_above`.
        width: columns.
        zeros: whether some coefficients inside the image may be 0, in either row.
        sums: `[22]` or more.

    Returns:
        the new totals.
    """
    dtype, count, length = rows.dtype, count_of(rows.dtype), rows.shape[2]
    negative = products = 0, 0, 0, 0
    every = ~np.uint64(0) >> np.uint64(64 - PHASES * count)
    whole = LEFT + width // PHASES - count  # the last vectors without a column outside
    end = LEFT + of_phase(width)
    for first in range(LEFT, end, BLOCK):
        if first > LEFT:
            add_totals(totals, sums)
            totals = no_totals(rows)
        own, lefts, uppers, upper_lefts, upper_rights = totals
        for j in range(first, min(first + BLOCK, end), count):
            place, upper = row * PHASES * length + j, above * PHASES * length + j
            # Neighbours that are of the phase at the row's other end, a column further.
            left = load(rows, place + 3 * length - 1, dtype)
            upper_left = load(rows, upper + 3 * length - 1, dtype)
            upper_right = load(rows, upper + 1, dtype)
            c = load_rows(rows, place, length, PHASES, dtype)
            a = load_rows(rows, upper, length, PHASES, dtype)

            # Signs first, while few registers are taken: else they cost AVX2 a tenth of the time.
            # Where no coefficient is 0, only columns outside are not counted.
            counts = nonzero_bits(c) if zeros or j > whole else every
            counted = counts, counts, counts, counts
            if zeros:
                ends = nonzero_bits(left), nonzero_bits(upper_left), nonzero_bits(upper_right)
                counted = _neighbours(counts, nonzero_bits(a), ends, count)
                for k in range(len(counted)):
                    products = with_item(products, k, products[k] + ones(counts & counted[k]))
            signs = negative_bits(c)
            ends = negative_bits(left), negative_bits(upper_left), negative_bits(upper_right)
            others = _neighbours(signs, negative_bits(a), ends, count)
            for k in range(len(others)):
                unlike = counts & counted[k] & (signs ^ others[k])
                negative = with_item(negative, k, negative[k] + ones(unlike))

            own = own + joined((vector_sum(abs(c)), vector_sum(c * c)))
            lefts = _add(lefts, c, joined((left, c[:3])))
            uppers = _add(uppers, c, a)
            upper_lefts = _add(upper_lefts, c, joined((upper_left, a[:3])))
            upper_rights = _add(upper_rights, c, joined((a[1:], upper_right)))
        totals = own, lefts, uppers, upper_lefts, upper_rights
    for k in range(len(negative)):
        sums[2 + 5 * k] += negative[k]
        sums[3 + 5 * k] += (products[k] if zeros else width) - negative[k]
    return totals


@row_kernel
def end_above(rows: Rows, row: int, width: int) -> None:
    """Make a row the one above: its first column is the right neighbour of its last one, too."""
    rows[row, width % PHASES, LEFT + width // PHASES] = rows[row, 0, LEFT]


# Words have a bit for each number of the vectors of the four phases, the first one's lowest.


@row_kernel
def _neighbours(own: Any, upper: Any, ends: Any, count: int) -> Any:
    """Words of the left, upper, upper left and upper right neighbours.

    To the left and to the right lies the phase before or after; `ends` are the bits of those that
    the first and the last phase have there.
    """
    one = np.uint64(count)
    last = np.uint64(PHASES - 1) * one
    left, upper_left, upper_right = ends
    return own << one | left, upper, upper << one | upper_left, upper >> one | upper_right << last
