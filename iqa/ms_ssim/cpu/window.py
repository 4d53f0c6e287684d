"""The 11x11 Gaussian window: down the columns of a run into a tile, then along the tile's rows.

A tile is `[4 fields, 8 rows, 4 phases, 3 * LANES]` and stays in the first-level cache: the means
and mean squares of u and of v (see `load`) down the columns of two neighbouring runs. Windows that
begin in one of them end in the next, which lies to the right of it: run r is in place r % 2, and
also in place 2 where r is even.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from iqa.ms_ssim.cpu.load import BAND, PHASE, ROW, RUN_SIZE, Samples
from iqa.ms_ssim.pooling import WINDOW
from iqa.simd.jit import ordered_row_kernel, row_kernel
from iqa.simd.lanes import (
    LANES,
    PHASES,
    VECTOR_BYTES,
    count_of,
    joined,
    load,
    load_rows,
    spread,
    store,
    store_rows,
)

Real = NDArray[Any]  # float32, or float64 where windows need it

MARGIN = len(WINDOW) - 1
HALF = len(WINDOW) // 2
# Weights in units of the middle one, which saves its multiplication; `gain_of` makes up for it.
TAPS = WINDOW[:HALF] / WINDOW[HALF]
TAPS_32 = TAPS.astype(np.float32)
FIELDS = 4  # means and mean squares of u and of v
SPAN = 3 * LANES
TILE = (FIELDS, BAND, PHASES, SPAN)
LINE = PHASES * SPAN
FIELD = BAND * LINE
# Each field blurred along before any is used makes MS-SSIM a tenth faster with AVX2, whose 16
# registers hold one field's sums, and 3% slower with AVX-512, which has 32.
FIELD_BY_FIELD = VECTOR_BYTES < 64


@row_kernel
def gain_of(taps: Real) -> float:
    """What a weighted sum down and along has to be multiplied by."""
    return (1 + 2.0 * (taps[0] + taps[1] + taps[2] + taps[3] + taps[4])) ** -2


@row_kernel
def weights(taps: Real) -> Any:
    """Vectors of the outer half of the window's weights, made once: a tenth of the time."""
    outer = spread(taps[0], 1), spread(taps[1], 1), spread(taps[2], 1)
    return joined((*outer, spread(taps[3], 1), spread(taps[4], 1)))


@ordered_row_kernel
def _weighted(w: Any, a: Any) -> Any:
    """The windows of which the first sees the first 11 of `a`, the last the last 11.

    The window is symmetric and its middle weighs 1.
    """
    total = a[5:-5] + w[4] * (a[4:-6] + a[6:-4]) + w[3] * (a[3:-7] + a[7:-3])
    total = total + w[2] * (a[2:-8] + a[8:-2]) + w[1] * (a[1:-9] + a[9:-1])
    return total + w[0] * (a[:-10] + a[10:])


@row_kernel
def blur_down(ring: Samples, bands: tuple[int, int, int], run: int, w: Any, tile: Real) -> None:
    """Weighted means and mean squares down the columns of a run.

    Args:
        ring: `[2, 3 bands, runs, 4, 8, LANES]`, of u and of v.
        bands: which of the three are the last but two, the last but one and the last; windows end
            in the rows of the last.
        run: which one.
        w: `weights`.
        tile: see above.
    """
    dtype = tile.dtype
    for which in range(2):
        old, middle, new = ring[which, bands[0]], ring[which, bands[1]], ring[which, bands[2]]
        for phase in range(PHASES):
            for lane in range(0, LANES, count_of(dtype)):
                column = run * RUN_SIZE + phase * PHASE + lane
                out = 2 * which * FIELD + phase * SPAN + run % 2 * LANES + lane
                twin = out + (1 - run % 2) * 2 * LANES  # of an odd run the same place
                first = load_rows(old, column + (BAND - 2) * ROW, ROW, 2, dtype)
                rows = joined((first, load_rows(middle, column, ROW, BAND, dtype)))
                squares = rows * rows
                # Each row is loaded just before its first window: more do not fit 16 registers.
                for row in range(BAND):
                    eleven = joined((rows, load(new, column + row * ROW, dtype)))
                    total = _weighted(w, eleven)
                    store(tile, out + row * LINE, total)
                    store(tile, twin + row * LINE, total)
                    rows = eleven[1:]
                for row in range(BAND):
                    last = load(new, column + row * ROW, dtype)
                    eleven = joined((squares, last * last))
                    total = _weighted(w, eleven)
                    store(tile, out + FIELD + row * LINE, total)
                    store(tile, twin + FIELD + row * LINE, total)
                    squares = eleven[1:]


@row_kernel
def blur_along(rows: tuple[int, int], place: int, w: Any, tile: Real) -> None:
    """Blur some rows of a tile along: windows that begin in the vectors at `place` of each phase.

    The sums take the place of what the tile had there.
    """
    for field in range(FIELDS):
        for row in range(rows[0], rows[1]):
            at = field * FIELD + row * LINE + place
            store_rows(tile, at, SPAN, windows_along(tile, at, w))


@row_kernel
def windows_along(tile: Real, at: int, w: Any) -> Any:
    """The windows of a field of a tile that begin in the four vectors at `at`."""
    first = load_rows(tile, at, SPAN, PHASES, tile.dtype)
    second = load_rows(tile, at + 1, SPAN, PHASES, tile.dtype)
    third = load_rows(tile, at + 2, SPAN, PHASES, tile.dtype)
    last = load_rows(tile, at + 3, SPAN, 2, tile.dtype)
    return _weighted(w, joined((first, second, third, last)))
