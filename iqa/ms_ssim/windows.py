"""The windows of MS-SSIM over bands of samples: the loops that the CPU kernel spends its time in.

With E the Gaussian window and var z = E[z^2] - E[z]^2, of difference u and sum v of a pair,
2 cov(x, y) = (var v - var u) / 2 and var x + var y = (var v + var u) / 2, so that

    contrast-structure = 1 - var u / ((var u + var v) / 2 + C2):

four filtered fields, and exactly 1 on identical pixels.

Windows are made for 8 rows of a run (see `samples`) at a time: first down its columns into a tile
`[4 fields, 8 rows, 4 phases, SPAN]`, then along the tile's rows. The tile stays in the first-level
cache. The fields are mean and mean square of u, and those of v. A run is in one of two places, its
successor to the right of it, for the windows that begin in one and end in the other: the first of
the two places is also a third.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from iqa.jit import block_kernel, row_kernel
from iqa.lanes import count_of, load, multiply_add, spread, store, sum_of
from iqa.ms_ssim.pooling import C1, C2, WINDOW
from iqa.ms_ssim.samples import BAND, LANES, PHASE, PHASES, ROW, RUN, RUN_SIZE, Samples

Array = NDArray[np.float64]
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
        ring: of the whole scale, see `sweep`.
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
def _weights(taps: Real) -> Any:
    return spread(taps[0]), spread(taps[1]), spread(taps[2]), spread(taps[3]), spread(taps[4])


@row_kernel
def _window(w: Any, a: Any) -> Any:
    """Weighted sum of the first 11 of `a`; the window is symmetric and its middle weighs 1."""
    sums = multiply_add(w[4], a[4] + a[6], a[5])
    sums = multiply_add(w[3], a[3] + a[7], sums)
    sums = multiply_add(w[2], a[2] + a[8], sums)
    sums = multiply_add(w[1], a[1] + a[9], sums)
    return multiply_add(w[0], a[0] + a[10], sums)


@row_kernel
def _store_windows(w: Any, a: Any, tile: Real, i: int, k: int) -> None:
    """Weighted sums of 8 windows over 18 values, stored twice."""
    _store_both(tile, i, k, _window(w, a))
    _store_both(tile, i + LINE, k + LINE, _window(w, a[1:]))
    _store_both(tile, i + 2 * LINE, k + 2 * LINE, _window(w, a[2:]))
    _store_both(tile, i + 3 * LINE, k + 3 * LINE, _window(w, a[3:]))
    _store_both(tile, i + 4 * LINE, k + 4 * LINE, _window(w, a[4:]))
    _store_both(tile, i + 5 * LINE, k + 5 * LINE, _window(w, a[5:]))
    _store_both(tile, i + 6 * LINE, k + 6 * LINE, _window(w, a[6:]))
    _store_both(tile, i + 7 * LINE, k + 7 * LINE, _window(w, a[7:]))


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
def _blur_down(bands: Bands, run: int, w: Any, tile: Real) -> None:
    """Weighted means and mean squares down the columns of a run, into its place in the tile."""
    at = run % 2 * LANES
    # What is left of a run in one of the two places is in the other one, or else the third.
    copy = 2 * LANES - 2 * at
    if run < bands.runs:
        for k in range(2 * PHASES):
            which, phase = k // PHASES, k % PHASES
            i = which * bands.size + run * RUN_SIZE + phase * PHASE
            o = which * 2 * FIELD + phase * SPAN + at
            for lane in range(0, LANES, count_of(w[0])):
                j, m = i + lane, o + lane
                _blur_column(
                    bands.ring, bands.old + j, bands.middle + j, bands.new + j, w, tile, m, m + copy
                )
    else:
        nothing = w[0] - w[0]
        for i in range(at, FIELDS * FIELD, SPAN):
            for lane in range(0, LANES, count_of(w[0])):
                _store_both(tile, i + lane, i + lane + copy, nothing)


@row_kernel
def _group_along(w: Any, tile: Real, i: int) -> Any:
    """Weighted sums of 4 windows that begin in the same vector of each phase."""
    k, m, n = i + SPAN, i + 2 * SPAN, i + 3 * SPAN
    like = w[0]
    a = (
        load(tile, i, like), load(tile, k, like), load(tile, m, like), load(tile, n, like),
        load(tile, i + 1, like), load(tile, k + 1, like),
        load(tile, m + 1, like), load(tile, n + 1, like),
        load(tile, i + 2, like), load(tile, k + 2, like),
        load(tile, m + 2, like), load(tile, n + 2, like),
        load(tile, i + 3, like), load(tile, k + 3, like),
    )  # fmt: skip
    return _window(w, a), _window(w, a[1:]), _window(w, a[2:]), _window(w, a[3:])


@row_kernel
def _variances(mean: Any, square: Any, gain: Any) -> Any:
    return (
        square[0] - gain * (mean[0] * mean[0]), square[1] - gain * (mean[1] * mean[1]),
        square[2] - gain * (mean[2] * mean[2]), square[3] - gain * (mean[3] * mean[3]),
    )  # fmt: skip


@block_kernel
def contrast(
    bands: Bands, first: int, last: int, runs: int, taps: Samples, tile: Samples, loss: Samples,
    kept: Samples,
) -> None:  # fmt: skip
    """Half of 1 - contrast-structure of the windows that end in a band.

    Args:
        first, last: which of the 8 rows.
        runs: in so many runs.
        loss: gets the sum down each column.
        kept: gets what `risk` wants to know, of the last row: of each run, mean and variance of u
            and squared mean and variance of v of its first phase.
    """
    w, gain = _weights(taps), spread(np.float32(GAIN_32))
    c2 = spread(np.float32(2 * C2 / GAIN_32))
    _blur_down(bands, 0, w, tile)
    for run in range(runs):
        _blur_down(bands, run + 1, w, tile)
        o = run * RUN
        for phase in range(PHASES):
            store(loss, o + phase * LANES, c2 - c2)
        for row in range(first, last):
            i = row * LINE + run % 2 * LANES
            mean = _group_along(w, tile, i)
            u = _variances(mean, _group_along(w, tile, i + FIELD), gain)
            store(kept, o, mean[0])
            store(kept, o + LANES, u[0])
            mean = _group_along(w, tile, i + 2 * FIELD)
            v = _variances(mean, _group_along(w, tile, i + 3 * FIELD), gain)
            store(kept, o + 2 * LANES, mean[0] * mean[0])
            store(kept, o + 3 * LANES, v[0])
            _add(loss, o, u[0], v[0], c2)
            _add(loss, o + LANES, u[1], v[1], c2)
            _add(loss, o + 2 * LANES, u[2], v[2], c2)
            _add(loss, o + 3 * LANES, u[3], v[3], c2)


@row_kernel
def _add(loss: Samples, i: int, u: Any, v: Any, c2: Any) -> None:
    store(loss, i, load(loss, i, c2) + u / (u + (v + c2)))


@block_kernel
def risk(kept: Samples, runs: int) -> float:
    """How delicate windows are, by what `contrast` keeps of them.

    Returns:
        the mean of what an error of one part in the mean squares makes of the losses, where windows
        are so alike that their errors are, too.
    """
    half, one = spread(np.float32(0.5)), spread(np.float32(1))
    c2, noise = spread(np.float32(C2 / GAIN_32)), spread(np.float32(16 / GAIN_32))
    sums = one - one
    for run in range(runs):
        i = run * RUN
        mean, total = load(kept, i, one), load(kept, i + 2 * LANES, one)
        u, v = load(kept, i + LANES, one), load(kept, i + 3 * LANES, one)
        dither = noise + v
        inverse = one / ((half * (u + v) + c2) * dither)
        energy = half * noise * (u * dither * inverse) * total
        sums = sums + inverse * (mean * mean * dither + energy)
    return GAIN_32 * float(sum_of(sums)) / (runs * LANES)


@block_kernel
def blur_down(bands: Bands, run: int, taps: Array, tile: Array) -> None:
    """What `contrast` begins with, in float64: one run's column means and mean squares."""
    _blur_down(bands, run, _weights(taps), tile)


