"""One sweep down a block of a pair: rings of bands of five scales, filtered as they fill."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from iqa.images import Image
from iqa.jit import block_kernel, row_kernel
from iqa.ms_ssim import samples, windows
from iqa.ms_ssim.pooling import SCALES
from iqa.ms_ssim.samples import BAND, PHASES, LANES, ROW, RUN, RUN_SIZE, Samples
from iqa.ms_ssim.spans import MARGIN, Span
from iqa.ms_ssim.windows import FIELD, FIELDS, TAPS, TAPS_32, Array, Bands

# A band's windows begin in the one before the last.
BANDS = 3
CACHE_LINE = 64
# One row in so many is looked at for the centres.
SAMPLED = 32
CONTRAST, SSIM = 4, 5


class Lines(NamedTuple):
    """The line buffers of a sweep; nothing is taken over from one block to the next.

    Attributes:
        planes: uint8 `[2, C, P]`, a row of each image.
        centres: `[2, C]`, those of the images.
        rings: float32, of each scale `[2 fields, 3 bands, C R + 1 runs, 4, 8, 16]`, as compact as
            the block's width R allows; the last run is zero.
        tile32, tile64: see `windows`.
        loss, kept: float32 `[P]`, what `windows.contrast` makes of a band, of one channel.
        made: float64 `[6, 64]`, window mean and variance of u and those of v, of one row of a run;
            then losses.
        sums: float64 `[5, C P]`.
    """

    planes: Image
    centres: Array
    rings: Samples
    tile32: Samples
    tile64: Array
    loss: Samples
    kept: Samples
    made: Array
    sums: Array


def lines(columns: int, channels: int) -> Lines:
    """Line buffers for blocks of up to so many samples a row."""
    pixels = -(-columns // RUN) * RUN
    size = sum(_ring_size(columns, scale, channels) for scale in range(SCALES))
    return Lines(
        _aligned((2, channels, pixels), np.uint8),
        np.zeros((2, channels)),
        _aligned((size,), np.float32),
        _aligned((FIELDS * FIELD,), np.float32),
        _aligned((FIELDS * FIELD,), np.float64),
        _aligned((pixels,), np.float32),
        _aligned((pixels,), np.float32),
        _aligned((SSIM + 1, RUN), np.float64),
        _aligned((SCALES, pixels * channels), np.float64),
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
def _band_size(columns: int, scale: int, channels: int) -> int:
    return (channels * _runs(columns >> scale) + 1) * RUN_SIZE


@row_kernel
def _ring_size(columns: int, scale: int, channels: int) -> int:
    return 2 * BANDS * _band_size(columns, scale, channels)


@row_kernel
def _read(
    line: Image, other: Image, columns: Any, regular: int, channels: int, at: int, buffers: Lines
) -> None:
    """Pixels of a row of both images, into the planes from one on."""
    if len(columns) > 0:
        samples.separate(line, columns, regular, channels, buffers.planes[0, :, at:])
        samples.separate(other, columns, regular, channels, buffers.planes[1, :, at:])


@row_kernel
def _split(
    line: Image, other: Image, columns: Any, regular: int, channels: int, width: int, size: int,
    u: Samples, buffers: Lines,
) -> None:  # fmt: skip
    """Samples of a row of both images; those of v are `size` further than those of u.

    Beyond the image its last pixel goes on.
    """
    planes, runs, start, stop = buffers.planes, _runs(width), 0, 0
    if channels == 1:
        # Runs of consecutive pixels are taken where they are.
        start, stop = _runs(regular), len(columns) // RUN
        first = columns[regular] - regular + start * RUN
        _split_runs(line[first:], other[first:], start, stop, 0, size, u, buffers)
        _read(line, other, columns[: start * RUN], regular, channels, 0, buffers)
        regular = 0
    _read(line, other, columns[stop * RUN :], regular, channels, stop * RUN, buffers)
    for c in range(channels):
        for which in range(2):
            plane = planes[which, c]
            plane[len(columns) : runs * RUN] = plane[len(columns) - 1]
        x, y, own = planes[0, c], planes[1, c], u[c * runs * RUN_SIZE :]
        _split_runs(x, y, 0, start, c, size, own, buffers)
        _split_runs(x[stop * RUN :], y[stop * RUN :], stop, runs, c, size, own, buffers)


@row_kernel
def _split_runs(
    x: Image, y: Image, start: int, stop: int, c: int, size: int, u: Samples, buffers: Lines
) -> None:
    own = u[start * RUN_SIZE :]
    centres = buffers.centres
    samples.split(x, y, stop - start, centres[0, c], centres[1, c], own, own[size:])


@row_kernel
def _choose_centres(
    x: Image, y: Image, rows: Any, columns: Any, regular: int, channels: int, buffers: Lines
) -> None:
    centres, count = buffers.centres, 0
    centres[:] = 0
    for step in range(0, len(rows), SAMPLED):
        _read(x[rows[step]], y[rows[step]], columns, regular, channels, 0, buffers)
        count += len(columns)
        for which in range(2):
            for c in range(channels):
                centres[which, c] += samples.total(buffers.planes[which, c, : len(columns)])
    for which in range(2):
        for c in range(channels):
            centres[which, c] = np.rint(centres[which, c] / count)


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
    windows.blur_down(bands, 0, TAPS, tile)
    for run in range(runs):
        start, stop = run * RUN, run * RUN + RUN
        windows.blur_down(bands, run + 1, TAPS, tile)
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


@block_kernel
def sweep(
    x: Image,
    y: Image,
    channels: int,
    down: Span,
    across: Span,
    tolerance: float,
    buffers: Lines,
    local: Samples,
    out: Array,
) -> None:
    """Sum a block's windows.

    Args:
        x, y: uint8 `[H, W * C]`.
        channels: C.
        down, across: the block.
        tolerance: rows whose mean `windows.risk` is above it are made in float64.
        buffers: line buffers that are wide enough.
        local: `[rows, columns]` of the block's windows, full of ones, gets their SSIM, mean over
            channels; of no size if that is not asked for.
        out: `[5, C]` gets the sums of 1 - contrast-structure, in the last row of 1 - SSIM.
    """
    rings, sums, width = buffers.rings, buffers.sums, len(across.source)
    regular = across.regular
    inside = min(width, regular + x.shape[1] // channels - across.source[regular])
    columns = across.source[:inside]
    offset = 0
    for scale in range(SCALES):
        size = _band_size(width, scale, channels)
        sums[scale, : channels * _runs(width >> scale) * RUN] = 0
        for band in range(1, 2 * BANDS + 1):
            end = offset + band * size
            rings[end - RUN_SIZE : end] = 0
        offset += 2 * BANDS * size
    _choose_centres(x, y, down.source, columns, regular, channels, buffers)
    centres = buffers.centres

    for step in range(len(down.source)):
        line = down.source[step]
        size = BANDS * _band_size(width, 0, channels)
        at = step // BAND % BANDS * (size // BANDS) + step % BAND * ROW
        _split(x[line], y[line], columns, regular, channels, width, size, rings[at:], buffers)
        row = step
        offset = 0
        for scale in range(SCALES):
            length = _runs(width >> scale)
            size = _band_size(width, scale, channels)
            ring = rings[offset:]
            end = down.windows[scale, 1] + MARGIN
            if row < end and (row % BAND == BAND - 1 or row == end - 1):
                band = row // BAND
                top = band * BAND - MARGIN
                first = max(down.windows[scale, 0] - top, 0)
                last = min(down.windows[scale, 1] - top, BAND)
                runs = _runs(across.windows[scale, 1])
                mapped = scale == 0 and local.size > 0
                for c in range(channels if first < last else 0):
                    start = c * length
                    bands = Bands(
                        ring,
                        (band + 1) % BANDS * size + start * RUN_SIZE,
                        (band + 2) % BANDS * size + start * RUN_SIZE,
                        band % BANDS * size + start * RUN_SIZE,
                        BANDS * size,
                        _runs(across.windows[scale, 1] + MARGIN),
                    )
                    own = sums[scale, start * RUN :]
                    good = (
                        tolerance > 0
                        and scale < SCALES - 1
                        and _add_fast(bands, first, last, runs, tolerance, buffers, own)
                    )
                    if mapped or not good:
                        above = top + first - down.windows[0, 0] if mapped else 0
                        _add_exact(
                            bands, first, last, runs,
                            SSIM if scale == SCALES - 1 else CONTRAST, not good,
                            centres[0, c] - centres[1, c], centres[0, c] + centres[1, c], across, 1 / channels, buffers, own,
                            local[above:] if mapped else local[:0],
                        )  # fmt: skip
            if row % 2 == 0 or scale == SCALES - 1:
                break
            above = row // BAND % BANDS * size + (row - 1) % BAND * ROW
            row //= 2
            offset += 2 * BANDS * size
            half = _runs(width >> scale + 1)
            smaller = _band_size(width, scale + 1, channels)
            at = row // BAND % BANDS * smaller + row % BAND * ROW
            for field in range(2):
                for c in range(channels):
                    samples.halve(
                        ring[field * BANDS * size + above + c * length * RUN_SIZE :], half,
                        rings[offset + field * BANDS * smaller + at + c * half * RUN_SIZE :],
                    )  # fmt: skip

    for scale in range(SCALES):
        length = _runs(width >> scale)
        for c in range(channels):
            total = 0.0
            for column in range(across.windows[scale, 0], across.windows[scale, 1]):
                total += sums[scale, c * length * RUN + _place(column)]
            out[scale, c] = total
