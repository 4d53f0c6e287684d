"""One sweep down a plane of a pair: bands of up to five scales, filtered as they fill.

Each scale keeps its last three bands in a ring: windows that end in a band begin in the one before
the last. Two bands of a scale become one of the next.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from iqa.images import Image
from iqa.ms_ssim.cpu.halve import halve, repeat_last
from iqa.ms_ssim.cpu.load import BAND, Samples, centre_of, load_band
from iqa.ms_ssim.cpu.sums import add_up
from iqa.ms_ssim.cpu.window import MARGIN, TAPS, TAPS_32, TILE
from iqa.simd.jit import block_kernel, row_kernel
from iqa.simd.lanes import LANES, PHASES, RUN
from iqa.simd.memory import aligned

Integers = NDArray[np.int64]

BANDS = 3
PAIR = 2 * RUN
CHANNELS = 3  # at most


class Buffers(NamedTuple):
    """What a sweep writes to.

    Attributes:
        rings: of each scale, float32 `[2, 3, runs, 4, 8, LANES]` of u and v (see `load`).
        last_rows: uint8 `[2, 8 * bytes]`, rows of both images that cannot be read where they are.
        starts: int64 `[8]`, where the rows of a band begin.
        tile32, tile64: see `window`.
    """

    rings: tuple[Samples, ...]
    last_rows: Image
    starts: Integers
    tile32: Samples
    tile64: NDArray[np.float64]


def buffers(columns: int, scales: int) -> Buffers:
    """Buffers for planes of up to so many columns."""
    pairs = [-(-columns // (PAIR << scale)) for scale in range(scales)]
    return Buffers(
        tuple(aligned((2, BANDS, 2 * count, PHASES, BAND, LANES), np.float32) for count in pairs),
        np.zeros((2, BAND * pairs[0] * PAIR * CHANNELS), np.uint8),
        np.zeros(BAND, np.int64),
        aligned(TILE, np.float32),
        aligned(TILE, np.float64),
    )


@block_kernel
def sweep(
    memory: Buffers,
    x: Image,
    y: Image,
    plane: tuple[int, int, int],
    rows: Integers,
    columns: Integers,
    windows: Integers,
    tolerance: float,
    losses: NDArray[np.float64],
) -> None:
    """Sum what the windows of a plane, or of a strip of its columns, lack to 1.

    Args:
        memory: `buffers`.
        x, y: uint8 `[H * W * C]`.
        plane: the byte of its first sample, from a row to the next, from a sample to the next.
        rows, columns: that there are at each scale.
        windows: that begin in a row of each scale.
        tolerance: bands that are more delicate are summed in float64, see `sums.add_up`.
        losses: gets for each scale the sum of 1 - contrast-structure, for the last of 1 - SSIM.
    """
    rings, starts = memory.rings, memory.starts
    first, stride, step = plane
    centres = (
        centre_of(x, first, stride, step, rows[0], columns[0]),
        centre_of(y, first, stride, step, rows[0], columns[0]),
    )
    losses[:] = 0
    scales, turns = len(rows), -(-rows[0] // BAND)
    for turn in range(turns):
        for scale in range(scales):
            # Does this turn fill a band of the scale, or bring its last rows?
            if (turn + 1) % (1 << scale) != 0 and turn + 1 < turns:
                break
            band = turn >> scale
            pairs = -(-columns[scale] // PAIR)
            ring, here = rings[scale], band % BANDS
            u, v = ring[0, here, : 2 * pairs], ring[1, here, : 2 * pairs]
            if scale == 0:
                for row in range(BAND):
                    starts[row] = first + min(band * BAND + row, rows[0] - 1) * stride
                _load(x, y, starts, step, centres, memory.last_rows, u, v)
            if scale + 1 < scales:
                for which, full in enumerate((u, v)):
                    repeat_last(full, min(rows[scale] - band * BAND, BAND), columns[scale])
                    half = rings[scale + 1][which, band // 2 % BANDS, :pairs]
                    halve(full, band % 2 * (BAND // 2), half)
            top = band * BAND - MARGIN  # of the first window that ends here
            own = max(-top, 0), min(rows[scale] - MARGIN - top, BAND)
            if own[0] >= own[1]:
                continue
            bands = (band + 1) % BANDS, (band + 2) % BANDS, here
            if scale + 1 < scales:  # None has a type of its own, so there are two calls
                losses[scale] += _sum(ring, bands, own, windows[scale], None, tolerance, memory)
            else:
                losses[scale] += _sum(ring, bands, own, windows[scale], centres, tolerance, memory)


@row_kernel
def _load(
    x: Image,
    y: Image,
    starts: Integers,
    step: int,
    centres: tuple[float, float],
    last_rows: Image,
    u: Samples,
    v: Samples,
) -> None:
    """Make a band; loads go on beyond the rows, but must not beyond the images."""
    length = len(u) * RUN * step
    if starts[BAND - 1] + length <= len(x):
        load_band(x, y, starts, step, centres, u, v)
        return
    for row in range(BAND):
        for byte in range(min(length, len(x) - starts[row])):
            last_rows[0, row * length + byte] = x[starts[row] + byte]
            last_rows[1, row * length + byte] = y[starts[row] + byte]
        starts[row] = row * length
    load_band(last_rows[0], last_rows[1], starts, step, centres, u, v)


@row_kernel
def _sum(
    ring: Samples,
    bands: tuple[int, int, int],
    rows: tuple[int, int],
    windows: int,
    centres: tuple[float, float] | None,
    tolerance: float,
    memory: Buffers,
) -> float:
    """`sums.add_up` in float32, or in float64 where that is too delicate."""
    if tolerance >= 0:
        total, risk = add_up(ring, bands, rows, windows, centres, TAPS_32, memory.tile32)
        if risk <= tolerance:
            return total
    return add_up(ring, bands, rows, windows, centres, TAPS, memory.tile64)[0]
