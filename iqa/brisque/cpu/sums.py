"""The 22 sums of rows of MSCN coefficients and the rows above them, for the CPU kernel.

A row of coefficients is in four phases, too: that of pixel x is number x // 4 of phase x % 4.
Coefficients right of the image are 0, but when a row is the one above, its first one is repeated
there; and left of the image is its last one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from iqa.brisque.cpu.rows import LANES
from iqa.simd.jit import row_kernel
from iqa.simd.lanes import bits_below, load, ones, spread, store

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Signs = NDArray[np.uint16]
Words = NDArray[np.uint64]

ZERO = np.float32(0)
TOTALS = 14  # sums of magnitudes and squares; the other 8 of the 22 are counts
BITS = 64  # signs in a word

# Places of signs are unsigned below: one that might be negative, Numba would count from the end,
# and LLVM would then look at one word at a time.


@row_kernel
def no_totals() -> Any:
    """14 vectors of 0."""
    z = spread(ZERO)
    return z, z, z, z, z, z, z, z, z, z, z, z, z, z


@row_kernel
def _add_product(one: Any, other: Any, absolute: Any, left: Any, right: Any) -> Any:
    product, zero = one * other, spread(ZERO)
    negative, positive = min(product, zero), max(product, zero)
    return absolute + abs(product), left + negative * negative, right + positive * positive


@row_kernel
def _add_pixel(t: Any, c: Any, left: Any, upper: Any, upper_left: Any, upper_right: Any) -> Any:
    h = _add_product(c, left, t[2], t[3], t[4])
    v = _add_product(c, upper, t[5], t[6], t[7])
    d = _add_product(c, upper_left, t[8], t[9], t[10])
    e = _add_product(c, upper_right, t[11], t[12], t[13])
    return (
        t[0] + abs(c), t[1] + c * c, h[0], h[1], h[2], v[0], v[1], v[2],
        d[0], d[1], d[2], e[0], e[1], e[2],
    )  # fmt: skip


@row_kernel
def _neighbours(rows: Floats, row: int, above: int, stride: int) -> Any:
    """A row's four phases and the last one a number earlier; above also the first one later."""
    like = spread(ZERO)
    r1, r2, r3 = row + stride, row + 2 * stride, row + 3 * stride
    a1, a2, a3 = above + stride, above + 2 * stride, above + 3 * stride
    return (
        load(rows, row, like), load(rows, r1, like), load(rows, r2, like), load(rows, r3, like),
        load(rows, r3 - 1, like),
        load(rows, above, like), load(rows, a1, like), load(rows, a2, like), load(rows, a3, like),
        load(rows, a3 - 1, like), load(rows, above + 1, like),
    )  # fmt: skip


@row_kernel
def add_row(totals: Any, rows: Floats, row: int, above: int, stride: int, count: int) -> Any:
    """Add a row's magnitudes and squares.

    Args:
        totals: 14 vectors, in the order of `features` but without the counts.
        rows, row, above, stride: coefficients, where two rows begin and how far phases are apart.
        count: numbers in a phase.

    Returns:
        the new totals.
    """
    for j in range(0, count, LANES):
        c0, c1, c2, c3, left, a0, a1, a2, a3, before, behind = _neighbours(
            rows, row + j, above + j, stride
        )
        totals = _add_pixel(totals, c0, left, a0, before, a1)
        totals = _add_pixel(totals, c1, c0, a1, a0, a2)
        totals = _add_pixel(totals, c2, c1, a2, a1, a3)
        totals = _add_pixel(totals, c3, c2, a3, a2, behind)
    return totals


