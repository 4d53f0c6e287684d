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
from iqa.brisque.cpu.join import join, sweep_and_join
from iqa.brisque.cpu.load import PHASES, phase_length
from iqa.brisque.cpu.sweep import EDGES, buffers, sweep
from iqa.brisque.cpu.ties import fit_again
from iqa.brisque.features import FEATURES, MOMENTS, SCALES, fit_tables
from iqa.images import Image, row_major
from iqa.parallel import parallel_map

Array = NDArray[np.float64]

# Strips are cut by the image alone, so that sums have the same bits on any number of threads.
STRIP_ROWS = 512
STEP = 8  # four rows of either scale are made at a time


@lru_cache
def strips(height: int) -> tuple[tuple[int, int], ...]:
    """First and last row (exclusive) of strips of equal height (but the last)."""
    step = -(-height // (STEP * -(-height // STRIP_ROWS))) * STEP
    return tuple((first, min(first + step, height)) for first in range(0, height, step))


class _Memory(threading.local):
    """This thread's buffers, for the widest image so far."""

    def __init__(self) -> None:
        self.width, self.buffers = 0, buffers(0)

    def of(self, width: int) -> tuple[Any, ...]:
        if width > self.width:
            self.width, self.buffers = width, buffers(width)
        return self.buffers


_memory = _Memory()


class _Parts(NamedTuple):
    """What the strips of an image leave, see `sweep` and `join`; and how many are done."""

    sums: Array
    edges: NDArray[np.float32]
    done: Iterator[int]


class _Strip(NamedTuple):
    """A strip of an image (all of it if there are no `parts`); `out` gets score and features."""

    number: int
    pixels: Image
    shape: tuple[int, int, int]
    out: Array
    parts: _Parts | None


def _strips(image: Image, out: Array) -> list[_Strip]:
    height, width, channels = image.shape
    pixels, shape, number = row_major(image), (height, width, channels), len(strips(height))
    if number == 1:
        return [_Strip(0, pixels, shape, out, None)]
    sums = np.empty((number, SCALES, MOMENTS))
    edges = np.empty((SCALES, EDGES * number, PHASES, phase_length(width)), np.float32)
    parts = _Parts(sums, edges, count(1))
    return [_Strip(strip, pixels, shape, out, parts) for strip in range(number)]


@cache
def _tables() -> tuple[Array, Array]:
    """What features and score are looked up in, as `join` takes it."""
    return fit_tables(), regressor.load().table


def _score(strip: _Strip) -> None:
    """Sum a strip; whoever sums the last one of an image makes its score."""
    number, pixels, shape, out, parts = strip
    height, width, _ = shape
    memory = _memory.of(width)
    if parts is None:
        tied = sweep_and_join(
            pixels, shape, strips(height)[0], memory, phase_length(width), *_tables(), out
        )
    else:
        sums, edges, done = parts
        sweep(pixels, shape, strips(height)[number], memory, number, sums, edges)
        if next(done) < len(sums):
            return
        tied = join(sums, edges, shape, *_tables(), out)
    if tied:
        fit_again(tied, pixels, shape, out[1:])
        out[:1] = regressor.load().scores(out[None, 1:])


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
