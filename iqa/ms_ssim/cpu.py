"""MS-SSIM of a ragged batch on the CPU, in blocks that cores share out among them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from iqa.images import Image, contiguous
from iqa.ms_ssim.pooling import SCALES
from iqa.ms_ssim.samples import Samples
from iqa.ms_ssim.spans import MARGIN, Span, padding, spans
from iqa.ms_ssim.sweep import lines, sweep
from iqa.parallel import parallel_map

Array = NDArray[np.float64]

# Smaller blocks share less, and the line buffers of larger ones leave the second-level cache.
BLOCK_ROWS, BLOCK_COLUMNS = 1024, 1024
CONTEXT = 256
# Rounding to float32 changed a term by 8e-7 times the risk of its rows in the worst of 1,150 pairs
# that were made to be delicate.
TOLERANCE = 6.0
# What an error in a term makes of the score grows as the term shrinks.
SMALL_TERM = 0.06


class _Buffers(threading.local):
    """This thread's line buffers."""

    def __init__(self) -> None:
        self.lines = lines(BLOCK_COLUMNS + CONTEXT)


_buffers = _Buffers()


class _Geometry(NamedTuple):
    """What follows from the size of a pair.

    Attributes:
        blocks: rows and columns of each block.
        corners: `[B, 2]` where each block's windows of the full scale begin.
        windows: `[5, 1]` windows of each scale.
    """

    blocks: list[tuple[Span, Span]]
    corners: list[tuple[int, int]]
    windows: Array


@lru_cache(64)
def _geometry(height: int, width: int) -> _Geometry:
    pads = padding(height, width)
    down, across = spans(height, pads, BLOCK_ROWS), spans(width, pads, BLOCK_COLUMNS)
    rows, columns = (
        np.cumsum([np.zeros(SCALES), *(np.diff(span.windows)[:, 0] for span in axis)], axis=0)
        for axis in (down, across)
    )
    return _Geometry(
        list(product(down, across)),
        [(int(row), int(column)) for row, column in product(rows[:-1, 0], columns[:-1, 0])],
        (rows[-1] * columns[-1])[:, None],
    )


class _Pair:
    """A pair as rows of values, and its map where that is asked for."""

    def __init__(self, reference: Image, distorted: Image, mapped: bool) -> None:
        height, width, self.channels = reference.shape
        self.x = contiguous(reference).reshape(height, -1)
        self.y = contiguous(distorted).reshape(height, -1)
        self.geometry = _geometry(height, width)
        shape = (height - MARGIN, width - MARGIN) if mapped else (0, 0)
        self.map = np.ones(shape, dtype=np.float32)

    def losses(self, block: int, tolerance: float) -> Array:
        """Sums `[5, C]` of what one block's windows lack to 1."""
        down, across = self.geometry.blocks[block]
        row, column = self.geometry.corners[block]
        sums = np.empty((SCALES, self.channels))
        sweep(
            self.x, self.y, self.channels, down, across, tolerance,
            _buffers.lines, self.map[row:, column:], sums,
        )  # fmt: skip
        return sums


def _terms(pairs: Sequence[_Pair], tolerance: float, threads: int | None) -> list[Array]:
    tasks = [(pair, block) for pair in pairs for block in range(len(pair.geometry.blocks))]
    losses = iter(parallel_map(lambda task: task[0].losses(task[1], tolerance), tasks, threads))
    return [
        1 - sum(next(losses) for _ in pair.geometry.blocks) / pair.geometry.windows
        for pair in pairs
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
    result = _terms(pairs, TOLERANCE, threads)
    delicate = [i for i, found in enumerate(result) if (np.abs(found) < SMALL_TERM).any()]
    if delicate:
        again = _terms([pairs[i] for i in delicate], 0.0, threads)
        for i, found in zip(delicate, again, strict=True):
            result[i] = found
    return [(found, pair.map if maps else None) for found, pair in zip(result, pairs, strict=True)]


def terms(
    references: Sequence[Image], distorted: Sequence[Image], threads: int | None = None
) -> list[Array]:
    """The first half of `terms_and_maps`."""
    return [found for found, _ in terms_and_maps(references, distorted, threads)]
