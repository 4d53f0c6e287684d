"""MS-SSIM on the CPU: one sweep of line buffers over each block of a pair makes all five scales."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

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
PHASES = (4, 2, 1, 1, 1)
LANES = 16
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


class Span:
    """A stretch of one axis that a block owns: which pixels it reads, and which windows it sums.

    The replicated rows and columns of the smaller scales are unfolded into repeated ones of the
    full scale, so that halving always takes samples 2 i and 2 i + 1.

    Attributes:
        source: pixels that the block's samples are, a multiple of 32, beyond the end the last one.
        windows: `[5, 2]` first and last (exclusive) window of each scale, by their first sample.
    """

    def __init__(self, lengths: Sequence[int], pads: Sequence[int], start: int, stop: int) -> None:
        offset = start >> (SCALES - 1)
        self.windows = np.empty((SCALES, 2), dtype=np.int64)
        for scale in reversed(range(SCALES)):
            if scale < SCALES - 1:
                offset = 2 * offset - pads[scale]
            last = lengths[scale] - MARGIN if stop == lengths[0] else stop >> scale
            self.windows[scale] = (start >> scale) - offset, last - offset
        needed = max((self.windows[s, 1] + MARGIN) << s for s in range(SCALES))
        local = np.arange(-(-needed // 32) * 32)
        source = (start + local) >> (SCALES - 1)
        for scale in reversed(range(SCALES - 1)):
            source = np.maximum(2 * source - pads[scale] + (local >> scale) % 2, 0)
        self.source = np.minimum(source, lengths[0] - 1)


def spans(length: int, pads: Sequence[int], limit: int) -> list[Span]:
    """Cut an axis into equal stretches of about `limit` pixels at most."""
    lengths = [length]
    for pad in pads[:-1]:
        lengths.append((lengths[-1] + pad) // 2)
    count = -(-length // limit)
    cuts = [length * k // count // COARSEST * COARSEST for k in range(count)] + [length]
    return [Span(lengths, pads, *cut) for cut in pairwise(cuts)]


@kernel
def _vectors(samples: int) -> int:
    """`samples` rounded up to whole vectors."""
    return (samples + LANES - 1) // LANES * LANES


@kernel
def block_losses(
    x: Image,
    y: Image,
    channels: int,
    source_rows: Spans,
    source_columns: Spans,
    row_windows: Spans,
    column_windows: Spans,
    tolerance: float,
    taps32: NDArray[np.float32],
    taps64: Array,
    out: Array,
) -> None:
    """Sums `[5, C]` over a block's windows of 1 - contrast-structure (last scale: 1 - SSIM)."""
    planes_x = np.zeros((channels, 4 * _vectors(len(source_columns) // 4)), np.uint8)
    planes_y = np.zeros_like(planes_x)
    inside = min(len(source_columns), 16 + x.shape[1] // channels - source_columns[16])
    columns = source_columns[:inside]

    lengths = np.empty(SCALES, np.int64)
    for scale in range(SCALES):
        lengths[scale] = _vectors(len(source_columns) // PHASES[scale] >> scale)
    width = channels * 4 * lengths[0]
    ring_u = np.zeros((SCALES, rows.RING, width + 2 * LANES), np.float32)
    ring_v = np.zeros((SCALES, rows.RING, width + 2 * LANES), np.float32)
    fields32 = np.zeros((13, width + 2 * LANES), np.float32)
    fields64 = np.zeros((14, width + 2 * LANES), np.float64)
    sums = np.zeros((SCALES, width), np.float64)

    for top in range(len(source_rows)):
        slot = top % rows.RING
        rows.separate(x[source_rows[top]], columns, channels, planes_x)
        rows.separate(y[source_rows[top]], columns, channels, planes_y)
        for c in range(channels):
            start = c * 4 * lengths[0]
            u, v = ring_u[0, slot, start:], ring_v[0, slot, start:]
            rows.load(planes_x[c], planes_y[c], lengths[0], u, v)

        row = top
        for scale in range(SCALES):
            if row % 2 == 0:
                break
            upper = row - (rows.RING - 1)
            first, last = row_windows[scale]
            length, phases = lengths[scale], PHASES[scale]
            wide = channels * phases * length
            if upper + 1 >= first and upper < last:
                risky = scale == SCALES - 1 or tolerance <= 0
                if not risky:
                    blur_pair(ring_u[scale], ring_v[scale], upper, channels, phases * length, True, taps32, fields32)
                    for which in range(2):
                        if not first <= upper + which < last:
                            continue
                        blur_row(fields32, which, channels, phases, length, taps32)
                        loss = fields32[12, :wide]
                        risk = rows.contrast_loss(
                            fields32[8, :wide], fields32[9, :wide],
                            fields32[10, :wide], fields32[11, :wide], loss,
                        )
                        if risk <= tolerance * wide:
                            rows.accumulate(loss, sums[scale, :wide])
                        else:
                            precise_row(ring_u[scale], ring_v[scale], upper, which, wide, channels, phases, length, taps64, fields64)
                            rows.accumulate(fields64[12, :wide], sums[scale, :wide])
                else:
                    for which in range(2):
                        if not first <= upper + which < last:
                            continue
                        precise_row(ring_u[scale], ring_v[scale], upper, which, wide, channels, phases, length, taps64, fields64)
                        kind = 13 if scale == SCALES - 1 else 12
                        rows.accumulate(fields64[kind, :wide], sums[scale, :wide])
            if scale == SCALES - 1:
                break
            above, below = (row - 1) % rows.RING, row % rows.RING
            row //= 2
            slot = row % rows.RING
            halve_row(ring_u[scale, above], ring_u[scale, below], channels, phases, lengths[scale + 1], length, ring_u[scale + 1, slot])
            halve_row(ring_v[scale, above], ring_v[scale, below], channels, phases, lengths[scale + 1], length, ring_v[scale + 1, slot])

    for scale in range(SCALES):
        phases = PHASES[scale]
        for c in range(channels):
            total = 0.0
            for column in range(column_windows[scale, 0], column_windows[scale, 1]):
                total += sums[scale, (c * phases + column % phases) * lengths[scale] + column // phases]
            out[scale, c] = total


@kernel
def blur_pair(
    u: rows.Samples, v: rows.Samples, upper: int, channels: int, plane: int, centred: bool,
    taps: rows.Real, fields: rows.Real,
) -> None:  # fmt: skip
    """Fields 0 to 3 and 4 to 7: of window rows `upper` and the next, before the horizontal pass."""
    oldest, middle = upper % rows.RING, (upper + rows.RING // 2) % rows.RING
    for c in range(channels):
        a, b = c * plane, (c + 1) * plane
        centre = rows.centre_of(u[middle, a:b]) if centred else 0.0
        rows.blur_down(
            u, oldest, a, centre, taps,
            fields[0, a:b], fields[1, a:b], fields[4, a:b], fields[5, a:b],
        )
        centre = rows.centre_of(v[middle, a:b]) if centred else 0.0
        rows.blur_down(
            v, oldest, a, centre, taps,
            fields[2, a:b], fields[3, a:b], fields[6, a:b], fields[7, a:b],
        )


@kernel
def blur_row(fields: rows.Real, which: int, channels: int, phases: int, length: int, taps: rows.Real) -> None:
    for field in range(4):
        for c in range(channels):
            start = c * phases * length
            rows.blur_along(fields[4 * which + field, start:], phases, length, taps, fields[8 + field, start:])


@kernel
def precise_row(u: rows.Samples, v: rows.Samples, upper: int, which: int, wide: int, channels: int, phases: int, length: int, taps: Array, fields: Array) -> None:
    blur_pair(u, v, upper, channels, phases * length, False, taps, fields)
    blur_row(fields, which, channels, phases, length, taps)
    rows.losses(fields[8, :wide], fields[9, :wide], fields[10, :wide], fields[11, :wide], fields[12, :wide], fields[13, :wide])


@kernel
def halve_row(above: rows.Samples, below: rows.Samples, channels: int, phases: int, length: int, wider: int, out: rows.Samples) -> None:
    if phases == 1:
        for c in range(channels):
            rows.halve_neighbours(above[c * wider :], below[c * wider :], length, out[c * length :])
    else:
        for p in range(channels * phases // 2):
            rows.halve_phases(above[2 * p * length :], below[2 * p * length :], length, out[p * length :])


class _Pair:
    """A pair, its blocks, and how many windows its scales have."""

    def __init__(self, reference: Image, distorted: Image) -> None:
        height, width, self.channels = reference.shape
        self.x = np.ascontiguousarray(reference).reshape(height, -1)
        self.y = np.ascontiguousarray(distorted).reshape(height, -1)
        pads = padding(height, width)
        down, across = spans(height, pads, BLOCK_ROWS), spans(width, pads, BLOCK_COLUMNS)
        self.blocks = [(d, a) for d in down for a in across]
        self.windows = np.ones((SCALES, 1))
        for axis in (down, across):
            self.windows[:, 0] *= sum(np.diff(span.windows, axis=1)[:, 0] for span in axis)

    def losses(self, block: int, tolerance: float) -> Array:
        down, across = self.blocks[block]
        out = np.empty((SCALES, self.channels))
        block_losses(
            self.x, self.y, self.channels, down.source, across.source, down.windows,
            across.windows, tolerance, TAPS32, TAPS64, out,
        )  # fmt: skip
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
