"""The windows of MS-SSIM down the columns of a run: 8 rows at a time, into a tile.

A tile is `[4 fields, 8 rows, 4 phases, SPAN]` and stays in the first-level cache. The fields are
mean and mean square of u, and those of v (see `samples`). A run is in one of two places, its
successor to the right of it, for the windows that begin in one and end in the other: the first of
the two places is also a third.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from iqa.ms_ssim.cpu.samples import BAND, LANES, PHASE, PHASES, ROW, RUN_SIZE, Samples
from iqa.ms_ssim.pooling import WINDOW
from iqa.simd.jit import row_kernel
from iqa.simd.lanes import count_of, load, multiply_add, spread, store

Real = NDArray[Any]  # float32, or float64 where windows need it

SPAN = 3 * LANES
LINE = PHASES * SPAN
FIELD = BAND * LINE
FIELDS = 4

MIDDLE = len(WINDOW) // 2
# Weights in units of the middle one, which saves its multiplication; to be made up for by `GAIN`.
TAPS = WINDOW[:MIDDLE] / WINDOW[MIDDLE]
TAPS_32 = TAPS.astype(np.float32)
GAIN = float(WINDOW[MIDDLE] ** 2)
GAIN_32 = float((1 + 2 * TAPS_32.astype(np.float64).sum()) ** -2)


class Bands(NamedTuple):
    """The samples that windows of 8 rows need, of one channel.

    Attributes:
        ring: of the whole scale, see `line_buffers`.
        old, middle, new: where the bands of u begin in it; windows end in the last one.
        size: so much further begin those of v.
        runs: so many of each.
    """

    ring: Samples
    old: int
    middle: int
    new: int
    size: int
    runs: int


@row_kernel
def weights(taps: Real) -> Any:
    """Vectors of the outer half of the window's weights."""
    return spread(taps[0]), spread(taps[1]), spread(taps[2]), spread(taps[3]), spread(taps[4])


@row_kernel
def window(w: Any, a: Any) -> Any:
    """Weighted sum of the first 11 of `a`; the window is symmetric and its middle weighs 1."""
    sums = multiply_add(w[4], a[4] + a[6], a[5])
    sums = multiply_add(w[3], a[3] + a[7], sums)
    sums = multiply_add(w[2], a[2] + a[8], sums)
    sums = multiply_add(w[1], a[1] + a[9], sums)
    return multiply_add(w[0], a[0] + a[10], sums)


@row_kernel
def _store_windows(w: Any, a: Any, tile: Real, i: int, k: int) -> None:
    """Weighted sums of 8 windows over 18 values, stored twice."""
    _store_both(tile, i, k, window(w, a))
    _store_both(tile, i + LINE, k + LINE, window(w, a[1:]))
    _store_both(tile, i + 2 * LINE, k + 2 * LINE, window(w, a[2:]))
    _store_both(tile, i + 3 * LINE, k + 3 * LINE, window(w, a[3:]))
    _store_both(tile, i + 4 * LINE, k + 4 * LINE, window(w, a[4:]))
    _store_both(tile, i + 5 * LINE, k + 5 * LINE, window(w, a[5:]))
    _store_both(tile, i + 6 * LINE, k + 6 * LINE, window(w, a[6:]))
    _store_both(tile, i + 7 * LINE, k + 7 * LINE, window(w, a[7:]))


@row_kernel
def _store_both(tile: Real, i: int, k: int, a: Any) -> None:
    store(tile, i, a)
    store(tile, k, a)


@row_kernel
def _blur_column(
    ring: Samples, old: int, middle: int, new: int, w: Any, tile: Real, o: int, k: int
) -> None:
    like = w[0]
    a = (
        load(ring, old + 6 * ROW, like), load(ring, old + 7 * ROW, like),
        load(ring, middle, like), load(ring, middle + ROW, like),
        load(ring, middle + 2 * ROW, like), load(ring, middle + 3 * ROW, like),
        load(ring, middle + 4 * ROW, like), load(ring, middle + 5 * ROW, like),
        load(ring, middle + 6 * ROW, like), load(ring, middle + 7 * ROW, like),
        load(ring, new, like), load(ring, new + ROW, like),
        load(ring, new + 2 * ROW, like), load(ring, new + 3 * ROW, like),
        load(ring, new + 4 * ROW, like), load(ring, new + 5 * ROW, like),
        load(ring, new + 6 * ROW, like), load(ring, new + 7 * ROW, like),
    )  # fmt: skip
    _store_windows(w, a, tile, o, k)
    _store_windows(w, (
        a[0] * a[0], a[1] * a[1], a[2] * a[2], a[3] * a[3], a[4] * a[4], a[5] * a[5],
        a[6] * a[6], a[7] * a[7], a[8] * a[8], a[9] * a[9], a[10] * a[10], a[11] * a[11],
        a[12] * a[12], a[13] * a[13], a[14] * a[14], a[15] * a[15], a[16] * a[16], a[17] * a[17],
    ), tile, o + FIELD, k + FIELD)  # fmt: skip


@row_kernel
def blur_down(bands: Bands, run: int, w: Any, tile: Real) -> None:
    """Weighted means and mean squares down the columns of a run, into its place in the tile."""
    at = run % 2 * LANES
    # What is left of a run in one of the two places is in the other one, or else the third.
    copy = 2 * LANES - 2 * at
    for k in range(2 * PHASES):
        which, phase = k // PHASES, k % PHASES
        i = which * bands.size + run * RUN_SIZE + phase * PHASE
        o = which * 2 * FIELD + phase * SPAN + at
        for lane in range(0, LANES, count_of(w[0])):
            j, m = i + lane, o + lane
            _blur_column(
                bands.ring, bands.old + j, bands.middle + j, bands.new + j, w, tile, m, m + copy
            )
