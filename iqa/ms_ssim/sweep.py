"""One sweep down a block of a pair: rings of bands of five scales, filtered as they fill."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from iqa.images import Image
from iqa.jit import block_kernel, row_kernel
from iqa.ms_ssim import samples, windows
from iqa.ms_ssim.columns import FIELD, FIELDS, TAPS, TAPS_32, Bands
from iqa.ms_ssim.pooling import SCALES
from iqa.ms_ssim.samples import BAND, LANES, PHASES, ROW, RUN, RUN_SIZE, Samples
from iqa.ms_ssim.spans import MARGIN, Span
from iqa.ms_ssim.windows import Array

# A band's windows begin in the one before the last.
BANDS = 3
CACHE_LINE = 64
CONTRAST, SSIM = 4, 5


class Lines(NamedTuple):
    """The line buffers of a sweep; nothing is taken over from one block or channel to the next.

    Attributes:
        planes: uint8 `[2, 64]`, of each image a run of pixels that are not consecutive.
        rings: float32, of each scale `[2 fields, 3 bands, R + 1 runs, 4, 8, 16]`, as compact as the
            block's width R allows; the last run is zero.
        tile32, tile64: see `columns`.
        loss, kept: float32 `[P]`, what `windows.contrast` makes of a band.
        made: float64 `[6, 64]`, window mean and variance of u and those of v, of one row of a run;
            then losses.
        sums: float64 `[5, P]`, of each scale's windows down each column.
    """

    planes: Image
    rings: Samples
    tile32: Samples
    tile64: Array
    loss: Samples
    kept: Samples
    made: Array
    sums: Array


def lines(columns: int) -> Lines:
    """Line buffers for blocks of up to so many samples a row."""
    pixels = -(-columns // RUN) * RUN
    size = sum(_ring_size(columns, scale) for scale in range(SCALES))
    return Lines(
        _aligned((2, RUN), np.uint8),
        _aligned((size,), np.float32),
        _aligned((FIELDS * FIELD,), np.float32),
        _aligned((FIELDS * FIELD,), np.float64),
        _aligned((pixels,), np.float32),
        _aligned((pixels,), np.float32),
        _aligned((SSIM + 1, RUN), np.float64),
        _aligned((SCALES, pixels), np.float64),
    )


def _aligned(shape: tuple[int, ...], dtype: DTypeLike) -> Any:
    """Zeros that begin with a cache line, as vector loads want it."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.zeros(size + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return memory[start : start + size].view(dtype).reshape(shape)


@row_kernel
def _runs(columns: int) -> int:
    return (columns + RUN - 1) // RUN


@row_kernel
def _band_size(columns: int, scale: int) -> int:
    return (_runs(columns >> scale) + 1) * RUN_SIZE


@row_kernel
def _ring_size(columns: int, scale: int) -> int:
    return 2 * BANDS * _band_size(columns, scale)


