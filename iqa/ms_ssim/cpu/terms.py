"""The terms of the scales of pairs: which planes and strips are swept, on which cores."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from iqa.images import Image, row_major
from iqa.ms_ssim.cpu.sweep import buffers, sweep
from iqa.ms_ssim.cpu.window import MARGIN
from iqa.ms_ssim.pooling import SCALES
from iqa.parallel import parallel_map

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

# Neighbouring strips both make what their windows have in common, which is more where strips are
# narrow; the rings of wider ones leave the second-level cache.
STRIP = 1536
COARSEST = 1 << (SCALES - 1)  # a strip begins where a sample of every scale does
MOST_COLUMNS = STRIP + (MARGIN + 1) * COARSEST


class Strip(NamedTuple):
    """Columns of a plane whose windows are summed together.

    Attributes:
        start: the first of them.
        columns: `[S]`, how many samples of each scale it takes.
        windows: `[S]`, how many windows begin in a row of each scale.
    """

    start: int
    columns: Integers
    windows: Integers


def halved(length: int, scales: int) -> Integers:
    """A side at each scale."""
    return np.array([-(-length >> scale) for scale in range(scales)])


@lru_cache(64)
def strips(width: int, scales: int) -> list[Strip]:
    """Cut planes of this width into strips as equal as can be."""
    count = -(-width // STRIP)
    cuts = [width * part // count // COARSEST * COARSEST for part in range(count)]
    return [_strip(width, scales, start, stop) for start, stop in pairwise([*cuts, width])]


def _strip(width: int, scales: int, start: int, stop: int) -> Strip:
    starts, ends = halved(start, scales), halved(stop, scales)
    if stop == width:
        ends -= MARGIN
    windows = ends - starts
    needed = max((int(count) + MARGIN) << scale for scale, count in enumerate(windows))
    return Strip(start, halved(min(needed, width - start), scales), windows)


class _Memory(threading.local):
    """This thread's buffers."""

    def __init__(self) -> None:
        self.buffers = buffers(MOST_COLUMNS, SCALES)


_memory = _Memory()


def terms(
    pairs: Sequence[tuple[Image, ...]], scales: int, tolerance: float, threads: int | None
) -> list[Array]:
    """Mean contrast-structure `[S, C]` of each scale and channel; the last row is mean SSIM.

    A pair's bits depend on nothing but the pair.

    Args:
        pairs: uint8 images `[H, W, C]`, two of the same shape, with sides of at least 11 at the
            coarsest scale.
        scales: S, at most 5.
        tolerance: see `sweep`; negative for float64 throughout.
        threads: at most so many (None: as many as there are cores).
    """
    tasks: list[tuple[Any, ...]] = []
    losses = []
    for reference, distorted in pairs:
        height, width, channels = reference.shape
        x, y, rows = row_major(reference), row_major(distorted), halved(height, scales)
        own = np.empty((channels, len(strips(width, scales)), scales))
        losses.append(own)
        for channel in range(channels):
            for strip, out in zip(strips(width, scales), own[channel], strict=True):
                plane = strip.start * channels + channel, width * channels, channels
                tasks.append((x, y, plane, rows, strip.columns, strip.windows, tolerance, out))

    parallel_map(lambda task: sweep(_memory.buffers, *task), tasks, threads)
    return [
        1 - own.sum(axis=1).T / _windows(pair[0].shape, scales)[:, None]
        for own, pair in zip(losses, pairs, strict=True)
    ]


def _windows(shape: Sequence[int], scales: int) -> Integers:
    """How many windows each scale of a picture has."""
    return (halved(shape[0], scales) - MARGIN) * (halved(shape[1], scales) - MARGIN)
