"""BRISQUE of a ragged batch on the CPU, in strips that cores share out among them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from iqa.brisque import regressor
from iqa.brisque.cpu.join import join, kept_size
from iqa.brisque.cpu.planes import memory_size
from iqa.brisque.cpu.sweep import sweep
from iqa.brisque.cpu.ties import fit_again
from iqa.brisque.features import FEATURES, fit_tables
from iqa.images import Image, on_host, row_major
from iqa.parallel import parallel_map

if TYPE_CHECKING:
    import torch

Array = NDArray[np.float64]
Floats = NDArray[np.float32]

# Strips are cut by the image alone, so that sums have the same bits on any number of threads.
STRIP_ROWS = 512
STEP = 8  # four rows of either scale are made at a time
CACHE_LINE = 64  # bytes


class _Memory(threading.local):
    """This thread's line buffers."""

    def __init__(self) -> None:
        self.numbers = np.empty(0, np.float32)

    def grown(self, size: int) -> Floats:
        """So many numbers from the beginning of a cache line on, as vector loads want it."""
        memory = np.zeros(4 * size + CACHE_LINE, np.uint8)
        start = -memory.ctypes.data % CACHE_LINE
        self.numbers = memory[start : start + 4 * size].view(np.float32)
        return self.numbers


_memory = _Memory()


class Plan(NamedTuple):
    """What all images of a size have in common, which is computed once.

    Attributes:
        strips: the number, the first and the last row (exclusive) of each.
        memory_size: see `sweep`.
        kept_size: of what all strips leave.
    """

    strips: list[tuple[int, int, int]]
    memory_size: int
    kept_size: int


@lru_cache(64)
def plan(height: int, width: int) -> Plan:
    """The plan of a size: its strips are of equal height (but the last)."""
    step = -(-height // (STEP * -(-height // STRIP_ROWS))) * STEP
    strips = [
        (strip, first, min(first + step, height))
        for strip, first in enumerate(range(0, height, step))
    ]
    return Plan(
        strips,
        memory_size(width),
        len(strips) * kept_size(width),
    )


# One strip: item, height, width, pixels, what is kept, plan, strip and how many of them are done.
_Task = tuple[int, int, int, Image, Floats, Plan, tuple[int, int, int], Iterator[int]]


def _cost(task: _Task) -> int:
    _, _, _, pixels, _, own, *_ = task
    return len(pixels) // len(own.strips)


@cache
def _tables() -> tuple[Array, Array]:
    """What features and score are looked up in, as `join` takes it."""
    return fit_tables(), regressor.load().table


def fill(
    images: Sequence[Image | torch.Tensor], items: Iterable[int], features: Array, values: Array,
    threads: int | None = None,
) -> None:  # fmt: skip
    """Write features and score of images of any mixed sizes.

    Args:
        images: uint8 `[H, W, C]`, sides at least 16.
        items: which ones.
        features, values: `[N, 36]` and `[N]`, get the features and the scores of these; all are nan
            for an image on which the metric is undefined.
        threads: threads that the batch may use; None for all cores that the process may run on.
    """
    fits, vectors = _tables()

    def work(task: _Task) -> None:
        item, height, width, pixels, kept, own, (strip, first, last), done = task
        strips, size, _ = own
        memory = _memory.numbers
        if len(memory) < size:
            memory = _memory.grown(size)
        tied = sweep(
            pixels, height, width, strip, first, last, memory, kept,
            fits, vectors, item, features, values,
        )  # fmt: skip
        # `sweep` joins what is not cut.
        if len(strips) > 1 and next(done) == len(strips) - 1:
            tied = join(kept, height, width, fits, vectors, item, features, values)
        if tied:
            shape = height, width, len(pixels) // (height * width)
            fit_again(tied, pixels, shape, features[item])
            values[item] = regressor.load().scores(features[item][None])[0]

    tasks: list[_Task] = []
    for item in items:
        image = on_host(images[item])
        height, width, _ = image.shape
        own, pixels = plan(height, width), row_major(image)
        done, kept = count(), np.empty(own.kept_size, np.float32)
        tasks += [(item, height, width, pixels, kept, own, strip, done) for strip in own.strips]
    if len(tasks) == 1:
        work(tasks[0])
    else:
        # Large ones first, so that threads end together.
        tasks.sort(key=_cost, reverse=True)
        parallel_map(work, tasks, threads)


def rows(items: Sequence[tuple[Image, ...]], threads: int | None) -> Array:
    """Score and the 36 features `[N, 37]`; see `iqa.metric.CpuKernel`."""
    images = [image for (image,) in items]
    features, values = np.empty((len(items), FEATURES)), np.empty(len(items))
    fill(images, range(len(items)), features, values, threads)
    return np.column_stack([values, features])
