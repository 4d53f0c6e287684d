"""MSCN coefficients of two rows at a time for the CPU kernel, in float32 where that can tell them.

A block of columns is filtered vertically into lines that stay in the first-level cache, then
horizontally. Two rows share what the vertical windows read and square.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iqa.brisque.features import FLAT, WINDOW
from iqa.jit import row_kernel

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

RADIUS = len(WINDOW) // 2
BLOCK = 192
LINE = BLOCK + 16  # 6 more columns than a block, in whole vectors
LINES = 4 * LINE  # mean and square of either row
# A pixel closer to its mean, or with less variance, than float32 can tell is computed in float64.
NEAR_DIFFERENCE = np.float32(1e-4)
NEAR_VARIANCE = np.float32(0.05)
ONE = np.float32(1)

# The vertical window less its middle weight 1, which the horizontal window makes up for. Its outer
# weight takes up the rounding of the others: together they must sum to 1, or bright and dark areas
# would get a variance that is not theirs.
V0, V1, V2 = (WINDOW[:RADIUS] / WINDOW[RADIUS]).astype(np.float32)
_, H1, H2, H3 = (WINDOW[: RADIUS + 1] * WINDOW[RADIUS]).astype(np.float32)
_VERTICAL_SUM = 1 + 2 * (float(V0) + float(V1) + float(V2))
H0 = np.float32((1 / _VERTICAL_SUM - float(H3)) / 2 - float(H2) - float(H1))
W0, W1, W2, W3 = WINDOW[: RADIUS + 1]


@row_kernel
def _level(row: Floats) -> np.float32:
    """The whole grey level nearest to the mean of a row."""
    total = np.float32(0)
    for x in range(len(row)):
        total += row[x]
    return np.float32(np.rint(total / np.float32(len(row))))


@row_kernel
def _filter_columns(
    a: Floats, b: Floats, c: Floats, d: Floats, e: Floats, f: Floats, g: Floats, h: Floats,
    level: np.float32, lines: Floats,
) -> None:  # fmt: skip
    """Vertical windows around rows `d` and `e`, of the pixels less `level` and of their squares."""
    for x in range(LINE):
        pa, pb, pc, pd = a[x] - level, b[x] - level, c[x] - level, d[x] - level
        pe, pf, pg, ph = e[x] - level, f[x] - level, g[x] - level, h[x] - level
        lines[x] = pd + V2 * (pc + pe) + V1 * (pb + pf) + V0 * (pa + pg)
        lines[2 * LINE + x] = pe + V2 * (pd + pf) + V1 * (pc + pg) + V0 * (pb + ph)
        pa, pb, pc, pd = pa * pa, pb * pb, pc * pc, pd * pd
        pe, pf, pg, ph = pe * pe, pf * pf, pg * pg, ph * ph
        lines[LINE + x] = pd + V2 * (pc + pe) + V1 * (pb + pf) + V0 * (pa + pg)
        lines[3 * LINE + x] = pe + V2 * (pd + pf) + V1 * (pc + pg) + V0 * (pb + ph)


@row_kernel
def _filter_row(lines: Floats, centre: Floats, level: np.float32, width: int, out: Floats) -> bool:
    """Horizontal windows and the coefficients; whether one of the first `width` is near 0."""
    near = False
    for x in range(BLOCK):
        mean = H0 * (lines[x] + lines[x + 6]) + H1 * (lines[x + 1] + lines[x + 5])
        mean += H2 * (lines[x + 2] + lines[x + 4]) + H3 * lines[x + 3]
        k = LINE + x
        square = H0 * (lines[k] + lines[k + 6]) + H1 * (lines[k + 1] + lines[k + 5])
        square += H2 * (lines[k + 2] + lines[k + 4]) + H3 * lines[k + 3]
        difference = (centre[x] - level) - mean
        variance = abs(square - mean * mean)
        near |= (x < width) & ((abs(difference) < NEAR_DIFFERENCE) | (variance < NEAR_VARIANCE))
        out[x] = difference / (math.sqrt(variance) + ONE)
    return near


@row_kernel
def _exact_block(rows: NDArray[Any], at: Integers, start: int, lines: Array, out: Floats) -> None:
    """Coefficients of a block in float64, where a difference that should be 0 is 0."""
    lines[: 2 * LINE] = 0.0
    for tap in range(len(at)):
        row, weight = rows[at[tap], start : start + LINE], WINDOW[tap]
        for x in range(LINE):
            value = np.float64(row[x])
            lines[x] += weight * value
            lines[LINE + x] += weight * (value * value)
    centre = rows[at[RADIUS], start + RADIUS : start + RADIUS + BLOCK]
    for x in range(BLOCK):
        mean = W0 * (lines[x] + lines[x + 6]) + W1 * (lines[x + 1] + lines[x + 5])
        mean += W2 * (lines[x + 2] + lines[x + 4]) + W3 * lines[x + 3]
        k = LINE + x
        square = W0 * (lines[k] + lines[k + 6]) + W1 * (lines[k + 1] + lines[k + 5])
        square += W2 * (lines[k + 2] + lines[k + 4]) + W3 * lines[k + 3]
        difference = np.float64(centre[x]) - mean
        difference = 0.0 if abs(difference) < FLAT else difference
        out[x] = difference / (math.sqrt(abs(square - mean * mean)) + 1.0)


@row_kernel
def coefficients_of_two_rows(
    rows: NDArray[Any], at: Integers, width: int, exact: bool,
    lines: Floats, wide_lines: Array, first: Floats, second: Floats,
) -> tuple[bool, bool]:  # fmt: skip
    """MSCN coefficients of two rows, and for each whether some of them may be 0.

    Args:
        rows: ring of pixel rows, which begin with `RADIUS` columns that lie outside the image.
        at: places in the ring of the 8 rows around the two, from 3 above to 3 below.
        width: columns of the image.
        exact: compute all of them in float64.
        lines, wide_lines: scratch, `[LINES]`.
        first, second: where the coefficients go; room for whole blocks.
    """
    first_zeros = second_zeros = False
    a, b, c, d = rows[at[0]], rows[at[1]], rows[at[2]], rows[at[3]]
    e, f, g, h = rows[at[4]], rows[at[5]], rows[at[6]], rows[at[7]]
    for start in range(0, width, BLOCK):
        first_near = second_near = exact
        first_block, second_block = first[start:], second[start:]
        if not exact:
            # Less the level around, the squares are small and so is their rounding.
            level = _level(d[start + RADIUS : RADIUS + min(start + BLOCK, width)])
            _filter_columns(
                a[start:], b[start:], c[start:], d[start:],
                e[start:], f[start:], g[start:], h[start:], level, lines,
            )  # fmt: skip
            columns = width - start
            first_near = _filter_row(lines, d[start + RADIUS :], level, columns, first_block)
            second_near = _filter_row(
                lines[2 * LINE :], e[start + RADIUS :], level, columns, second_block
            )
        if first_near:
            _exact_block(rows, at[:-1], start, wide_lines, first_block)
            first_zeros = True
        if second_near:
            _exact_block(rows, at[1:], start, wide_lines, second_block)
            second_zeros = True
    return first_zeros, second_zeros