@row_kernel
def note_signs(
    rows: Floats, row: int, stride: int, count: int, signs: Signs, place: int, step: int
) -> None:
    """Set a bit for each negative coefficient of a row.

    Args:
        rows, row, stride, count: as for `add_row`.
        signs, place: get the bits, 16 in a number, of six phases: the last one a column earlier,
            the four, the first one a column later. So are those of left and right neighbours the
            four that begin a phase earlier and later.
        step: from phase to phase.
    """
    zero, last = spread(ZERO), row + 3 * stride
    before, phase = np.uint64(place), np.uint64(step)
    a, b, c = before + phase, before + phase + phase, before + phase + phase + phase
    d, behind = c + phase, c + phase + phase
    for k in range(np.uint64(count // LANES)):
        j = LANES * np.int64(k)
        signs[before + k] = bits_below(load(rows, last + j - 1, zero), zero)
        signs[a + k] = bits_below(load(rows, row + j, zero), zero)
        signs[b + k] = bits_below(load(rows, row + stride + j, zero), zero)
        signs[c + k] = bits_below(load(rows, row + 2 * stride + j, zero), zero)
        signs[d + k] = bits_below(load(rows, last + j, zero), zero)
        signs[behind + k] = bits_below(load(rows, row + j + 1, zero), zero)


@row_kernel
def add_totals(totals: Floats, sums: Array) -> None:
    """Add what `store_totals` wrote."""
    for k in range(0, TOTALS * LANES, LANES // 2):
        like = spread(0.0)
        store(sums, k, load(sums, k, like) + load(totals, k, like))


@row_kernel
def store_totals(out: Floats, t: Any) -> None:
    """Write 14 vectors one after the other."""
    store(out, 0, t[0])
    store(out, LANES, t[1])
    store(out, 2 * LANES, t[2])
    store(out, 3 * LANES, t[3])
    store(out, 4 * LANES, t[4])
    store(out, 5 * LANES, t[5])
    store(out, 6 * LANES, t[6])
    store(out, 7 * LANES, t[7])
    store(out, 8 * LANES, t[8])
    store(out, 9 * LANES, t[9])
    store(out, 10 * LANES, t[10])
    store(out, 11 * LANES, t[11])
    store(out, 12 * LANES, t[12])
    store(out, 13 * LANES, t[13])


@row_kernel
def count_signs(
    words: Words, row: int, above: int, inside: int, step: int, width: int, counts: Integers
) -> None:
    """Count the products of either sign from the signs of coefficients of which none is 0.

    Args:
        words, row, above: where the signs of a row and the one above it are, see `note_signs`.
        inside: place of bits of the four phases' columns of the image.
        step: from phase to phase.
        width: of the image.
        counts: `[8]`, of the negative and of the positive products, for each of the neighbours.
    """
    h = v = d = e = 0
    phase = np.uint64(step)
    left, upper_left, bits = np.uint64(row), np.uint64(above), np.uint64(inside)
    middle, upper, upper_right = left + phase, upper_left + phase, upper_left + phase + phase
    for k in range(np.uint64(4 * step)):
        own, valid = words[middle + k], words[bits + k]
        h += ones((own ^ words[left + k]) & valid)
        v += ones((own ^ words[upper + k]) & valid)
        d += ones((own ^ words[upper_left + k]) & valid)
        e += ones((own ^ words[upper_right + k]) & valid)
    for k, negative in enumerate((h, v, d, e)):
        counts[2 * k] += negative
        counts[2 * k + 1] += width - negative


@row_kernel
def _count(product: Any) -> Any:
    zero = spread(ZERO)
    return ones(bits_below(product, zero)), ones(bits_below(zero, product))


@row_kernel
def _count_pixel(
    counts: Integers, c: Any, left: Any, upper: Any, upper_left: Any, upper_right: Any
) -> None:
    for k, other in enumerate((left, upper, upper_left, upper_right)):
        negative, positive = _count(c * other)
        counts[2 * k] += negative
        counts[2 * k + 1] += positive


@row_kernel
def count_products(
    rows: Floats, row: int, above: int, stride: int, count: int, counts: Integers
) -> None:
    """The same where coefficients may be 0, for the arguments of `add_row`."""
    for j in range(0, count, LANES):
        c0, c1, c2, c3, left, a0, a1, a2, a3, before, behind = _neighbours(
            rows, row + j, above + j, stride
        )
        _count_pixel(counts, c0, left, a0, before, a1)
        _count_pixel(counts, c1, c0, a1, a0, a2)
        _count_pixel(counts, c2, c1, a2, a1, a3)
        _count_pixel(counts, c3, c2, a3, a2, behind)
