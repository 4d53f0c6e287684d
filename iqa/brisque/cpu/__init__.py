"""BRISQUE of a ragged batch on the CPU, in strips that cores share out among them."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from iqa.brisque import regressor
from iqa.brisque.cpu.join import BOTH, join, sweep_and_join
from iqa.brisque.cpu.load import phase_length
from iqa.brisque.cpu.sweep import SUMS, buffers, sweep
from iqa.brisque.features import FEATURES, SCALES, fit_tables
from iqa.images import Image, row_major
from iqa.parallel import available_cores, parallel_map
from iqa.simd.lanes import PHASES

Array = NDArray[np.float64]
Shape = tuple[int, int, int]

# Strips are cut by the image alone, so that sums have the same bits on any number of threads.
STRIP_ROWS = 256
STEP = 8  # four rows of either scale are made at a time
SMALL = 1_000_000  # pixels; of an image of fewer a cut costs 2%


@lru_cache
def strips(height: int) -> NDArray[np.int64]:
    """First and last row (exclusive) of strips of equal height (but the last), `[S, 2]`."""
    step = -(-height // (STEP * -(-height // STRIP_ROWS))) * STEP
    first = np.arange(0, height, step)
    return np.stack([first, np.minimum(first + step, height)], axis=1)


class _Memory(threading.local):
    """This thread's buffers of each type, for the widest image so far."""

    def __init__(self) -> None:
        self._kept: dict[type, tuple[int, tuple[NDArray[Any], ...]]] = {}

    def of(self, width: int, dtype: type) -> tuple[NDArray[Any], ...]:
        if dtype not in self._kept or width > self._kept[dtype][0]:
            self._kept[dtype] = width, buffers(width, dtype)
        return self._kept[dtype][1]


_memory = _Memory()


class _Parts(NamedTuple):
    """What the strips of an image leave, see `sweep` and `join`.

    Attributes:
        done: counts those that are done; `next` is atomic.
    """

    sums: Array
    edges: NDArray[np.float32]
    done: Iterator[int]


class _Task(NamedTuple):
    """An image to score, or the strip of it whose number is given; `out` gets score and features.

    Attributes:
        cost: pixels.
    """

    pixels: Image
    shape: Shape
    out: Array
    cost: float
    number: int = 0
    parts: _Parts | None = None


def _cut(task: _Task, share: float) -> list[_Task]:
    """An image in strips, or whole where no thread would wait for it.

    That is where it is at most a quarter of the pixels that are a thread's share, and of a small
    image where it is at most all of them.
    """
    height, width, _ = task.shape
    total = len(strips(height))
    if total == 1 or task.cost <= (share if task.cost < SMALL else share / 4):
        return [task]
    edges = np.empty((total, SCALES, 2, PHASES, phase_length(width)), np.float32)
    parts, cost = _Parts(np.empty((total, SCALES, SUMS)), edges, count(1)), task.cost / total
    return [task._replace(number=strip, cost=cost, parts=parts) for strip in range(total)]


@cache
def _tables() -> tuple[Array, Array]:
    """What features and score are looked up in, as `join` takes it."""
    return fit_tables(), regressor.load().table


def _score(task: _Task) -> None:
    """Score an image, or sum a strip; whoever sums the last one of an image makes its score."""
    pixels, shape, out, _, number, parts = task
    if parts is None:
        tied = score_whole(pixels, shape, np.float32, BOTH, out)
    else:
        sums, edges, done = parts
        height, width, _ = shape
        own = slice(number, number + 1)
        memory = _memory.of(width, np.float32)
        sweep(pixels, shape, strips(height)[own], memory, BOTH, sums[own], edges[own])
        if next(done) < len(sums):
            return
        tied = join(sums, edges, shape, BOTH, *_tables(), out)
    if tied:
        score_whole(pixels, shape, np.float64, tied, out)


def score_whole(pixels: Image, shape: Shape, dtype: type, scales: int, out: Array) -> int:
    """Score an image in one sweep.

    Args:
        pixels, shape: uint8 `[H * W * C]`; H, W, C.
        dtype: of coefficients and sums, float32 or float64.
        scales: bits of those that are fitted, the others have their features in `out`.
        out: `[37]`, gets score and features.

    Returns:
        scales with a tie, see `join`.
    """
    height, width, _ = shape
    memory = _memory.of(width, dtype)
    tied: int = sweep_and_join(pixels, shape, strips(height), memory, scales, *_tables(), out)
    return tied


def rows(items: Sequence[tuple[Image, ...]], threads: int | None) -> Array:
    """Score and the 36 features `[N, 37]`; see `iqa.metric.CpuKernel`."""
    threads = threads or available_cores()
    found = np.empty((len(items), 1 + FEATURES))
    images = []
    for (image,), out in zip(items, found, strict=True):
        height, width, channels = image.shape
        shape = height, width, channels
        images.append(_Task(row_major(image), shape, out, height * width))
    share = sum(task.cost for task in images) / threads if threads > 1 else math.inf
    work = [part for task in images for part in _cut(task, share)]
    work.sort(key=lambda task: task.cost, reverse=True)  # so that threads end together
    parallel_map(_score, work, threads)
    return found
