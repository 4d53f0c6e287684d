"""The windows of MS-SSIM along the rows of a tile (see `columns`), and what they lack to 1.

With E the Gaussian window and var z = E[z^2] - E[z]^2, of difference u and sum v of a pair,
2 cov(x, y) = (var v - var u) / 2 and var x + var y = (var v + var u) / 2, so that

    contrast-structure = 1 - var u / ((var u + var v) / 2 + C2):

four filtered fields, and exactly 1 on identical pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from iqa.ms_ssim.cpu.columns import (
    FIELD,
    GAIN,
    GAIN_32,
    LINE,
    SPAN,
    Bands,
    Real,
    blur_down,
    weights,
    window,
)
from iqa.ms_ssim.cpu.samples import LANES, PHASES, RUN, Samples, store_phases
from iqa.ms_ssim.pooling import C1, C2
from iqa.simd.jit import block_kernel, row_kernel
from iqa.simd.lanes import between, count_of, load, spread, store, sum_of

Array = NDArray[np.float64]


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
    return window(w, a), window(w, a[1:]), window(w, a[2:]), window(w, a[3:])


@row_kernel
def _variances(mean: Any, square: Any, gain: Any) -> Any:
    return (
        square[0] - gain * (mean[0] * mean[0]), square[1] - gain * (mean[1] * mean[1]),
        square[2] - gain * (mean[2] * mean[2]), square[3] - gain * (mean[3] * mean[3]),
    )  # fmt: skip


@row_kernel
def _valid(values: Any, left: int, right: int) -> Any:
    """Windows `left` to `right` (exclusive) of a run, 0 in place of the rest."""
    nothing = values[0] - values[0]
    return (
        between((left + 3) >> 2, (right + 3) >> 2, values[0], nothing),
        between((left + 2) >> 2, (right + 2) >> 2, values[1], nothing),
        between((left + 1) >> 2, (right + 1) >> 2, values[2], nothing),
        between(left >> 2, right >> 2, values[3], nothing),
    )


@block_kernel
def contrast(
    bands: Bands, first: int, last: int, left: int, right: int, taps: Samples, tile: Samples,
    loss: Samples,
) -> float:  # fmt: skip
    """Half of 1 - contrast-structure of the windows that end in a band, and how delicate they are.

    Args:
        first, last: which of the 8 rows.
        left, right: which columns.
        loss: gets the sums down each 4 columns.

    Returns:
        the mean of what an error of one part in the mean squares makes of the losses, where windows
        are so alike that their errors are, too. The last row and the first phase stand for all,
        as windows overlap.
    """
    w, gain = weights(taps), spread(np.float32(GAIN_32))
    c2, nothing = spread(np.float32(2 * C2 / GAIN_32)), spread(np.float32(0))
    risks = nothing
    for run in range((right + RUN - 1) // RUN + 1):
        if run < bands.runs:
            blur_down(bands, run, w, tile)
        if run == 0:
            continue
        start = run * RUN - RUN
        inner = left <= start and start + RUN <= right
        sums, mean, total = nothing, nothing, nothing
        u = v = (nothing, nothing, nothing, nothing)
        for row in range(first, last):
            i = row * LINE + (run - 1) % 2 * LANES
            means = _group_along(w, tile, i)
            mean = means[0]
            u = _variances(means, _group_along(w, tile, i + FIELD), gain)
            means = _group_along(w, tile, i + 2 * FIELD)
            total = means[0]
            v = _variances(means, _group_along(w, tile, i + 3 * FIELD), gain)
            lost = (
                u[0] / (u[0] + (v[0] + c2)), u[1] / (u[1] + (v[1] + c2)),
                u[2] / (u[2] + (v[2] + c2)), u[3] / (u[3] + (v[3] + c2)),
            )  # fmt: skip
            if not inner:
                lost = _valid(lost, left - start, right - start)
            sums = sums + ((lost[0] + lost[1]) + (lost[2] + lost[3]))
        store(loss, start // PHASES, sums)
        risk = _risk(mean, total, u[0], v[0])
        if not inner:
            risk = between((left - start + 3) >> 2, (right - start + 3) >> 2, risk, nothing)
        risks = risks + risk
    return GAIN_32 * float(sum_of(risks)) / (((right + 3) >> 2) - ((left + 3) >> 2))


@row_kernel
def _risk(mean: Any, total: Any, u: Any, v: Any) -> Any:
    half, one = spread(np.float32(0.5)), spread(np.float32(1))
    c2, noise = spread(np.float32(C2 / GAIN_32)), spread(np.float32(16 / GAIN_32))
    dither = noise + v
    inverse = one / ((half * (u + v) + c2) * dither)
    energy = half * noise * (u * dither * inverse) * (total * total)
    return inverse * (mean * mean * dither + energy)


@block_kernel
def blur_down_exact(bands: Bands, run: int, taps: Array, tile: Array) -> None:
    """What `contrast` begins with, in float64: one run's column means and mean squares."""
    blur_down(bands, run, weights(taps), tile)


@block_kernel
def blur_along(
    tile: Array, row: int, run: int, taps: Array, means: Array, variances: Array
) -> None:
    """Means and variances of a run's windows of a tile's row, of one of u and v.

    What comes out is `1 / GAIN` times too large.
    """
    w, gain = weights(taps), spread(GAIN)
    for lane in range(0, LANES, count_of(gain)):
        i = row * LINE + run % 2 * LANES + lane
        mean = _group_along(w, tile, i)
        store_phases(means, lane, LANES, mean)
        variance = _variances(mean, _group_along(w, tile, i + FIELD), gain)
        store_phases(variances, lane, LANES, variance)


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
def accumulate(loss: Samples, sums: Array) -> None:
    """Add what `contrast` makes to the sums of its windows."""
    for i in range(len(sums)):
        sums[i] += 2.0 * loss[i]


@block_kernel
def accumulate_run(made: Array, left: int, right: int, sums: Array) -> None:
    """Add windows `left` to `right` (exclusive) of a run that `losses` makes to its sums."""
    for phase in range(PHASES):
        for i in range(LANES):
            column = PHASES * i + phase
            sums[i] += made[phase * LANES + i] if left <= column < right else 0.0
