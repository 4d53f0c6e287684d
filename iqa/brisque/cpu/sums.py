"""Sums over MSCN coefficients, and the counts of products of either sign from bits.

A row of coefficients lies as a row of pixels does. Right of the image it is 0; once it is the row
above, its first column is repeated there. Left of the image is its last column.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from iqa.brisque.cpu.load import LANES, LEFT, PHASES, WORD, fill_outside, of_phase
from iqa.simd.jit import row_kernel
from iqa.simd.lanes import load, load_rows, negative_bits, nonzero_bits, ones, spread, store_rows

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]
Words = NDArray[np.uint64]

NEIGHBOURS = 4  # left, upper, upper left and upper right
# Of |c| and c^2; and for each neighbour of |p| and of p^2 where p < 0 and p > 0, p the product.
TOTALS = 2 + 3 * NEIGHBOURS
COUNTS = 2 * NEIGHBOURS  # of negative and of positive products
# The last phase a column earlier, the four, the first one a column later: so are the left and right
# neighbours of four of them those that begin one earlier and later.
SIGN_PHASES = 1 + PHASES + 1
ALL = ~np.uint64(0)


@row_kernel
def words(width: int) -> int:
    """Words of signs in a phase, one for each 64 numbers."""
    return (width + PHASES * WORD - 1) // (PHASES * WORD)


@row_kernel
def wrap(rows: Floats, row: int, width: int) -> None:
    """Make a new row end with 0, and begin with its last column."""
    length = rows.shape[2]
    here = row * PHASES * length
    fill_outside(rows, here, length, width, np.float32(0))
    last = width - 1
    rows[row, PHASES - 1, LEFT - 1] = rows[row, last % PHASES, LEFT + last // PHASES]


@row_kernel
def wrap_above(rows: Floats, row: int, width: int) -> None:
    """Repeat a row's first column behind its last one, for the row below."""
    rows[row, width % PHASES, LEFT + width // PHASES] = rows[row, 0, LEFT]


@row_kernel
def no_totals() -> Any:
    """A vector of 0 for each of the totals."""
    z = spread(np.float32(0))
    return z, z, z, z, z, z, z, z, z, z, z, z, z, z


@row_kernel
def _add(t: Any, c: Any, other: Any) -> Any:
    product, zero = c * other, spread(np.float32(0))
    negative, positive = min(product, zero), max(product, zero)
    return t[0] + abs(product), t[1] + negative * negative, t[2] + positive * positive


@row_kernel
def _add_column(t: Any, c: Any, left: Any, upper: Any, upper_left: Any, upper_right: Any) -> Any:
    h, v = _add(t[2:5], c, left), _add(t[5:8], c, upper)
    d, e = _add(t[8:11], c, upper_left), _add(t[11:14], c, upper_right)
    return (t[0] + abs(c), t[1] + c * c, *h, *v, *d, *e)


@row_kernel
def add_row(totals: Any, rows: Floats, row: int, above: int, width: int) -> Any:
    """Add a row to the totals.

    Args:
        totals: vectors.
        rows: of coefficients, `[K, PHASES, L]`.
        row, above: which is the row, and which the one above.
        width: columns.

    Returns:
        the new totals.
    """
    t, like, length = totals, totals[0], rows.shape[2]
    for j in range(LEFT, LEFT + of_phase(width, 0), LANES):
        place, upper = row * PHASES * length + j, above * PHASES * length + j
        left, upper_left = (
            load(rows, place + 3 * length - 1, like),
            load(rows, upper + 3 * length - 1, like),
        )
        upper_right = load(rows, upper + 1, like)
        c = load_rows(rows, place, length, PHASES, like)
        a = load_rows(rows, upper, length, PHASES, like)
        t = _add_column(t, c[0], left, a[0], upper_left, a[1])
        t = _add_column(t, c[1], c[0], a[1], a[0], a[2])
        t = _add_column(t, c[2], c[1], a[2], a[1], a[3])
        t = _add_column(t, c[3], c[2], a[3], a[2], upper_right)
    return t


@row_kernel
def add_totals(totals: Any, scratch: Floats, sums: Doubles) -> None:
    """Add vectors of float32 to those in float64, by way of `scratch`; both `[TOTALS * LANES]`."""
    store_rows(scratch, 0, LANES, totals)
    for k in range(len(sums)):
        sums[k] += scratch[k]


@row_kernel
def note_inside(width: int, inside: Words) -> None:
    """Note which numbers of the four phases are columns of the image."""
    n = words(width)
    for phase in range(PHASES):
        for k in range(n):
            rest = of_phase(width, phase) - k * WORD
            bits = ALL if rest >= WORD else (np.uint64(1) << np.uint64(rest)) - np.uint64(1)
            inside[phase * n + k] = bits


@row_kernel
def note_signs(rows: Floats, row: int, width: int, some_zero: bool, signs: Words) -> None:
    """Note which coefficients of a row are negative, and which are not 0.

    Args:
        rows, row: of coefficients, and which.
        width: columns.
        some_zero: some may be 0, otherwise none is taken for it.
        signs: `[2, SIGN_PHASES * words(W)]` gets the bits.
    """
    n, length = words(width), rows.shape[2]
    for phase in range(-1, PHASES + 1):
        column = (row * PHASES + phase % PHASES) * length + LEFT + phase // PHASES
        for k in range(n):
            bit = (1 + phase) * n + k
            signs[0, bit] = negative_bits(rows, column + k * WORD)
            signs[1, bit] = nonzero_bits(rows, column + k * WORD) if some_zero else ALL


@row_kernel
def count_signs(
    own: Words, above: Words, some_zero: bool, inside: Words, width: int, counts: Integers
) -> None:
    """Count the negative and the positive products of a row.

    Args:
        own, above: signs of the row and of the one above, see `note_signs`.
        some_zero: some of either may be 0.
        inside: see `note_inside`.
        width: columns.
        counts: `[COUNTS]`.
    """
    n = words(width)
    _count(own, own, 0, some_zero, inside, width, counts[0:2])
    _count(own, above, n, some_zero, inside, width, counts[2:4])
    _count(own, above, 0, some_zero, inside, width, counts[4:6])
    _count(own, above, 2 * n, some_zero, inside, width, counts[6:8])


@row_kernel
def _count(
    own: Words,
    other: Words,
    first: int,
    some_zero: bool,
    inside: Words,
    width: int,
    counts: Integers,
) -> None:
    n = words(width)
    size = PHASES * n
    one, another = own[0][n : n + size], other[0][first : first + size]
    negative, products = 0, width
    if some_zero:
        products = 0
        c, d = own[1][n : n + size], other[1][first : first + size]
        for k in range(size):
            both = c[k] & d[k] & inside[k]
            negative += ones((one[k] ^ another[k]) & both)
            products += ones(both)
    else:
        for k in range(size):
            negative += ones((one[k] ^ another[k]) & inside[k])
    counts[0] += negative
    counts[1] += products - negative


@row_kernel
def moments(totals: Doubles, counts: Integers, out: Doubles) -> None:
    """The 22 sums of `iqa.brisque.features` from totals and counts."""
    for k in range(TOTALS):
        total = 0.0
        for lane in range(LANES):
            total += totals[k * LANES + lane]
        out[k if k < 2 else 4 + 5 * ((k - 2) // 3) + (k - 2) % 3] = total
    for k in range(COUNTS):
        out[2 + 5 * (k // 2) + k % 2] = counts[k]
