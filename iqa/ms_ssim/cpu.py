"""MS-SSIM on the CPU: one sweep of line buffers over each block of a pair makes all five scales."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from iqa.images import Image
from iqa.jit import kernel
from iqa.ms_ssim import rows
from iqa.ms_ssim.pooling import SCALES, WINDOW
from iqa.parallel import parallel_map

Array = NDArray[np.float64]
Spans = NDArray[np.int64]

MARGIN = len(WINDOW) - 1
COARSEST = 2 ** (SCALES - 1)
BLOCK_ROWS = 512
BLOCK_COLUMNS = 1024
# Mean over a row of what rounding could do to it, in units of float32's; beyond, it is done again
# in float64. 20 units are about 2e-6.
TOLERANCE = 20.0
# The score's sensitivity to a term grows as the term shrinks.
SMALL_TERM = 0.06

TAPS64 = WINDOW[: MARGIN // 2 + 1].copy()


def _float32_taps() -> NDArray[np.float32]:
    """The window's half in float32, its sum exactly 1 as the variance of a flat area needs it."""
    taps = TAPS64.astype(np.float32)
    rest = 1 - (2 * taps[:-1].astype(np.float64).sum() + float(taps[-1]))
    taps[0] += np.float32(rest / 2)
    return taps


TAPS32 = _float32_taps()


def padding(height: int, width: int) -> list[int]:
    """Per scale, the rows and columns (0 or 1) by which it is padded before it is halved."""
    result = []
    for _ in range(SCALES):
        pad = max(height % 2, width % 2)
        result.append(pad)
        height, width = (height + pad) // 2, (width + pad) // 2
    return result


