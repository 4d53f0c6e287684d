"""BRISQUE of a ragged batch on the CPU, in strips that cores share out among them."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from iqa.brisque import regressor
from iqa.brisque.cpu_join import join, seam_size
from iqa.brisque.cpu_odd_rows import TAPS
from iqa.brisque.cpu_planes import memory_size
from iqa.brisque.cpu_rows import LANES, LEFT, PHASES
from iqa.brisque.cpu_sweep import sweep
from iqa.brisque.features import MOMENTS, SCALES, fit_tables
from iqa.brisque.reference import resize_taps
from iqa.images import Image, contiguous
from iqa.parallel import parallel_map

Array = NDArray[np.float64]

# Strips are cut by the image alone, so that sums have the same bits on any number of threads.
STRIP_ROWS = 512
STEP = 8  # four rows of either scale are made at a time
CACHE_LINE = 64  # bytes


class _Memory(threading.local):
    """This thread's line buffers."""

    def __init__(self) -> None:
        self._numbers = np.empty(0, np.float32)

    def of(self, size: int) -> NDArray[np.float32]:
        """So many numbers from the beginning of a cache line on, as vector loads want it."""
        if len(self._numbers) < size:
            memory = np.zeros(4 * size + CACHE_LINE, np.uint8)
            start = -memory.ctypes.data % CACHE_LINE
            self._numbers = memory[start : start + 4 * size].view(np.float32)
        return self._numbers


_memory = _Memory()
_NO_WEIGHTS = np.empty((0, TAPS)), np.empty(0)


def _weights(height: int, width: int) -> tuple[Array, Array]:
    """Weights of the halving as `sweep` takes them, where a side is odd."""
    rows, columns = (_taps(length) for length in (height, width))
    vectors = -(-(width // 2) // (PHASES * LANES))
    table = np.zeros((2, TAPS, 2 * vectors * LANES))
    for parity in range(2):
        own = columns[parity::2]
        table[parity, :, : len(own)] = own.T
    return rows, table.reshape(-1)


def _taps(length: int) -> Array:
    """Weights `[length // 2, 9]` of pixels 2 x - 3 and following for each x."""
    positions, weights = resize_taps(length)
    out = np.zeros((length // 2, TAPS))
    place = positions - (2 * np.arange(length // 2)[:, None] - LEFT)
    used = weights != 0
    out[np.nonzero(used)[0], place[used]] = weights[used]
    return out


def strips(height: int) -> list[tuple[int, int]]:
    """First and last row (exclusive) of strips of equal height (but the last)."""
    count = -(-height // STRIP_ROWS)
    step = -(-height // (STEP * count)) * STEP
    return [(first, min(first + step, height)) for first in range(0, height, step)]


class _Plan(NamedTuple):
    """What all images of a size have in common: their strips, and what a sweep of them needs."""

    strips: list[tuple[int, int]]
    weights: tuple[Array, Array]
    memory_size: int
    seam_size: int


@lru_cache(64)
def _plan(height: int, width: int) -> _Plan:
    odd = height % 2 or width % 2
    return _Plan(
        strips(height),
        _weights(height, width) if odd else _NO_WEIGHTS,
        memory_size(height, width),
        seam_size(width),
    )


class _Picture:
    """An image in strips, and its results."""

    __slots__ = "done", "out", "pixels", "plan", "seams", "size", "sums"

    def __init__(self, image: Image, out: Array) -> None:
        height, width, _ = self.size = image.shape
        self.pixels = contiguous(image).reshape(-1)
        self.plan = plan = _plan(height, width)
        count = len(plan.strips)
        self.sums = np.empty((count, SCALES, MOMENTS))
        self.seams = np.empty((count, 2, plan.seam_size), np.float32)
        self.out = out
        self.done = iter(range(count))

    def sweep(self, strip: int) -> None:
        """Make one strip's sums and, after the last one, features and score."""
        spans, (row_weights, column_weights), memory_size, _ = self.plan
        (height, width, _), (first, last) = self.size, spans[strip]
        sums, seams = self.sums, self.seams
        sweep(
            self.pixels, height, width, first, last, row_weights, column_weights,
            _memory.of(memory_size), sums[strip], seams[strip],
        )  # fmt: skip
        if next(self.done) == len(spans) - 1:
            join(sums, seams, height, width, *_tables(), self.out)


@cache
def _tables() -> tuple[Array, regressor.Tables]:
    """What features and score are looked up in, as `join` takes it."""
    return fit_tables(), regressor.load().tables


def _cost(task: tuple[_Picture, int]) -> int:
    picture, _ = task
    return len(picture.pixels) // len(picture.plan.strips)


def _sweep(task: tuple[_Picture, int]) -> None:
    picture, strip = task
    picture.sweep(strip)


def fill(batch: Iterable[tuple[Image, Array]], threads: int | None = None) -> None:
    """Write the 36 features and the score of images of any mixed sizes.

    Args:
        batch: images uint8 `[H, W, C]`, sides at least 16, each with a row `[37]`, which gets the
            features and the score; all are nan for an image on which the metric is undefined.
        threads: threads that the batch may use; None for all cores that the process may run on.
    """
    pictures = [_Picture(image, out) for image, out in batch]
    tasks = [(picture, strip) for picture in pictures for strip in range(len(picture.plan.strips))]
    # Large ones first, so that threads end together.
    tasks.sort(key=_cost, reverse=True)
    parallel_map(_sweep, tasks, threads)
