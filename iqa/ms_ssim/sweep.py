"""One sweep down a block of a pair: rings of rows of five scales, filtered as they fill."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from iqa.images import Image
from iqa.jit import row_kernel
from iqa.ms_ssim import rows
from iqa.ms_ssim.pooling import SCALES, WINDOW
from iqa.ms_ssim.rows import GROUP, PHASES, RING, Array, Real, Samples, Words
from iqa.ms_ssim.spans import Span

LANES = 16
SLACK = 4 * LANES
CACHE_LINE = 64
FIELDS = 4
CONTRAST, SSIM = 4, 5

MIDDLE = len(WINDOW) // 2
# Weights in units of the middle one, which saves its multiplication; to be made up for by `GAIN`.
TAPS = WINDOW[:MIDDLE] / WINDOW[MIDDLE]
TAPS_32 = TAPS.astype(np.float32)
GAIN = float(WINDOW[MIDDLE] ** 2)
GAIN_32 = float((1 + 2 * TAPS_32.astype(np.float64).sum()) ** -2)


class Lines(NamedTuple):
    """The line buffers of a sweep; nothing is taken over from one block to the next.

    Attributes:
        planes: uint8 `[2, C, 4 N]`, a row of each image.
        words: uint32 `[2, C, N]`, the same memory.
        rings: float32 `[2, 5, 16, M]`, the last rows of each scale of u and v, see `rows`.
        columns32, columns64: `[4, 4, P]`, column mean and mean square of u and those of v, of each
            row of a group, of one channel.
        windows32, windows64: `[6, P]`, window mean and variance of u and those of v, of one row and
            channel; then losses.
        sums: float64 `[5, M]`.
    """

    planes: Image
    words: Words
    rings: Samples
    columns32: Samples
    columns64: Array
    windows32: Samples
    windows64: Array
    sums: Array


def lines(columns: int, channels: int) -> Lines:
    """Line buffers for blocks of up to so many samples a row."""
    pixels = PHASES * (-(-columns // (PHASES * LANES)) * LANES)
    width = pixels * channels + SLACK
    planes = _aligned((2, channels, pixels), np.uint8)
    return Lines(
        planes,
        planes.view(np.uint32),
        _aligned((2, SCALES, RING, width), np.float32),
        _aligned((FIELDS, GROUP, pixels + SLACK), np.float32),
        _aligned((FIELDS, GROUP, pixels + SLACK), np.float64),
        _aligned((SSIM + 1, pixels + SLACK), np.float32),
        _aligned((SSIM + 1, pixels + SLACK), np.float64),
        _aligned((SCALES, width), np.float64),
    )


def _aligned(shape: tuple[int, ...], dtype: DTypeLike) -> Any:
    """Zeros that begin with a cache line, as vector loads want it."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.zeros(size + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return memory[start : start + size].view(dtype).reshape(shape)


@row_kernel
def _phase_length(columns: int, scale: int) -> int:
    """Samples of a row's phases, in whole vectors."""
    pixels = columns >> scale
    return (pixels + PHASES * LANES - 1) // (PHASES * LANES) * LANES


@row_kernel
def _load(
    line: Image, other: Image, columns: Any, regular: int, channels: int, length: int,
    slot: int, buffers: Lines,
) -> None:  # fmt: skip
    rows.separate(line, columns, regular, channels, buffers.planes[0])
    rows.separate(other, columns, regular, channels, buffers.planes[1])
    for c in range(channels):
        start = c * PHASES * length
        u, v = buffers.rings[0, 0, slot, start:], buffers.rings[1, 0, slot, start:]
        rows.split(buffers.words[0, c], buffers.words[1, c], length, u, v)