@row_kernel
def _split(
    x: Image, y: Image, channels: int, channel: int, across: Span, centre_x: float,
    centre_y: float, u: Samples, v: Samples, planes: Image,
) -> None:  # fmt: skip
    """Samples of a row of both images.

    Runs of consecutive pixels are taken where they are, up to two others are put together first.
    """
    source, regular, runs = across.source, across.regular, _runs(len(across.source))
    shift = source[regular] - regular
    start = _runs(regular)
    stop = max(start, min(runs, (len(x) // channels - shift) // RUN))
    first, o = (shift + start * RUN) * channels + channel, start * RUN_SIZE
    samples.split(x, y, first, channels, stop - start, len(x), centre_x, centre_y, u[o:], v[o:])
    for other in range(start + runs - stop):
        run = other if other < start else other - start + stop
        o, columns = run * RUN_SIZE, source[run * RUN :]
        samples.gather(x, columns, channels, channel, planes[0])
        samples.gather(y, columns, channels, channel, planes[1])
        samples.split(planes[0], planes[1], 0, 1, 1, 0, centre_x, centre_y, u[o:], v[o:])


@row_kernel
def _add_fast(
    bands: Bands, first: int, last: int, runs: int, tolerance: float, buffers: Lines, sums: Array
) -> bool:
    """Add the losses of a band of windows, made in float32, unless they are too delicate for that.

    Args:
        first, last: which of the 8 rows.
        runs: in so many runs.
        sums: of the channel.
    """
    windows.contrast(bands, first, last, runs, TAPS_32, buffers.tile32, buffers.loss, buffers.kept)
    # A row and a phase stand for the others, as windows overlap.
    good = windows.risk(buffers.kept, runs) <= tolerance
    if good:
        windows.accumulate(buffers.loss[: runs * RUN], 2.0, sums[: runs * RUN])
    return good


@row_kernel
def _add_exact(
    bands: Bands, first: int, last: int, runs: int, kind: int, add: bool, centre_u: float,
    centre_v: float, across: Span, share: float, buffers: Lines, sums: Array, local: Samples,
) -> None:  # fmt: skip
    """The same in float64; subtract a share of 1 - SSIM from the rows of `local`."""
    tile, made = buffers.tile64, buffers.made
    left, right = across.windows[0]
    windows.blur_down_exact(bands, 0, TAPS, tile)
    for run in range(runs):
        start, stop = run * RUN, run * RUN + RUN
        windows.blur_down_exact(bands, run + 1, TAPS, tile)
        for row in range(first, last):
            for which in range(0, FIELDS, 2):
                windows.blur_along(
                    tile[which * FIELD :], row, run, TAPS, made[which], made[which + 1]
                )
            windows.losses(
                made[0], made[1], made[2], made[3], centre_u, centre_v, made[CONTRAST], made[SSIM]
            )
            if add:
                windows.accumulate(made[kind], 1.0, sums[start:stop])
            if local.size > 0:
                for column in range(max(left, start), min(right, stop)):
                    local[row - first, column - left] -= share * made[SSIM, _place(column - start)]


@row_kernel
def _place(column: int) -> int:
    """Where a pixel of a row of runs is."""
    return column // RUN * RUN + column % PHASES * LANES + column % RUN // PHASES


@row_kernel
def _sweep(
    x: Image, y: Image, channels: int, channel: int, down: Span, across: Span, tolerance: float,
    buffers: Lines, local: Samples, out: Array,
) -> None:  # fmt: skip
    rings, sums, width = buffers.rings, buffers.sums, len(across.source)
    offset = 0
    for scale in range(SCALES):
        size = _band_size(width, scale)
        sums[scale, : _runs(width >> scale) * RUN] = 0
        for band in range(1, 2 * BANDS + 1):
            end = offset + band * size
            rings[end - RUN_SIZE : end] = 0
        offset += 2 * BANDS * size
    centre_x = samples.centre_of(x, down.source, across.source, channels, channel)
    centre_y = samples.centre_of(y, down.source, across.source, channels, channel)

    for step in range(len(down.source)):
        line = down.source[step]
        size = _band_size(width, 0)
        at = step // BAND % BANDS * size + step % BAND * ROW
        _split(
            x[line], y[line], channels, channel, across, centre_x, centre_y, rings[at:],
            rings[BANDS * size + at :], buffers.planes,
        )  # fmt: skip
        row = step
        offset = 0
        for scale in range(SCALES):
            size = _band_size(width, scale)
            ring = rings[offset:]
            end = down.windows[scale, 1] + MARGIN
            if row < end and (row % BAND == BAND - 1 or row == end - 1):
                band = row // BAND
                top = band * BAND - MARGIN
                first = max(down.windows[scale, 0] - top, 0)
                last = min(down.windows[scale, 1] - top, BAND)
                runs = _runs(across.windows[scale, 1])
                mapped = scale == 0 and local.size > 0
                if first < last:
                    bands = Bands(
                        ring, (band + 1) % BANDS * size, (band + 2) % BANDS * size,
                        band % BANDS * size, BANDS * size,
                        _runs(across.windows[scale, 1] + MARGIN),
                    )  # fmt: skip
                    good = (
                        tolerance > 0
                        and scale < SCALES - 1
                        and _add_fast(bands, first, last, runs, tolerance, buffers, sums[scale])
                    )
                    if mapped or not good:
                        above = top + first - down.windows[0, 0] if mapped else 0
                        _add_exact(
                            bands, first, last, runs, SSIM if scale == SCALES - 1 else CONTRAST,
                            not good, centre_x - centre_y, centre_x + centre_y, across,
                            1 / channels, buffers, sums[scale],
                            local[above:] if mapped else local[:0],
                        )  # fmt: skip
            if row % 2 == 0 or scale == SCALES - 1:
                break
            above = row // BAND % BANDS * size + (row - 1) % BAND * ROW
            row //= 2
            offset += 2 * BANDS * size
            smaller = _band_size(width, scale + 1)
            at = offset + row // BAND % BANDS * smaller + row % BAND * ROW
            for field in range(2):
                samples.halve(
                    ring[field * BANDS * size + above :], _runs(width >> scale + 1),
                    rings[field * BANDS * smaller + at :],
                )  # fmt: skip

    for scale in range(SCALES):
        total = 0.0
        for column in range(across.windows[scale, 0], across.windows[scale, 1]):
            total += sums[scale, _place(column)]
        out[scale, channel] = total


@block_kernel
def sweep(
    x: Image,
    y: Image,
    channels: int,
    down: tuple[Any, ...],
    across: tuple[Any, ...],
    tolerance: float,
    buffers: tuple[Any, ...],
    local: Samples,
    out: Array,
) -> None:
    """Sum a block's windows, one channel after the other: the rings of one fit into the cache.

    Args:
        x, y: uint8 `[H, W * C]`.
        channels: C.
        down, across: the block, by two `Span`s as plain tuples: Numba takes long over named ones.
        tolerance: bands whose `windows.risk` is above it are made in float64.
        buffers: `Lines` that are wide enough, likewise.
        local: `[rows, columns]` of the block's windows, full of ones, gets their SSIM, mean over
            channels; of no size if that is not asked for.
        out: `[5, C]` gets the sums of 1 - contrast-structure, in the last row of 1 - SSIM.
    """
    for channel in range(channels):
        _sweep(
            x, y, channels, channel, Span(*down), Span(*across), tolerance, Lines(*buffers), local,
            out,
        )  # fmt: skip


@block_kernel
def add_up(losses: Array, windows: Array, terms: Array) -> float:
    """Terms `[5, C]` from the sums `[B, 5, C]` of all blocks, over windows `[5]` of each scale.

    Returns:
        the smallest magnitude of a term.
    """
    terms[:] = 0
    for block in range(len(losses)):
        for scale in range(SCALES):
            for channel in range(terms.shape[1]):
                terms[scale, channel] += losses[block, scale, channel]
    least = np.inf
    for scale in range(SCALES):
        for channel in range(terms.shape[1]):
            term = 1 - terms[scale, channel] / windows[scale]
            terms[scale, channel] = term
            least = min(least, abs(term))
    return least
