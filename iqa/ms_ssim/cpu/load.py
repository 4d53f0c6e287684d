"""From pixels to samples: how a pair of planes lies in vectors.

A pair of planes x and y is held as difference `u = x - y` and sum `v = x + y` of samples less their
centres: whole numbers near the mean, which make squares small. Samples of all scales are exact in
float32.

A band is 8 rows of samples. Its rows are cut into runs of four vectors, the phases: sample 4 j + p
of a run is number j of phase p, so that the 11 samples of 4 neighbouring windows are 14 vectors to
load, not 44. A band is `[runs, 4 phases, 8 rows, LANES]`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from iqa.images import Image
from iqa.simd.jit import block_kernel, row_kernel
from iqa.simd.lanes import LANES, PHASES, RUN, load_pixels, prefetch, store_rows
from iqa.simd.memory import CACHE_LINE

Samples = NDArray[np.float32]

BAND = 8
# In a band, from a row to the next, from a phase to the next, and from a run to the next.
ROW, PHASE, RUN_SIZE = LANES, BAND * LANES, PHASES * BAND * LANES
# One row in so many makes the centre, and one column; few patterns have such a period.
SAMPLED_ROWS, SAMPLED_COLUMNS = 29, 13


@row_kernel
def centre_of(image: Image, start: int, stride: int, step: int, rows: int, columns: int) -> float:
    """Mean of some samples of a plane that begins at byte `start`, as a whole number."""
    total = count = 0
    for row in range(0, rows, SAMPLED_ROWS):
        for column in range(0, columns, SAMPLED_COLUMNS):
            total += image[start + row * stride + column * step]
            count += 1
    return np.rint(total / count)


@block_kernel
def load_band(
    x: Image,
    y: Image,
    starts: NDArray[np.int64],
    step: int,
    centres: tuple[float, float],
    u: Samples,
    v: Samples,
) -> None:
    """Samples of one channel of 8 rows of both images.

    Args:
        x, y: their bytes.
        starts: `[8]`, where in them the first sample of each row is.
        step: from a sample to the next, 1 or 3.
        centres: of x and y.
        u, v: the band.
    """
    next_band = BAND * (starts[1] - starts[0])  # fetched into the cache meanwhile
    for run in range(len(u)):
        for row in range(BAND):
            at = starts[row] + run * RUN * step
            for ahead in range(next_band, next_band + RUN * step, CACHE_LINE):
                prefetch(x, at + ahead)
                prefetch(y, at + ahead)
            if step == 1:
                a, b = load_pixels(x, at, 1), load_pixels(y, at, 1)
            else:
                a, b = load_pixels(x, at, 3)[:PHASES], load_pixels(y, at, 3)[:PHASES]
            a, b = a - centres[0], b - centres[1]
            place = run * RUN_SIZE + row * ROW
            store_rows(u, place, PHASE, a - b)
            store_rows(v, place, PHASE, a + b)