@row_kernel
def _blur_down(
    rings: Samples, scale: int, top: int, start: int, count: int, taps: Real, columns: Real
) -> None:
    """Column means and mean squares of the windows of rows `top` to `top + 3`."""
    for which in range(2):
        ring = rings[which, scale]
        # What the float64 lines yield in the end includes the means, so they keep them.
        centre = 0.0
        if taps.itemsize == 4:
            centre = rows.centre_of(ring[(top + RING // 2) % RING, start : start + count])
        rows.blur_down(
            ring, top, start, count, centre, taps, columns[2 * which], columns[2 * which + 1]
        )


@row_kernel
def _add_fast(
    top: int, first: int, last: int, scale: int, start: int, length: int, taps: Samples,
    tolerance: float, buffers: Lines,
) -> bool:  # fmt: skip
    """Add the losses of a group of rows, made in float32, unless they are too delicate for that."""
    columns, windows = buffers.columns32, buffers.windows32
    count = PHASES * length
    _blur_down(buffers.rings, scale, top, start, count, taps, columns)
    loss = windows[CONTRAST, :count]
    loss[:] = 0
    risk = 0.0
    for row in range(first, last):
        rows.blur_along(
            columns[0, row], columns[1, row], length, taps, GAIN_32, windows[0], windows[1]
        )
        rows.contrast_along(
            columns[2, row], columns[3, row], windows[1], length, taps, GAIN_32, loss,
            windows[2], windows[3],
        )  # fmt: skip
        # A phase stands for the others, as windows overlap.
        risk += rows.risk(
            windows[0, :length], windows[1, :length], windows[2, :length], windows[3, :length],
            GAIN_32,
        )  # fmt: skip
    good = risk <= tolerance * length * (last - first)
    if good:
        rows.accumulate(loss, 2.0, buffers.sums[scale, start : start + count])
    return good


@row_kernel
def _add_exact(
    top: int, first: int, last: int, scale: int, start: int, length: int, taps: Array,
    add: bool, across: Span, share: float, buffers: Lines, local: Samples,
) -> None:  # fmt: skip
    """The same in float64; subtract a share of 1 - SSIM from the rows of `local`."""
    columns, windows = buffers.columns64, buffers.windows64
    count = PHASES * length
    _blur_down(buffers.rings, scale, top, start, count, taps, columns)
    for row in range(first, last):
        for which in range(0, FIELDS, 2):
            rows.blur_along(
                columns[which, row], columns[which + 1, row], length, taps, GAIN,
                windows[which], windows[which + 1],
            )  # fmt: skip
        rows.losses(
            windows[0, :count], windows[1, :count], windows[2, :count], windows[3, :count],
            GAIN, windows[CONTRAST, :count], windows[SSIM, :count],
        )  # fmt: skip
        if add:
            kind = SSIM if scale == SCALES - 1 else CONTRAST
            rows.accumulate(windows[kind, :count], 1.0, buffers.sums[scale, start : start + count])
        if local.size > 0:
            left, right = across.windows[0]
            for column in range(left, right):
                loss = windows[SSIM, column % PHASES * length + column // PHASES]
                local[row - first, column - left] -= share * loss


@row_kernel
def sweep(
    x: Image,
    y: Image,
    channels: int,
    down: Span,
    across: Span,
    tolerance: float,
    taps32: Samples,
    taps: Array,
    buffers: Lines,
    local: Samples,
    out: Array,
) -> None:
    """Sum a block's windows.

    Args:
        x, y: uint8 `[H, W * C]`.
        channels: C.
        down, across: the block.
        tolerance: rows whose mean `rows.risk` is above it are made in float64.
        taps32, taps: `TAPS` in both precisions.
        buffers: line buffers that are wide enough.
        local: `[rows, columns]` of the block's windows, full of ones, gets their SSIM, mean over
            channels; of no size if that is not asked for.
        out: `[5, C]` gets the sums of 1 - contrast-structure, in the last row of 1 - SSIM.
    """
    rings, sums, width = buffers.rings, buffers.sums, len(across.source)
    inside = min(width, across.regular + x.shape[1] // channels - across.source[across.regular])
    columns = across.source[:inside]
    buffers.planes[:, :, inside:] = 0
    sums[:] = 0
    for scale in range(SCALES):
        count = PHASES * _phase_length(width, scale)
        rings[:, scale, :, channels * count : channels * count + SLACK] = 0
        buffers.columns32[:, :, count : count + SLACK] = 0
        buffers.columns64[:, :, count : count + SLACK] = 0

    for step in range(len(down.source)):
        line = down.source[step]
        _load(
            x[line], y[line], columns, across.regular, channels, _phase_length(width, 0),
            step % RING, buffers,
        )  # fmt: skip
        row = step
        for scale in range(SCALES):
            length = _phase_length(width, scale)
            top = row - (RING - 3)
            first = max(down.windows[scale, 0] - top, 0)
            last = min(down.windows[scale, 1] - top, GROUP)
            if row % GROUP == GROUP - 1 and first < last:
                mapped = scale == 0 and local.size > 0
                for c in range(channels):
                    start = c * PHASES * length
                    good = (
                        tolerance > 0
                        and scale < SCALES - 1
                        and _add_fast(
                            top, first, last, scale, start, length, taps32, tolerance, buffers
                        )
                    )
                    if mapped or not good:
                        above = top + first - down.windows[0, 0] if mapped else 0
                        _add_exact(
                            top, first, last, scale, start, length, taps, not good, across,
                            1 / channels, buffers, local[above:] if mapped else local[:0],
                        )  # fmt: skip
            if row % 2 == 0 or scale == SCALES - 1:
                break
            above, below = (row - 1) % RING, row % RING
            row //= 2
            half = _phase_length(width, scale + 1)
            for field in range(2):
                for c in range(channels):
                    start = c * PHASES * length
                    rows.halve(
                        rings[field, scale, above, start:], rings[field, scale, below, start:],
                        length, half, rings[field, scale + 1, row % RING, c * PHASES * half :],
                    )  # fmt: skip

    for scale in range(SCALES):
        length = _phase_length(width, scale)
        for c in range(channels):
            total = 0.0
            for column in range(across.windows[scale, 0], across.windows[scale, 1]):
                total += sums[scale, (c * PHASES + column % PHASES) * length + column // PHASES]
            out[scale, c] = total
