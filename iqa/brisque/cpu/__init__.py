"""BRISQUE of a ragged batch on the CPU, in strips that cores share out among them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from iqa.brisque import regressor
from iqa.brisque.cpu.join import BOTH, join, sweep_and_join
from iqa.brisque.cpu.load import PHASES, phase_length
from iqa.brisque.cpu.sweep import SUMS, buffers, sweep
from iqa.brisque.features import FEATURES, SCALES, fit_tables
from iqa.images import Image, row_major
from iqa.parallel import parallel_map

Array = NDArray[np.float64]
Shape = tuple[int, int, int]

# Strips are cut by the image alone, so that sums have the same bits on any number of threads.
STRIP_ROWS = 512
STEP = 8  # four rows of either scale are made at a time


@lru_cache
def strips(height: int) -> tuple[tuple[int, int], ...]:
    """First and last row (exclusive) of strips of equal height (but the last)."""
    step = -(-height // (STEP * -(-height // STRIP_ROWS))) * STEP
    return tuple((first, min(first + step, height)) for first in range(0, height, step))


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
    """What the strips of an image leave, see `sweep` and `join`; and how many are done."""

    sums: Array
    edges: NDArray[Any]
    done: Iterator[int]


class _Strip(NamedTuple):
    """A strip of an image (all of it if there are no `parts`); `out` gets score and features."""

    number: int
    pixels: Image
    shape: Shape
    out: Array
    parts: _Parts | None


def _parts(shape: Shape, dtype: type) -> _Parts:
    number, width = len(strips(shape[0])), shape[1]
    edges: NDArray[Any] = np.empty((number, SCALES, 2, PHASES, phase_length(width)), dtype)
    return _Parts(np.empty((number, SCALES, SUMS)), edges, count(1))


def _strips(image: Image, out: Array) -> list[_Strip]:
    height, width, channels = image.shape
    pixels, shape, number = row_major(image), (height, width, channels), len(strips(height))
    parts = None if number == 1 else _parts(shape, np.float32)
    return [_Strip(strip, pixels, shape, out, parts) for strip in range(number)]


@cache
def _tables() -> tuple[Array, Array]:
    """What features and score are looked up in, as `join` takes it."""
    return fit_tables(), regressor.load().table


def _score(strip: _Strip) -> None:
    """Sum a strip; whoever sums the last one of an image makes its score."""
    number, pixels, shape, out, parts = strip
    height, width, _ = shape
    memory = _memory.of(width, np.float32)
    if parts is None:
        tied = sweep_and_join(pixels, shape, memory, phase_length(width), *_tables(), out)
    else:
        sums, edges, done = parts
        sweep(pixels, shape, strips(height)[number], memory, BOTH, sums[number], edges[number])
        if next(done) < len(sums):
            return
        tied = join(sums, edges, shape, BOTH, *_tables(), out)
    if tied:
        decide(pixels, shape, tied, out)


def decide(pixels: Image, shape: Shape, tied: int, out: Array) -> None:
    """Fit the scales that `tied` has a bit of to sums in float64.

    Args:
        pixels, shape: uint8 `[H * W * C]`; H, W, C.
        tied: see `join`.
        out: `[37]`, score and features of the image.
    """
    sums, edges, _ = _parts(shape, np.float64)
    memory = _memory.of(shape[1], np.float64)
    for number, rows in enumerate(strips(shape[0])):
        sweep(pixels, shape, rows, memory, tied, sums[number], edges[number])
    join(sums, edges, shape, tied, *_tables(), out)


def _cost(strip: _Strip) -> int:
    return len(strip.pixels) // len(strips(strip.shape[0]))


def rows(items: Sequence[tuple[Image, ...]], threads: int | None) -> Array:
    """Score and the 36 features `[N, 37]`; see `iqa.metric.CpuKernel`."""
    found = np.empty((len(items), 1 + FEATURES))
    work: list[_Strip] = []
    for (image,), out in zip(items, found, strict=True):
        work += _strips(image, out)
    work.sort(key=_cost, reverse=True)  # large ones first, so that threads end together
    parallel_map(_score, work, threads)
    return found
