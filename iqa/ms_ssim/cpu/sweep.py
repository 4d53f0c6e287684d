"""One sweep down a block of a pair: rings of bands of five scales, filtered as they fill.

The channels take turns, a strip each: so short that its pixels are still in the cache for the next
channel, so long that it matters little that the rings of only one channel fit there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from iqa.images import Image
from iqa.ms_ssim.cpu import samples, windows
from iqa.ms_ssim.cpu.columns import FIELD, FIELDS, TAPS, TAPS_32, Bands
from iqa.ms_ssim.cpu.line_buffers import (
    BANDS,
    CONTRAST,
    SSIM,
    Lines,
    band_size,
    pairs_of,
    rings_size,
    runs_of,
)
from iqa.ms_ssim.cpu.samples import BAND, LANES, PAIR, PHASES, ROW, RUN, RUN_SIZE, Samples
from iqa.ms_ssim.cpu.spans import MARGIN, Span
from iqa.ms_ssim.cpu.windows import Array
from iqa.ms_ssim.pooling import SCALES
from iqa.simd.jit import block_kernel, row_kernel

STRIP = 16  # bands


@row_kernel
def _split(
    x: Image, y: Image, stride: int, channels: int, channel: int, band: int, down: Span,
    across: Span, centre_x: float, centre_y: float, buffers: Lines, u: Samples, v: Samples,
    half_u: Samples, half_v: Samples,
) -> None:  # fmt: skip
    """Samples of a band of both images, and what they make of the next scale.

    Pairs of runs are taken where they are, but for those at the end whose pixels are not
    consecutive or go on beyond the last row.
    """
    source, pairs = across.source, pairs_of(len(across.source), 0)
    rows, places = buffers.rows
    lowest = 0
    for row in range(BAND):
        rows[row] = down.source[min(band * BAND + row, len(down.source) - 1)] * stride
        lowest = max(lowest, rows[row])
        places[row] = row * PAIR * channels
    begin = source[0] * channels
    inside = (len(x) - lowest - begin) // channels // PAIR
    direct = min(across.regular // PAIR, inside)
    samples.split(
        x, y, rows, begin + channel, channels, direct, centre_x, centre_y, u, v, half_u, half_v
    )
    for pair in range(direct, pairs):
        columns = source[pair * PAIR :]
        for row in range(BAND):
            for image, plane in ((x, buffers.planes[0]), (y, buffers.planes[1])):
                samples.gather(image, rows[row], columns, channels, plane[places[row] :])
        samples.split(
            buffers.planes[0], buffers.planes[1], places, channel, channels, 1,
            centre_x, centre_y, u[pair * 2 * RUN_SIZE :], v[pair * 2 * RUN_SIZE :],
            half_u[pair * RUN_SIZE :], half_v[pair * RUN_SIZE :],
        )  # fmt: skip


@row_kernel
def _add_fast(
    bands: Bands, first: int, last: int, left: int, right: int, tolerance: float, buffers: Lines,
    sums: Array,
) -> bool:  # fmt: skip
    """Add the losses of a band of windows, made in float32, unless they are too delicate for that.

    Args:
        first, last: which of the 8 rows.
        left, right: which columns.
        sums: of the channel.
    """
    loss = buffers.loss
    risk = windows.contrast(bands, first, last, left, right, TAPS_32, buffers.tile32, loss)
    if risk <= tolerance:
        windows.accumulate(loss, sums[: runs_of(right) * LANES])
        return True
    return False


@row_kernel
def _add_exact(
    bands: Bands, first: int, last: int, left: int, right: int, kind: int, add: bool,
    centre_u: float, centre_v: float, share: float, buffers: Lines, sums: Array, local: Samples,
) -> None:  # fmt: skip
    """The same in float64; subtract a share of 1 - SSIM from the rows of `local`."""
    tile, made = buffers.tile64, buffers.made
    windows.blur_down_exact(bands, 0, TAPS, tile)
    for run in range(runs_of(right)):
        start = run * RUN
        if run + 1 < bands.runs:
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
                windows.accumulate_run(made[kind], left - start, right - start, sums[run * LANES :])
            if local.size > 0:
                for column in range(max(left, start), min(right, start + RUN)):
                    local[row - first, column - left] -= share * made[SSIM, _place(column - start)]


@row_kernel
def _place(column: int) -> int:
    """Where a sample of a run is."""
    return column % PHASES * LANES + column // PHASES


@row_kernel
def _begin(
    x: Image, y: Image, stride: int, channels: int, channel: int, down: Span, across: Span,
    buffers: Lines,
) -> None:  # fmt: skip
    for which, image in enumerate((x, y)):
        buffers.centres[channel, which] = samples.centre_of(
            image, down.source, across.source, channels, stride, channel
        )
    for scale in range(SCALES):
        buffers.sums[channel, scale, : runs_of(across.windows[scale, 1]) * LANES] = 0


@row_kernel
def _sweep(
    x: Image, y: Image, stride: int, channels: int, channel: int, first_step: int, last_step: int,
    steps: int, down: Span, across: Span, tolerance: float, buffers: Lines, local: Samples,
) -> None:  # fmt: skip
    """A strip of one channel: bands `first_step` to `last_step` (exclusive) of so many in all."""
    width, sums = len(across.source), buffers.sums[channel]
    rings = buffers.rings[channel * rings_size(width) :]
    centre_x, centre_y = buffers.centres[channel]
    centre_u, centre_v = centre_x - centre_y, centre_x + centre_y

    for step in range(first_step, last_step):
        offset = 0
        for scale in range(SCALES):
            if (step + 1) % (1 << scale) != 0 and step + 1 < steps:
                break
            band = step >> scale
            size = band_size(width, scale)
            ring, at = rings[offset:], band % BANDS * size
            offset += 2 * BANDS * size
            if scale < SCALES - 1:
                smaller = band_size(width, scale + 1)
                half = offset + band // 2 % BANDS * smaller + band % 2 * (BAND // 2) * ROW
                half_u, half_v = rings[half:], rings[half + BANDS * smaller :]
                if scale == 0:
                    _split(
                        x, y, stride, channels, channel, step, down, across, centre_x, centre_y,
                        buffers, ring[at:], ring[BANDS * size + at :], half_u, half_v,
                    )  # fmt: skip
                else:
                    runs = pairs_of(width, scale)
                    samples.halve(ring[at:], runs, half_u)
                    samples.halve(ring[BANDS * size + at :], runs, half_v)
            top = band * BAND - MARGIN
            first = max(down.windows[scale, 0] - top, 0)
            last = min(down.windows[scale, 1] - top, BAND)
            if first >= last:
                continue
            left, right = across.windows[scale]
            bands = Bands(
                ring, (band + 1) % BANDS * size, (band + 2) % BANDS * size, at, BANDS * size,
                runs_of(right + MARGIN),
            )  # fmt: skip
            good = (
                tolerance > 0
                and scale < SCALES - 1
                and _add_fast(bands, first, last, left, right, tolerance, buffers, sums[scale])
            )
            mapped = scale == 0 and local.size > 0
            if mapped or not good:
                above = top + first - down.windows[0, 0] if mapped else 0
                _add_exact(
                    bands, first, last, left, right, SSIM if scale == SCALES - 1 else CONTRAST,
                    not good, centre_u, centre_v, 1 / channels, buffers, sums[scale],
                    local[above:] if mapped else local[:0],
                )  # fmt: skip


@row_kernel
def _end(channel: int, across: Span, sums: Array, out: Array) -> None:
    for scale in range(SCALES):
        total = 0.0
        for i in range(runs_of(across.windows[scale, 1]) * LANES):
            total += sums[scale, i]
        out[scale, channel] = total


@block_kernel
def sweep(
    x: Image,
    y: Image,
    stride: int,
    channels: int,
    down: tuple[Any, ...],
    across: tuple[Any, ...],
    tolerance: float,
    buffers: tuple[Any, ...],
    local: Samples,
    out: Array,
) -> None:
    """Sum a block's windows.

    Args:
        x, y: uint8 `[H * W * C]`.
        stride: W * C.
        channels: C.
        down, across: the block, by two `Span`s as plain tuples: Numba takes long over named ones.
        tolerance: bands whose `windows.risk` is above it are made in float64.
        buffers: `Lines` that are wide enough, likewise.
        local: `[rows, columns]` of the block's windows, full of ones, gets their SSIM, mean over
            channels; of no size if that is not asked for.
        out: `[5, C]` gets the sums of 1 - contrast-structure, in the last row of 1 - SSIM.
    """
    rows, columns, own = Span(*down), Span(*across), Lines(*buffers)
    steps = (len(rows.source) + BAND - 1) // BAND
    for channel in range(channels):
        _begin(x, y, stride, channels, channel, rows, columns, own)
    for first in range(0, steps, STRIP):
        for channel in range(channels):
            _sweep(
                x, y, stride, channels, channel, first, min(first + STRIP, steps), steps, rows,
                columns, tolerance, own, local,
            )  # fmt: skip
    for channel in range(channels):
        _end(channel, columns, own.sums[channel], out)


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
