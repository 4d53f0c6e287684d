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
from iqa.ms_ssim.rows import RING, Array, Real, Samples
from iqa.ms_ssim.spans import Span

PHASES = (4, 2, 1, 1, 1)
LANES = 16
SLACK = 2 * LANES
CACHE_LINE = 64
# Of the lines `fields`: eight of column means, four of window means, then the losses.
ALONG, CONTRAST, SSIM = 8, 12, 13

MIDDLE = len(WINDOW) // 2
# Weights in units of the middle one, which saves its multiplication; to be made up for by `GAIN`.
TAPS = WINDOW[:MIDDLE] / WINDOW[MIDDLE]
TAPS_32 = TAPS.astype(np.float32)
GAIN = float(WINDOW[MIDDLE] ** 2)
GAIN_32 = float((1 + 2 * TAPS_32.astype(np.float64).sum()) ** -2)


class Lines(NamedTuple):
    """The line buffers of a sweep; nothing is taken over from one block to the next.

    Attributes:
        planes: uint8 `[2, C, N]`, a row of each image.
        rings: float32 `[2, 5, 12, M]`, the last rows of each scale of u and v, see `rows`.
        fields32, fields64: `[14, M]`, filtered rows.
        sums: float64 `[5, M]`.
    """

    planes: Image
    rings: Samples
    fields32: Samples
    fields64: Array
    sums: Array


