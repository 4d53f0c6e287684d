"""From pixels to samples, and from the samples of one scale to those of the next.

A pair is held as difference `u = x - y` and sum `v = x + y`, of images x and y less their centres:
whole numbers near the mean of the block, which make squares small. Samples of all scales are exact
in float32.

A row of samples is cut into runs of 64, and a run into 4 phases of 16: sample 4 j + p is number j
of phase p, so that the 11 taps of 4 neighbours are 14 vectors to load, not 44. Rows are kept in
bands of 8, the 8 rows of a phase of a run one after the other: `[runs, 4, 8, 16]`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from iqa.images import Image
from iqa.simd.jit import block_kernel, row_kernel
from iqa.simd.lanes import (
    byte_of,
    evens,
    load,
    odds,
    pixels,
    prefetch,
    spread,
    store,
)

Samples = NDArray[np.float32]
Integers = NDArray[np.int64]

LANES = 16
PHASES = 4
RUN = PHASES * LANES
PAIR = 2 * RUN
BAND = 8
# Pixels so far ahead in their rows are fetched into the cache.
PREFETCH = 2 * PAIR
# One row in so many makes the centres, and one column; few patterns have such a period.
SAMPLED_ROWS, SAMPLED_COLUMNS = 29, 13
# From a row to the next, from a phase to the next, and from a run to the next.
ROW, PHASE, RUN_SIZE = LANES, BAND * LANES, PHASES * BAND * LANES


@row_kernel
def centre_of(
    image: Image, rows: Integers, columns: Integers, channels: int, stride: int, channel: int
) -> float:
    """Mean of some pixels of one channel of a block, as a whole number."""
    total = count = np.int64(0)
    for step in range(0, len(rows), SAMPLED_ROWS):
        place = rows[step] * stride + channel
        for j in range(0, len(columns), SAMPLED_COLUMNS):
            total += np.int64(image[np.uint64(place + columns[j] * channels)])
            count += 1
    return float(np.rint(total / count))


@row_kernel
def gather(image: Image, place: int, columns: Integers, channels: int, out: Image) -> None:
    """Copy all channels of up to two runs of pixels of the row that begins at `place`."""
    for j in range(min(PAIR, len(columns))):
        for channel in range(channels):
            out[np.uint64(j * channels + channel)] = image[
                np.uint64(place + columns[j] * channels + channel)
            ]


@block_kernel
def split(
    x: Image, y: Image, rows: Integers, first: int, channels: int, pairs: int,
    centre_x: float, centre_y: float, u: Samples, v: Samples, half_u: Samples, half_v: Samples,
) -> None:  # fmt: skip
    """Samples of one channel of 8 rows of both images, less their centres; and the next scale's.

    Args:
        rows: where they begin.
        first: how much further the channel's first pixel is.
        pairs: so many of two runs.
        u, v: the band.
        half_u, half_v: the half of a band that they make at the next scale.
    """
    less, more = spread(np.float32(centre_x)), spread(np.float32(centre_y))
    ahead = channels * PREFETCH
    for pair in range(pairs):
        for row in range(0, BAND, 2):
            i = first + channels * pair * PAIR
            upper, lower = rows[row] + i, rows[row + 1] + i
            k, o = channels * RUN, 2 * pair * RUN_SIZE + row * ROW
            for line in range(ahead, ahead + 2 * k, RUN):
                prefetch(x, upper + line)
                prefetch(y, upper + line)
                prefetch(x, lower + line)
                prefetch(y, lower + line)
            if channels == 1:
                a = (
                    pixels(x, upper, 1),
                    pixels(y, upper, 1),
                    pixels(x, lower, 1),
                    pixels(y, lower, 1),
                )
                upper, lower = upper + k, lower + k
                b = (
                    pixels(x, upper, 1),
                    pixels(y, upper, 1),
                    pixels(x, lower, 1),
                    pixels(y, lower, 1),
                )
            else:
                a = (
                    pixels(x, upper, 3),
                    pixels(y, upper, 3),
                    pixels(x, lower, 3),
                    pixels(y, lower, 3),
                )
                upper, lower = upper + k, lower + k
                b = (
                    pixels(x, upper, 3),
                    pixels(y, upper, 3),
                    pixels(x, lower, 3),
                    pixels(y, lower, 3),
                )
            left = _split_runs(a, less, more, o, u, v)
            right = _split_runs(b, less, more, o + RUN_SIZE, u, v)
            o = pair * RUN_SIZE + row // 2 * ROW
            _store_halves(left[0], right[0], o, half_u)
            _store_halves(left[1], right[1], o, half_v)


@row_kernel
def _split_runs(rows: Any, less: Any, more: Any, o: int, u: Samples, v: Samples) -> Any:
    """A run of two rows, each of both images; returns the means of its 2x2 samples."""
    a = _split_run(rows[0], rows[1], less, more, o, u, v)
    b = _split_run(rows[2], rows[3], less, more, o + ROW, u, v)
    return _means(a[0], b[0]), _means(a[1], b[1])


@row_kernel
def _split_run(x: Any, y: Any, less: Any, more: Any, o: int, u: Samples, v: Samples) -> Any:
    a, e = byte_of(x, 0, less) - less, byte_of(y, 0, less) - more
    b, f = byte_of(x, 1, less) - less, byte_of(y, 1, less) - more
    c, g = byte_of(x, 2, less) - less, byte_of(y, 2, less) - more
    d, h = byte_of(x, 3, less) - less, byte_of(y, 3, less) - more
    differences, sums = (a - e, b - f, c - g, d - h), (a + e, b + f, c + g, d + h)
    store_phases(u, o, PHASE, differences)
    store_phases(v, o, PHASE, sums)
    return differences, sums


@row_kernel
def store_phases(out: NDArray[Any], i: int, step: int, a: Any) -> None:
    """Put a vector of each phase to places `step` apart."""
    store(out, i, a[0])
    store(out, i + step, a[1])
    store(out, i + 2 * step, a[2])
    store(out, i + 3 * step, a[3])


@row_kernel
def _means(a: Any, b: Any) -> Any:
    """Means of 2x2 samples of a run of two rows."""
    quarter = spread(np.float32(0.25))
    return quarter * ((a[0] + a[1]) + (b[0] + b[1])), quarter * ((a[2] + a[3]) + (b[2] + b[3]))


@row_kernel
def _store_halves(left: Any, right: Any, o: int, out: Samples) -> None:
    """Put the means of two neighbouring runs into one."""
    halves = (
        evens(left[0], right[0]), evens(left[1], right[1]),
        odds(left[0], right[0]), odds(left[1], right[1]),
    )  # fmt: skip
    store_phases(out, o, PHASE, halves)


@block_kernel
def halve(band: Samples, runs: int, out: Samples) -> None:
    """Means of 2x2 samples of a band, as half of a band of so many runs."""
    for run in range(runs):
        for row in range(0, BAND, 2):
            i = 2 * run * RUN_SIZE + row * ROW
            _store_halves(
                _means(_load_run(band, i), _load_run(band, i + ROW)),
                _means(_load_run(band, i + RUN_SIZE), _load_run(band, i + RUN_SIZE + ROW)),
                run * RUN_SIZE + row // 2 * ROW, out,
            )  # fmt: skip


@row_kernel
def _load_run(band: Samples, i: int) -> Any:
    like = spread(np.float32(0))
    return (
        load(band, i, like), load(band, i + PHASE, like),
        load(band, i + 2 * PHASE, like), load(band, i + 3 * PHASE, like),
    )  # fmt: skip
