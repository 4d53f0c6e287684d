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
from iqa.jit import block_kernel, row_kernel
from iqa.lanes import byte_of, evens, load, odds, pixels, prefetch, spread, store

Samples = NDArray[np.float32]
Integers = NDArray[np.int64]

LANES = 16
PHASES = 4
RUN = PHASES * LANES
BAND = 8
# One row in so many makes the centres, and one column; few patterns have such a period.
SAMPLED = 13
# From a row to the next, from a phase to the next, and from a run to the next.
ROW, PHASE, RUN_SIZE = LANES, BAND * LANES, PHASES * BAND * LANES


@row_kernel
def centre_of(
    image: Image, rows: Integers, columns: Integers, channels: int, channel: int
) -> float:
    """Mean of some pixels of one channel of a block, as a whole number."""
    total = count = np.int64(0)
    for step in range(0, len(rows), SAMPLED):
        row = image[rows[step]]
        for j in range(0, len(columns), SAMPLED):
            total += np.int64(row[np.uint64(columns[j] * channels + channel)])
            count += 1
    return float(np.rint(total / count))


@row_kernel
def gather(row: Image, columns: Integers, channels: int, channel: int, out: Image) -> None:
    """Copy pixels of one channel of a row; the last one goes on to the end of `out`."""
    count = min(len(columns), len(out))
    for j in range(count):
        out[j] = row[np.uint64(columns[j] * channels + channel)]
    out[count:] = out[count - 1]


@block_kernel
def split(
    x: Image, y: Image, first: int, channels: int, runs: int, ahead: int, centre_x: float,
    centre_y: float, u: Samples, v: Samples,
) -> None:  # fmt: skip
    """Samples of one channel of a row of both images, less their centres, in a row of a band.

    Args:
        first: where the channel's first pixel is in both rows.
        runs: so many of 64 pixels.
        ahead: bytes so much further will be wanted soon.
    """
    less, more = spread(np.float32(centre_x)), spread(np.float32(centre_y))
    for run in range(runs):
        i, o = first + channels * run * RUN, run * RUN_SIZE
        for line in range(channels):
            prefetch(x, i + ahead + line * RUN)
            prefetch(y, i + ahead + line * RUN)
        if channels == 1:
            _split_run(pixels(x, i, 1), pixels(y, i, 1), less, more, o, u, v)
        else:
            _split_run(pixels(x, i, 3), pixels(y, i, 3), less, more, o, u, v)


@row_kernel
def _split_run(x: Any, y: Any, less: Any, more: Any, o: int, u: Samples, v: Samples) -> None:
    _split(byte_of(x, 0, less) - less, byte_of(y, 0, less) - more, o, u, v)
    _split(byte_of(x, 1, less) - less, byte_of(y, 1, less) - more, o + PHASE, u, v)
    _split(byte_of(x, 2, less) - less, byte_of(y, 2, less) - more, o + 2 * PHASE, u, v)
    _split(byte_of(x, 3, less) - less, byte_of(y, 3, less) - more, o + 3 * PHASE, u, v)


@row_kernel
def _split(x: Any, y: Any, i: int, u: Samples, v: Samples) -> None:
    store(u, i, x - y)
    store(v, i, x + y)


@block_kernel
def halve(rows: Samples, runs: int, out: Samples) -> None:
    """Means of 2x2 samples of a band's row and the next one, as a row of another band."""
    quarter = spread(np.float32(0.25))
    for run in range(runs):
        for pair in range(2):
            i = 2 * run * RUN_SIZE + 2 * pair * PHASE
            a, b = _sum_of_blocks(rows, i, quarter), _sum_of_blocks(rows, i + RUN_SIZE, quarter)
            o = run * RUN_SIZE + pair * PHASE
            store(out, o, evens(a, b))
            store(out, o + 2 * PHASE, odds(a, b))


@row_kernel
def _sum_of_blocks(rows: Samples, i: int, quarter: Any) -> Any:
    k = i + PHASE
    upper = load(rows, i, quarter) + load(rows, k, quarter)
    return quarter * (upper + (load(rows, i + ROW, quarter) + load(rows, k + ROW, quarter)))