def spans(length: int, pads: Sequence[int], limit: int) -> list[Spans]:
    """Cut one axis of an image into blocks of at most about `limit` samples.

    Returns:
        per block `[5, 4]`: the samples it reads of each scale (from, to) and the windows that it
        owns (from, to), by their first sample.
    """
    lengths = [length]
    for pad in pads[:-1]:
        lengths.append((lengths[-1] + pad) // 2)
    count = -(-length // limit)
    cuts = [length * k // count // COARSEST * COARSEST for k in range(count)]
    result = []
    for k in range(count):
        block = np.empty((SCALES, 4), dtype=np.int64)
        for scale in reversed(range(SCALES)):
            first = cuts[k] >> scale
            last = cuts[k + 1] >> scale if k + 1 < count else lengths[scale] - MARGIN
            low, high = first, last + MARGIN
            if scale < SCALES - 1:
                low = min(low, max(2 * block[scale + 1, 0] - pads[scale], 0))
                high = max(high, 2 * block[scale + 1, 1] - pads[scale])
            block[scale] = low, high, first, last
        result.append(block)
    return result


@kernel
def block_losses(
    x: Image,
    y: Image,
    channels: int,
    pads: Spans,
    down: Spans,
    across: Spans,
    tolerance: float,
    taps32: NDArray[np.float32],
    taps64: Array,
    out: Array,
) -> None:
    """Sums `[5, C]` over a block's windows of 1 - contrast-structure (last scale: 1 - SSIM)."""
    width = (across[0, 1] - across[0, 0]) * channels
    ring_u = np.empty((SCALES, rows.TAPS, width), np.float32)
    ring_v = np.empty((SCALES, rows.TAPS, width), np.float32)
    fields32 = np.empty((5, width), np.float32)
    fields64 = np.empty((6, width), np.float64)
    sums = np.zeros((SCALES, width), np.float64)
    start = across[0, 0] * channels
    for top in range(down[0, 0], down[0, 1]):
        slot = top % rows.TAPS
        u, v = ring_u[0, slot], ring_v[0, slot]
        rows.load(x[top, start : start + width], y[top, start : start + width], u, v)
        row = top
        for scale in range(SCALES):
            window = row - (rows.TAPS - 1)
            if down[scale, 2] <= window < down[scale, 3]:
                oldest = window % rows.TAPS
                first = (across[scale, 2] - across[scale, 0]) * channels
                count = (across[scale, 3] - across[scale, 2]) * channels
                wide = count + (rows.TAPS - 1) * channels
                risk = np.inf
                if tolerance > 0 and scale < SCALES - 1:
                    mu, su = fields32[0, :wide], fields32[1, :wide]
                    mv, sv = fields32[2, :wide], fields32[3, :wide]
                    rows.blur_down(ring_u[scale], oldest, first, taps32, mu, su)
                    rows.blur_down(ring_v[scale], oldest, first, taps32, mv, sv)
                    loss = fields32[4, :count]
                    risk = rows.contrast_loss(mu, su, mv, sv, channels, taps32, loss)
                    if risk <= tolerance * count:
                        rows.accumulate(loss, sums[scale, :count])
                if not risk <= tolerance * count:
                    mean_u, square_u = fields64[0, :wide], fields64[1, :wide]
                    mean_v, square_v = fields64[2, :wide], fields64[3, :wide]
                    rows.blur_down(ring_u[scale], oldest, first, taps64, mean_u, square_u)
                    rows.blur_down(ring_v[scale], oldest, first, taps64, mean_v, square_v)
                    contrast, ssim = fields64[4, :count], fields64[5, :count]
                    rows.losses(
                        mean_u, square_u, mean_v, square_v, channels, taps64, contrast, ssim
                    )
                    rows.accumulate(ssim if scale == SCALES - 1 else contrast, sums[scale, :count])
            padded = row + pads[scale]
            if scale == SCALES - 1 or padded % 2 == 0:
                break
            next_row = padded // 2
            if not down[scale + 1, 0] <= next_row < down[scale + 1, 1]:
                break
            above, below = max(row - 1, 0) % rows.TAPS, row % rows.TAPS
            slot = next_row % rows.TAPS
            size = (across[scale + 1, 1] - across[scale + 1, 0]) * channels
            left = 2 * across[scale + 1, 0] - pads[scale] - across[scale, 0]
            ring, smaller = ring_u[scale], ring_u[scale + 1]
            rows.halve(ring[above], ring[below], left, channels, smaller[slot, :size])
            ring, smaller = ring_v[scale], ring_v[scale + 1]
            rows.halve(ring[above], ring[below], left, channels, smaller[slot, :size])
            row = next_row
    for scale in range(SCALES):
        count = (across[scale, 3] - across[scale, 2]) * channels
        for c in range(channels):
            out[scale, c] = sums[scale, c:count:channels].sum()


class _Pair:
    """A pair, its blocks, and how many windows its scales have."""

    def __init__(self, reference: Image, distorted: Image) -> None:
        height, width, self.channels = reference.shape
        self.x = np.ascontiguousarray(reference).reshape(height, -1)
        self.y = np.ascontiguousarray(distorted).reshape(height, -1)
        pads = padding(height, width)
        self.pads = np.array(pads)
        down, across = spans(height, pads, BLOCK_ROWS), spans(width, pads, BLOCK_COLUMNS)
        self.blocks = [(d, a) for d in down for a in across]
        self.windows = (down[-1][:, 3] * across[-1][:, 3])[:, None]

    def losses(self, block: int, tolerance: float) -> Array:
        down, across = self.blocks[block]
        out = np.empty((SCALES, self.channels))
        block_losses(
            self.x, self.y, self.channels, self.pads, down, across, tolerance, TAPS32, TAPS64, out
        )
        return out


def _terms(pairs: Sequence[_Pair], tolerance: float, threads: int | None) -> list[Array]:
    tasks = [(pair, block) for pair in pairs for block in range(len(pair.blocks))]
    losses = iter(parallel_map(lambda task: task[0].losses(task[1], tolerance), tasks, threads))
    return [1 - sum(next(losses) for _ in pair.blocks) / pair.windows for pair in pairs]


def terms(
    references: Sequence[Image], distorted: Sequence[Image], threads: int | None = None
) -> list[Array]:
    """Per pair what `reference.terms` is: mean contrast-structure `[5, C]`, last row mean SSIM.

    Within 1e-6 of float64. The bits of a pair depend on nothing but the pair.

    Args:
        references: uint8 images `[H, W, C]` with sides of at least 161.
        distorted: as many, of the same shapes.
        threads: at most so many (None: as many as there are cores).
    """
    pairs = [_Pair(x, y) for x, y in zip(references, distorted, strict=True)]
    result = _terms(pairs, TOLERANCE, threads)
    delicate = [i for i, found in enumerate(result) if (np.abs(found) < SMALL_TERM).any()]
    again = _terms([pairs[i] for i in delicate], 0.0, threads)
    for i, found in zip(delicate, again, strict=True):
        result[i] = found
    return result