def lines(columns: int, channels: int) -> Lines:
    """Line buffers for blocks of up to so many samples a row."""
    pixels = 4 * (-(-columns // (4 * LANES)) * LANES)
    width = pixels * channels + SLACK
    return Lines(
        _aligned((2, channels, pixels), np.uint8),
        _aligned((2, SCALES, RING, width), np.float32),
        _aligned((SSIM + 1, width), np.float32),
        _aligned((SSIM + 1, width), np.float64),
        _aligned((SCALES, width), np.float64),
    )


def _aligned(shape: tuple[int, ...], dtype: DTypeLike) -> Any:
    """Zeros that begin with a cache line, as vector loads want it."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.zeros(size + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return memory[start : start + size].view(dtype).reshape(shape)


@row_kernel
def _vectors(samples: int) -> int:
    """`samples`, or as many more as fill whole vectors."""
    return (samples + LANES - 1) // LANES * LANES


@row_kernel
def _load(
    line: Image, other: Image, columns: Any, channels: int, length: int, slot: int, buffers: Lines
) -> None:
    planes = buffers.planes
    rows.separate(line, columns, channels, planes[0])
    rows.separate(other, columns, channels, planes[1])
    for c in range(channels):
        start = c * 4 * length
        u, v = buffers.rings[0, 0, slot, start:], buffers.rings[1, 0, slot, start:]
        rows.load(planes[0, c], planes[1, c], length, u, v)


@row_kernel
def _blur_down(
    rings: Samples, scale: int, top: int, channels: int, plane: int, taps: Real, fields: Real
) -> None:
    """Lines 0 to 3 and 4 to 7 of `fields`: column means of the windows of rows `top`, `top + 1`."""
    oldest, middle = top % RING, (top + RING // 2) % RING
    for which in range(2):
        ring = rings[which, scale]
        first, second = 2 * which, 2 * which + 4
        for c in range(channels):
            a, b = c * plane, (c + 1) * plane
            # What the float64 lines yield in the end includes the means, so they keep them.
            centre = rows.centre_of(ring[middle, a:b]) if taps.itemsize == 4 else 0.0
            rows.blur_down(
                ring, oldest, a, centre, taps,
                fields[first, a:b], fields[first + 1, a:b],
                fields[second, a:b], fields[second + 1, a:b],
            )  # fmt: skip


@row_kernel
def _blur_along(
    fields: Real, which: int, channels: int, phases: int, length: int, taps: Real
) -> None:
    """Lines 8 to 11 of `fields`: window means of the first or second row of `_blur_down`."""
    for field in range(4):
        for c in range(channels):
            start = c * phases * length
            rows.blur_along(
                fields[4 * which + field, start:], phases, length, taps,
                fields[ALONG + field, start:],
            )  # fmt: skip


@row_kernel
def _halve(
    above: Samples, below: Samples, channels: int, phases: int, length: int, half: int, out: Samples
) -> None:
    if phases == 1:
        for c in range(channels):
            rows.halve_neighbours(above[c * length :], below[c * length :], half, out[c * half :])
    else:
        for p in range(channels * phases // 2):
            a = 2 * p * length
            rows.halve_phases(above[a:], below[a:], length, out[p * length :])


@row_kernel
def _write_map(
    ssim_loss: Array, channels: int, length: int, first: int, last: int, out: Samples
) -> None:
    for column in range(first, last):
        loss = 0.0
        for c in range(channels):
            loss += ssim_loss[(c * 4 + column % 4) * length + column // 4]
        out[column - first] = 1 - loss / channels


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
        tolerance: a row whose mean `rows.contrast_loss` risk is above it is made in float64.
        taps32, taps: `TAPS` in both precisions.
        buffers: line buffers that are wide enough.
        local: `[rows, columns]` of the block's windows gets their SSIM, mean over channels; of no
            size if that is not asked for.
        out: `[5, C]` gets the sums of 1 - contrast-structure, in the last row of 1 - SSIM.
    """
    rings, fields32, fields64, sums = (
        buffers.rings, buffers.fields32, buffers.fields64, buffers.sums,
    )  # fmt: skip
    inside = min(
        len(across.source), rows.IRREGULAR + x.shape[1] // channels - across.source[rows.IRREGULAR]
    )
    columns = across.source[:inside]
    buffers.planes[:, :, inside:] = 0
    sums[:] = 0
    for scale in range(SCALES):
        wide = channels * PHASES[scale] * _vectors(len(across.source) // PHASES[scale] >> scale)
        rings[:, scale, :, wide : wide + SLACK] = 0
        if scale == 0:
            fields32[:, wide : wide + SLACK] = 0
            fields64[:] = 0

    for step in range(len(down.source)):
        line = down.source[step]
        length = _vectors(len(across.source) // 4)
        _load(x[line], y[line], columns, channels, length, step % RING, buffers)
        row = step
        for scale in range(SCALES):
            if row % 2 == 0:
                break
            phases = PHASES[scale]
            length = _vectors(len(across.source) // phases >> scale)
            wide = channels * phases * length
            top = row - (RING - 1)
            first, last = down.windows[scale]
            if first - 1 <= top < last:
                fast = tolerance > 0 and scale < SCALES - 1
                if fast:
                    _blur_down(rings, scale, top, channels, phases * length, taps32, fields32)
                exact = False
                for which in range(2):
                    if not first <= top + which < last:
                        continue
                    risk = np.inf
                    if fast:
                        _blur_along(fields32, which, channels, phases, length, taps32)
                        risk = rows.contrast_loss(
                            fields32[ALONG, :wide], fields32[ALONG + 1, :wide],
                            fields32[ALONG + 2, :wide], fields32[ALONG + 3, :wide],
                            GAIN_32, fields32[CONTRAST, :wide],
                        )  # fmt: skip
                    good = risk <= tolerance * wide
                    mapped = scale == 0 and local.size > 0
                    if good:
                        rows.accumulate(fields32[CONTRAST, :wide], sums[scale, :wide])
                    if mapped or not good:
                        if not exact:
                            _blur_down(rings, scale, top, channels, phases * length, taps, fields64)
                            exact = True
                        _blur_along(fields64, which, channels, phases, length, taps)
                        rows.losses(
                            fields64[ALONG, :wide], fields64[ALONG + 1, :wide],
                            fields64[ALONG + 2, :wide], fields64[ALONG + 3, :wide],
                            GAIN, fields64[CONTRAST, :wide], fields64[SSIM, :wide],
                        )  # fmt: skip
                        if not good:
                            kind = SSIM if scale == SCALES - 1 else CONTRAST
                            rows.accumulate(fields64[kind, :wide], sums[scale, :wide])
                        if mapped:
                            _write_map(
                                fields64[SSIM], channels, length, across.windows[0, 0],
                                across.windows[0, 1], local[top + which - first],
                            )  # fmt: skip
            if scale == SCALES - 1:
                break
            above, below = (row - 1) % RING, row % RING
            row //= 2
            half = _vectors(len(across.source) // PHASES[scale + 1] >> (scale + 1))
            for field in range(2):
                _halve(
                    rings[field, scale, above], rings[field, scale, below], channels, phases,
                    length, half, rings[field, scale + 1, row % RING],
                )  # fmt: skip

    for scale in range(SCALES):
        phases = PHASES[scale]
        length = _vectors(len(across.source) // phases >> scale)
        for c in range(channels):
            total = 0.0
            for column in range(across.windows[scale, 0], across.windows[scale, 1]):
                total += sums[scale, (c * phases + column % phases) * length + column // phases]
            out[scale, c] = total
