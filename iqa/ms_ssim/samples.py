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
from iqa.lanes import bytes_of, evens, load, odds, spread, store

Samples = NDArray[np.float32]

LANES = 16
PHASES = 4
RUN = PHASES * LANES
BAND = 8
# From a row to the next, from a phase to the next, and from a run to the next.
ROW, PHASE, RUN_SIZE = LANES, BAND * LANES, PHASES * BAND * LANES


@block_kernel
def separate(
    row: Image, columns: NDArray[np.int64], regular: int, channels: int, planes: Image
) -> None:
    """Copy the pixels `columns` of an interleaved row into planes `[C, N]`.

    Columns are consecutive from the one at `regular` on.
    """
    for j in range(regular):
        for c in range(channels):
            planes[c, j] = row[columns[j] * channels + c]
    rest, count = row[columns[regular] * channels :], len(columns) - regular
    if channels == 1:
        grey = planes[0, regular:]
        for j in range(count):
            grey[j] = rest[j]
    else:
        red, green, blue = planes[0, regular:], planes[1, regular:], planes[2, regular:]
        for j in range(count):
            red[j], green[j], blue[j] = rest[3 * j], rest[3 * j + 1], rest[3 * j + 2]


@block_kernel
def total(plane: Image) -> int:
    """Sum of the pixels of a row."""
    result = np.uint32(0)
    for j in range(len(plane)):
        result += np.uint32(plane[j])
    return result


@block_kernel
def split(
    x: Image, y: Image, runs: int, centre_x: float, centre_y: float, u: Samples, v: Samples
) -> None:
    """Samples of a row of a band, of a row of pixels of each image, less their centres."""
    less, more = spread(np.float32(centre_x)), spread(np.float32(centre_y))
    for run in range(runs):
        i, o = run * RUN, run * RUN_SIZE
        _split(bytes_of(x, i, 0, less) - less, bytes_of(y, i, 0, less) - more, o, u, v)
        _split(bytes_of(x, i, 1, less) - less, bytes_of(y, i, 1, less) - more, o + PHASE, u, v)
        _split(bytes_of(x, i, 2, less) - less, bytes_of(y, i, 2, less) - more, o + 2 * PHASE, u, v)
        _split(bytes_of(x, i, 3, less) - less, bytes_of(y, i, 3, less) - more, o + 3 * PHASE, u, v)


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
