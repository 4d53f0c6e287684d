"""MS-SSIM of a ragged batch on the CPU, in blocks that cores share out among them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from iqa.images import Image, row_major
from iqa.ms_ssim.cpu.line_buffers import lines
from iqa.ms_ssim.cpu.samples import Samples
from iqa.ms_ssim.cpu.spans import MARGIN, spans
from iqa.ms_ssim.cpu.sweep import add_up, sweep
from iqa.ms_ssim.pooling import SCALES, pool
from iqa.parallel import parallel_map

Array = NDArray[np.float64]

# Neighbours each make what they have in common, which is more where blocks are small; larger ones
# keep fewer cores busy, and the line buffers of wider ones leave the second-level cache.
BLOCK_ROWS, BLOCK_COLUMNS = 2048, 1536
CONTEXT = 256
# Rounding to float32 changed a term by 8e-7 times the risk of its rows in the worst of 1,150 pairs
# that were made to be delicate.
TOLERANCE = 6.0
# What an error in a term makes of the score grows as the term shrinks.
SMALL_TERM = 0.06
NO_MAP = np.ones((0, 0), dtype=np.float32)


class _Buffers(threading.local):
    """This thread's line buffers."""

    def __init__(self) -> None:
        self.lines = tuple(lines(BLOCK_COLUMNS + CONTEXT))


_buffers = _Buffers()


class _Geometry(NamedTuple):
    """What follows from the size of a pair.

    Attributes:
        blocks: rows and columns of each block, as plain tuples.
        corners: `[B, 2]` where each block's windows of the full scale begin.
        windows: `[5]` windows of each scale.
    """

    blocks: list[tuple[tuple[Any, ...], tuple[Any, ...]]]
    corners: list[tuple[int, int]]
    windows: Array


@lru_cache(64)
def _geometry(height: int, width: int) -> _Geometry:
    down, across = spans(height, BLOCK_ROWS), spans(width, BLOCK_COLUMNS)
    rows, columns = (
        np.cumsum([np.zeros(SCALES), *(np.diff(span.windows)[:, 0] for span in axis)], axis=0)
        for axis in (down, across)
    )
    return _Geometry(
        list(product(map(tuple, down), map(tuple, across))),
        [(int(row), int(column)) for row, column in product(rows[:-1, 0], columns[:-1, 0])],
        rows[-1] * columns[-1],
    )


class _Pair:
    """A pair as rows of values, and its map where that is asked for."""

    def __init__(self, reference: Image, distorted: Image, mapped: bool) -> None:
        height, width, self.channels = reference.shape
        self.stride = width * self.channels
        self.x = row_major(reference)
        self.y = row_major(distorted)
        self.geometry = _geometry(height, width)
        # Of each block, sums `[5, C]` of what its windows lack to 1.
        self.losses = np.empty((len(self.geometry.blocks), SCALES, self.channels))
        self.terms = np.empty((SCALES, self.channels))
        self.map = NO_MAP
        if mapped:
            self.map = np.ones((height - MARGIN, width - MARGIN), dtype=np.float32)

    def sweep(self, block: int, tolerance: float) -> None:
        """Make one block's losses."""
        down, across = self.geometry.blocks[block]
        row, column = self.geometry.corners[block]
        sweep(
            self.x, self.y, self.stride, self.channels, down, across, tolerance,
            _buffers.lines, self.map[row:, column:], self.losses[block],
        )  # fmt: skip


def _delicate(pairs: Sequence[_Pair], tolerance: float, threads: int | None) -> list[_Pair]:
    """Make the terms of pairs, and say which pairs have a small one."""
    tasks = [(pair, block) for pair in pairs for block in range(len(pair.losses))]
    parallel_map(lambda task: task[0].sweep(task[1], tolerance), tasks, threads)
    return [
        pair
        for pair in pairs
        if add_up(pair.losses, pair.geometry.windows, pair.terms) < SMALL_TERM
    ]


def terms_and_maps(
    references: Sequence[Image],
    distorted: Sequence[Image],
    threads: int | None = None,
    *,
    maps: bool = False,
) -> list[tuple[Array, Samples | None]]:
    """Contrast-structure and SSIM of pairs; a pair's bits depend on nothing but the pair.

    Args:
        references: uint8 images `[H, W, C]` with sides of at least 161.
        distorted: as many, of the same shapes.
        threads: at most so many (None: as many as there are cores).
        maps: also make the maps.

    Returns:
        per pair what `reference.terms` is, `[5, C]` mean contrast-structure and in the last row
        SSIM; and the local SSIM of the full scale, float32 `[H - 10, W - 10]`, mean over channels,
        or None.
    """
    pairs = [_Pair(x, y, maps) for x, y in zip(references, distorted, strict=True)]
    delicate = _delicate(pairs, TOLERANCE, threads)
    if delicate:
        _delicate(delicate, 0.0, threads)
    return [(pair.terms, pair.map if maps else None) for pair in pairs]


def terms(
    references: Sequence[Image], distorted: Sequence[Image], threads: int | None = None
) -> list[Array]:
    """The first half of `terms_and_maps`."""
    return [found for found, _ in terms_and_maps(references, distorted, threads)]


def rows(items: Sequence[tuple[Image, ...]], threads: int | None) -> Array:
    """Score and the five scales' terms `[N, 6]`; see `iqa.metric.CpuKernel`."""
    references, distorted = zip(*items, strict=True)
    out = np.empty((len(items), 1 + SCALES))
    for row, pair_terms in zip(out, terms(references, distorted, threads), strict=True):
        row[0], row[1:] = pool(pair_terms)
    return out


def local_ssim(reference: Image, distorted: Image) -> Samples:
    """Local SSIM of the full scale, float32 `[H - 10, W - 10]`, mean over channels."""
    ((_, found),) = terms_and_maps([reference], [distorted], maps=True)
    assert found is not None
    return found
