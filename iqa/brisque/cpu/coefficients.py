"""MSCN coefficients of four rows at a time for the CPU kernel, in float32.

A block of columns is filtered vertically into lines that stay in the first-level cache, then
horizontally. Four rows share what the vertical windows read and square.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iqa.brisque.cpu.rows import LANES, MIDDLE, PHASES
from iqa.brisque.features import WINDOW
from iqa.simd.jit import row_kernel
from iqa.simd.lanes import bits_below, load, spread, store, sum_of

Floats = NDArray[np.float32]

RADIUS = len(WINDOW) // 2
ROWS = 4
# Numbers of a phase in a block: small ones have more to share, larger ones leave the cache.
BLOCK = 96
LINE = BLOCK + LANES
LINES = 2 * ROWS * PHASES * LINE
# A pixel closer to its mean, or with less variance, than float32 can tell is computed in float64.
NEAR_DIFFERENCE = np.float32(1e-4)
NEAR_VARIANCE = np.float32(0.05)
NEAR_RATIO = NEAR_VARIANCE / NEAR_DIFFERENCE
ONE = np.float32(1)

# The vertical window less its middle weight 1, which the horizontal window makes up for. Its outer
# weight takes up the rounding of the others: together they must sum to 1, or bright and dark areas
# would get a variance that is not theirs.
V0, V1, V2 = (WINDOW[:RADIUS] / WINDOW[RADIUS]).astype(np.float32)
_, H1, H2, H3 = (WINDOW[: RADIUS + 1] * WINDOW[RADIUS]).astype(np.float32)
_VERTICAL_SUM = 1 + 2 * (float(V0) + float(V1) + float(V2))
H0 = np.float32((1 / _VERTICAL_SUM - float(H3)) / 2 - float(H2) - float(H1))


@row_kernel
def level_of(pixels: Floats, start: int, inside: int, count: int, used: int) -> np.float32:
    """The whole grey level nearest to the mean of those of some pixels that lie inside the image.

    Args:
        pixels, start, count: rows of pixels, and which of them.
        inside: place in them of a 1 for each that counts, and a 0 for each other.
        used: how many count.
    """
    total = spread(np.float32(0))
    for j in range(0, count, LANES):
        total = total + load(pixels, inside + j, total) * load(pixels, start + j, total)
    return np.float32(np.rint(sum_of(total) / np.float32(used)))


@row_kernel
def _down(w: Any, a: Any) -> Any:
    return (w[0] * (a[0] + a[6]) + a[3]) + (w[1] * (a[1] + a[5]) + w[2] * (a[2] + a[4]))


@row_kernel
def filter_down(
    pixels: Floats, at: Any, count: int, level: np.float32, lines: Floats, place: int
) -> None:
    """Vertical windows of the pixels less `level` and of their squares, of a phase of four rows.

    Args:
        pixels: rows of pixels.
        at: places in them where the phase begins in the ten rows that the windows see.
        count: numbers of the phase.
        level: makes squares small.
        lines, place: get the windows; `PHASES * LINE` from one to the next, four of the pixels,
            then four of the squares.
    """
    w, middle = (spread(V0), spread(V1), spread(V2)), spread(level)
    step = PHASES * LINE
    for j in range(0, count, LANES):
        a = (
            load(pixels, at[0] + j, middle) - middle, load(pixels, at[1] + j, middle) - middle,
            load(pixels, at[2] + j, middle) - middle, load(pixels, at[3] + j, middle) - middle,
            load(pixels, at[4] + j, middle) - middle, load(pixels, at[5] + j, middle) - middle,
            load(pixels, at[6] + j, middle) - middle, load(pixels, at[7] + j, middle) - middle,
            load(pixels, at[8] + j, middle) - middle, load(pixels, at[9] + j, middle) - middle,
        )  # fmt: skip
        k = place + j
        store(lines, k, _down(w, a))
        store(lines, k + step, _down(w, a[1:]))
        store(lines, k + 2 * step, _down(w, a[2:]))
        store(lines, k + 3 * step, _down(w, a[3:]))
        a = (
            a[0] * a[0], a[1] * a[1], a[2] * a[2], a[3] * a[3], a[4] * a[4],
            a[5] * a[5], a[6] * a[6], a[7] * a[7], a[8] * a[8], a[9] * a[9],
        )  # fmt: skip
        store(lines, k + 4 * step, _down(w, a))
        store(lines, k + 5 * step, _down(w, a[1:]))
        store(lines, k + 6 * step, _down(w, a[2:]))
        store(lines, k + 7 * step, _down(w, a[3:]))


@row_kernel
def filter_outside(level: np.float32, lines: Floats, count: int) -> None:
    """Windows of `filter_down` of the columns left and right of the image.

    Args:
        level, lines: as for `filter_down`.
        count: numbers in each phase; the one behind these and the one before them are written.
    """
    w, a = (V0, V1, V2), np.float32(-MIDDLE) - level
    b = a * a
    pixel_window, square_window = _down(w, (a, a, a, a, a, a, a)), _down(w, (b, b, b, b, b, b, b))
    for line in range(0, LINES // 2, PHASES * LINE):
        for k in range(line, line + (PHASES - 1) * LINE, LINE):
            for j in (np.uint64(k + count), np.uint64(k + LINE - 1)):
                lines[j] = pixel_window
                lines[j + np.uint64(LINES // 2)] = square_window


@row_kernel
def _along(w: Any, a: Any) -> Any:
    return (w[0] * (a[0] + a[6]) + w[1] * (a[1] + a[5])) + (w[2] * (a[2] + a[4]) + w[3] * a[3])


@row_kernel
def _windows_along(w: Any, lines: Floats, j: int) -> Any:
    k, m, n = j + LINE, j + 2 * LINE, j + 3 * LINE
    like = w[0]
    a = (
        load(lines, k - 1, like), load(lines, m - 1, like), load(lines, n - 1, like),
        load(lines, j, like), load(lines, k, like), load(lines, m, like), load(lines, n, like),
        load(lines, j + 1, like), load(lines, k + 1, like), load(lines, m + 1, like),
    )  # fmt: skip
    return _along(w, a), _along(w, a[1:]), _along(w, a[2:]), _along(w, a[3:])


@row_kernel
def coefficients_along(
    lines: Floats, line: int, pixels: Floats, centre: int, stride: int, level: np.float32,
    count: int, out: Floats, place: int, out_stride: int,
) -> int:  # fmt: skip
    """Horizontal windows of one row of the lines, and its coefficients.

    Args:
        lines, line: what `filter_down` made, and where this row begins.
        pixels, centre, stride: the rows of pixels, where the block begins in this one, and how far
            its phases are apart.
        level: as for `filter_down`.
        count: numbers in each phase of the block.
        out, place, out_stride: where the coefficients go.

    Returns:
        a bit for every 16 numbers of each phase: whether a pixel among these 64 is too near to its
        mean, or to those around.
    """
    w = spread(H0), spread(H1), spread(H2), spread(H3)
    middle, one = spread(level), spread(ONE)
    ratio, limit = spread(NEAR_RATIO), spread(NEAR_VARIANCE)
    near = 0
    for j in range(0, count, LANES):
        m = _windows_along(w, lines, line + j)
        s = _windows_along(w, lines, line + LINES // 2 + j)
        k = centre + j
        d = (
            load(pixels, k, one) - middle - m[0],
            load(pixels, k + stride, one) - middle - m[1],
            load(pixels, k + 2 * stride, one) - middle - m[2],
            load(pixels, k + 3 * stride, one) - middle - m[3],
        )
        v = (
            abs(s[0] - m[0] * m[0]), abs(s[1] - m[1] * m[1]),
            abs(s[2] - m[2] * m[2]), abs(s[3] - m[3] * m[3]),
        )  # fmt: skip
        k = place + j
        store(out, k, d[0] / (math.sqrt(v[0]) + one))
        store(out, k + out_stride, d[1] / (math.sqrt(v[1]) + one))
        store(out, k + 2 * out_stride, d[2] / (math.sqrt(v[2]) + one))
        store(out, k + 3 * out_stride, d[3] / (math.sqrt(v[3]) + one))
        difference = min(min(abs(d[0]), abs(d[1])), min(abs(d[2]), abs(d[3])))
        variance = min(min(v[0], v[1]), min(v[2], v[3]))
        if bits_below(min(ratio * difference, variance), limit) != 0:
            near |= 1 << (j // LANES)
    return near
