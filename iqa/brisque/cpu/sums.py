"""Sums over MSCN coefficients, and the counts of products of either sign from bits.

A row of coefficients lies as a row of pixels does. Right of the image it is 0; once it is the row
above, its first column is repeated there. Left of the image is its last column. The arrays of rows
are of float32, or of float64 where a tie must be decided.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from iqa.brisque.cpu.load import LEFT, PHASES, WORD, fill_outside, of_phase
from iqa.simd.jit import row_kernel
from iqa.simd.lanes import (
    alike,
    count_of,
    load,
    load_rows,
    negative_bits,
    nonzero_bits,
    ones,
    spread,
    sum_of,
)

Rows = NDArray[Any]  # [K, PHASES, L]
Doubles = NDArray[np.float64]
Words = NDArray[np.uint64]
Flags = NDArray[np.bool_]

ONE, TOP = np.uint64(1), np.uint64(WORD - 1)
# The last phase a column earlier, the four, the first one a column later: so are the left and right
# neighbours of four of them those that begin one earlier and later.
SIGN_PHASES = 1 + PHASES + 1


@row_kernel
def words(width: int) -> int:
    """Words of signs in a phase, one for each 64 numbers."""
    return (width + PHASES * WORD - 1) // (PHASES * WORD)


@row_kernel
def wrap(rows: Rows, row: int, width: int) -> None:
    """Make a new row end with 0, and begin with its last column."""
    last = width - 1
    fill_outside(rows, row * PHASES * rows.shape[2], width, 0.0)
    rows[row, width % PHASES, LEFT + width // PHASES] = 0
    rows[row, PHASES - 1, LEFT - 1] = rows[row, last % PHASES, LEFT + last // PHASES]


@row_kernel
def no_totals(rows: Rows) -> Any:
    """Vectors of 0 for |c| and c^2, and for each neighbour: |p|, p^2 where p < 0 and p > 0."""
    z = spread(rows.dtype.type(0))
    return z, z, z, z, z, z, z, z, z, z, z, z, z, z


@row_kernel
def add_totals(totals: Any, sums: Doubles) -> None:
    """Add totals to the sums of `iqa.brisque.features`."""
    for k, vector in enumerate(totals):
        sums[k if k < 2 else 4 + 5 * ((k - 2) // 3) + (k - 2) % 3] += sum_of(vector)


@row_kernel
def _add(t: Any, c: Any, other: Any) -> Any:
    product, zero = c * other, alike(0.0, c)
    negative, positive = min(product, zero), max(product, zero)
    return t[0] + abs(product), t[1] + negative * negative, t[2] + positive * positive


@row_kernel
def _add_column(t: Any, c: Any, left: Any, upper: Any, upper_left: Any, upper_right: Any) -> Any:
    h, v = _add(t[2:5], c, left), _add(t[5:8], c, upper)
    d, e = _add(t[8:11], c, upper_left), _add(t[11:14], c, upper_right)
    return (t[0] + abs(c), t[1] + c * c, *h, *v, *d, *e)


@row_kernel
def add_row(
    totals: Any,
    rows: Rows,
    signs: Words,
    row: int,
    above: int,
    width: int,
    zeros: Flags,
    sums: Doubles,
) -> Any:
    """Add a row and its products to the totals, and to the sums the counts of these.

    Args:
        totals: vectors, see `no_totals`.
        rows: of coefficients.
        signs: of the rows, see `note_signs`.
        row, above: which is the row, and which the one above.
        width: columns.
        zeros: bool `[K]`, in which rows some may be 0.
        sums: `[22]` or more.

    Returns:
        the new totals.
    """
    t, like, length = totals, totals[0], rows.shape[2]
    for j in range(LEFT, LEFT + of_phase(width, 0), count_of(like)):
        place, upper = row * PHASES * length + j, above * PHASES * length + j
        left = load(rows, place + 3 * length - 1, like)
        upper_left = load(rows, upper + 3 * length - 1, like)
        upper_right = load(rows, upper + 1, like)
        c = load_rows(rows, place, length, PHASES, like)
        a = load_rows(rows, upper, length, PHASES, like)
        t = _add_column(t, c[0], left, a[0], upper_left, a[1])
        t = _add_column(t, c[1], c[0], a[1], a[0], a[2])
        t = _add_column(t, c[2], c[1], a[2], a[1], a[3])
        t = _add_column(t, c[3], c[2], a[3], a[2], upper_right)
    n = words(width)
    some = zeros[row] or zeros[above]
    note_signs(rows, signs, row, width, zeros[row])
    _count(signs[row], signs[row], 0, n, width, some, sums[2:])
    _count(signs[row], signs[above], n, n, width, some, sums[7:])
    _count(signs[row], signs[above], 0, n, width, some, sums[12:])
    _count(signs[row], signs[above], 2 * n, n, width, some, sums[17:])
    end_above(rows, signs, row, width)
    return t


@row_kernel
def note_signs(rows: Rows, signs: Words, row: int, width: int, zeros: bool) -> None:
    """Note which coefficients of a row are negative and which are not 0.

    `signs`, `[K, 2, SIGN_PHASES * words(W)]`, has a bit for each, first for the former. Unless some
    may be 0 the latter are those inside the image.
    """
    n, length, last = words(width), rows.shape[2], width - 1
    for phase in range(PHASES):
        place = (row * PHASES + phase) * length + LEFT
        for k in range(n):
            signs[row, 0, (1 + phase) * n + k] = negative_bits(rows, place + k * WORD)
            if zeros:
                nonzero = nonzero_bits(rows, place + k * WORD)
            else:
                nonzero = _first(of_phase(width, phase) - k * WORD)
            signs[row, 1, (1 + phase) * n + k] = nonzero
    place = (1 + last % PHASES) * n + last // PHASES // WORD
    for bits in signs[row]:
        left = bits[place] >> np.uint64(last // PHASES % WORD) & ONE
        for k in range(n):
            own = bits[PHASES * n + k]
            bits[k] = own << ONE | left
            left = own >> TOP
            right = bits[n + k + 1] << TOP if k + 1 < n else np.uint64(0)
            bits[(1 + PHASES) * n + k] = bits[n + k] >> ONE | right


@row_kernel
def _first(count: int) -> np.uint64:
    """A word of which so many bits are set, the lowest first."""
    return ~np.uint64(0) if count >= WORD else (ONE << np.uint64(max(count, 0))) - ONE


@row_kernel
def end_above(rows: Rows, signs: Words, row: int, width: int) -> None:
    """Make a row the one above: its first column is the right neighbour of its last one, too."""
    first, last = rows[row, 0, LEFT], width - 1
    rows[row, width % PHASES, LEFT + width // PHASES] = first
    word = (1 + last % PHASES + 1) * words(width) + last // PHASES // WORD
    bit = np.uint64(1) << np.uint64(last // PHASES % WORD)
    if first < 0:
        signs[row, 0, word] |= bit
    if first != 0:
        signs[row, 1, word] |= bit


@row_kernel
def _count(
    own: Words, other: Words, first: int, n: int, width: int, zeros: bool, sums: Doubles
) -> None:
    """Count a row's negative and positive products; `first` is the word of the neighbours."""
    size = PHASES * n
    signs, nonzero = own[0][n : n + size], own[1][n : n + size]
    others, others_nonzero = other[0][first : first + size], other[1][first : first + size]
    negative = 0
    for k in range(size):
        negative += ones((signs[k] ^ others[k]) & nonzero[k] & others_nonzero[k])
    products = width
    if zeros:
        products = 0
        for k in range(size):
            products += ones(nonzero[k] & others_nonzero[k])
    sums[0] += negative
    sums[1] += products - negative
