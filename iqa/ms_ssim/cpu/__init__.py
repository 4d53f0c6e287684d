"""MS-SSIM of a ragged batch on the CPU, in planes that cores share out among them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iqa.images import Image, row_major
from iqa.ms_ssim.cpu.layout import MOST_COLUMNS, layout
from iqa.ms_ssim.cpu.sweep import buffers, sweep
from iqa.ms_ssim.pooling import SCALES, pool
from iqa.parallel import parallel_map

Array = NDArray[np.float64]

# An error in a term makes more of the score the smaller the term is.
SMALL_TERM = 0.06
# Rounding to float32 changed a term by 8e-7 times the risk of its rows in the worst of 1,150 pairs
# that were made to be delicate.
TOLERANCE = 6.0
# So few windows of a plane are summed in float64: their errors hardly cancel out.
FEW = 1024


class _Memory(threading.local):
    """This thread's buffers."""

    def __init__(self) -> None:
        self.buffers = buffers(MOST_COLUMNS, SCALES)


_memory = _Memory()


def rows(items: Sequence[tuple[Image, ...]], threads: int | None) -> Array:
    """Score and the five scales' terms `[N, 6]`; see `iqa.metric.CpuKernel`."""
    found = terms(items, SCALES, TOLERANCE, threads)
    delicate = [index for index, own in enumerate(found) if np.abs(own).min() < SMALL_TERM]
    exact = terms([items[index] for index in delicate], SCALES, -1.0, threads)
    for index, own in zip(delicate, exact, strict=True):
        found[index] = own
    out = np.empty((len(items), 1 + SCALES))
    for row, own in zip(out, found, strict=True):
        row[0], row[1:] = pool(own)
    return out


def terms(
    pairs: Sequence[tuple[Image, ...]], scales: int, tolerance: float, threads: int | None
) -> list[Array]:
    """Mean contrast-structure `[S, C]` of each scale and channel; the last row is mean SSIM.

    A pair's bits depend on nothing but the pair.

    Args:
        pairs: uint8 images `[H, W, C]`, two of the same shape, with sides of at least 11 at the
            coarsest scale.
        scales: S, at most 5.
        tolerance: see `sweep`; negative for float64 throughout, as `FEW` windows always are.
        threads: at most so many (None: as many as there are cores).
    """
    tasks: list[tuple[Any, ...]] = []
    losses = []
    layouts = [layout(*reference.shape[:2], scales) for reference, _ in pairs]
    for (reference, distorted), (rows, strips, windows) in zip(pairs, layouts, strict=True):
        _, width, channels = reference.shape
        x, y = row_major(reference), row_major(distorted)
        own = np.empty((len(strips), channels, scales))
        losses.append(own)
        limit = tolerance if windows[0] > FEW else -1.0
        for strip, of_strip in zip(strips, own, strict=True):
            for channel in range(channels):
                plane = strip.start * channels + channel, width * channels, channels
                out = of_strip[channel]
                tasks.append((x, y, plane, rows, strip.columns, strip.windows, limit, out))

    parallel_map(lambda task: sweep(_memory.buffers, *task), tasks, threads)
    return [
        1 - np.add.reduce(own).T / windows
        for own, (_, _, windows) in zip(losses, layouts, strict=True)
    ]