@block_kernel
def blur_along(
    tile: Array, row: int, run: int, taps: Array, means: Array, variances: Array
) -> None:
    """Means and variances of a run's windows of a tile's row, of one of u and v.

    What comes out is `1 / GAIN` times too large.
    """
    w, gain = _weights(taps), spread(GAIN)
    for lane in range(0, LANES, count_of(gain)):
        i = row * LINE + run % 2 * LANES + lane
        mean = _group_along(w, tile, i)
        _store_phases(means, lane, mean)
        _store_phases(variances, lane, _variances(mean, _group_along(w, tile, i + FIELD), gain))


@row_kernel
def _store_phases(out: Array, i: int, a: Any) -> None:
    store(out, i, a[0])
    store(out, i + LANES, a[1])
    store(out, i + 2 * LANES, a[2])
    store(out, i + 3 * LANES, a[3])


@block_kernel
def losses(
    mean_u: Array, variance_u: Array, mean_v: Array, variance_v: Array,
    centre_u: float, centre_v: float, contrast: Array, ssim: Array,
) -> None:  # fmt: skip
    """1 - contrast-structure and 1 - SSIM of each window, of what `blur_along` makes."""
    for i in range(len(contrast)):
        mean, total = GAIN * mean_u[i] + centre_u, GAIN * mean_v[i] + centre_v
        value = variance_u[i] / (0.5 * (variance_u[i] + variance_v[i]) + C2 / GAIN)
        luminance = mean * mean / (0.5 * (mean * mean + total * total) + C1)
        contrast[i] = value
        ssim[i] = value + luminance - value * luminance


@block_kernel
def accumulate(row: Real, factor: float, sums: Array) -> None:
    """Add `factor` times a row to the sums of its windows."""
    for i in range(len(sums)):
        sums[i] += factor * row[i]
