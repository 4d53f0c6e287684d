"""The line buffers of a sweep, and how much of them a block of some width takes."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from iqa.images import Image
from iqa.ms_ssim.cpu.columns import FIELD, FIELDS
from iqa.ms_ssim.cpu.samples import BAND, PAIR, PHASES, RUN, RUN_SIZE, Integers, Samples
from iqa.ms_ssim.cpu.windows import Array
from iqa.ms_ssim.pooling import SCALES
from iqa.simd.jit import row_kernel

# A band's windows begin in the one before the last.
BANDS = 3
CHANNELS = 3  # at most
CACHE_LINE = 64
CONTRAST, SSIM = 4, 5


class Lines(NamedTuple):
    """The line buffers of a sweep; nothing is taken over from one block to the next.

    Attributes:
        rows: `[2, 8]`, where the rows of a band begin, in the images and in `planes`.
        planes: uint8 `[2, 8 * 128 * 3]`, of each image 8 rows of two runs of pixels that cannot be
            taken where they are.
        rings: float32, of each channel and scale `[2 fields, 3 bands, R runs, 4, 8, 16]`, as
            compact as the block's width allows.
        tile32, tile64: see `columns`.
        loss: float32 `[P / 4]`, what `windows.contrast` makes of a band.
        made: float64 `[6, 64]`, window mean and variance of u and those of v, of one row of a run;
            then losses.
        sums: float64 `[3, 5, P / 4]`, of each channel and scale, of windows down each 4 columns.
        centres: float64 `[3, 2]`, what is taken off each channel of each image.
    """

    rows: Integers
    planes: Image
    rings: Samples
    tile32: Samples
    tile64: Array
    loss: Samples
    made: Array
    sums: Array
    centres: Array


def lines(columns: int) -> Lines:
    """Line buffers for blocks of up to so many samples a row."""
    pixels = -(-columns // RUN) * RUN
    return Lines(
        _aligned((2, BAND), np.int64),
        _aligned((2, BAND * PAIR * CHANNELS), np.uint8),
        _aligned((CHANNELS * rings_size(columns),), np.float32),
        _aligned((FIELDS * FIELD,), np.float32),
        _aligned((FIELDS * FIELD,), np.float64),
        _aligned((pixels // PHASES,), np.float32),
        _aligned((SSIM + 1, RUN), np.float64),
        _aligned((CHANNELS, SCALES, pixels // PHASES), np.float64),
        _aligned((CHANNELS, 2), np.float64),
    )


def _aligned(shape: tuple[int, ...], dtype: DTypeLike) -> Any:
    """Zeros that begin with a cache line, as vector loads want it."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.zeros(size + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return memory[start : start + size].view(dtype).reshape(shape)


@row_kernel
def runs_of(columns: int) -> int:
    """How many runs hold so many samples or windows."""
    return (columns + RUN - 1) // RUN


@row_kernel
def pairs_of(columns: int, scale: int) -> int:
    """How many pairs of runs a scale of a block has; every pair becomes a run of the next scale."""
    return (columns + (PAIR << scale) - 1) // (PAIR << scale)


@row_kernel
def band_size(columns: int, scale: int) -> int:
    """Samples of a band of one field."""
    return 2 * pairs_of(columns, scale) * RUN_SIZE


@row_kernel
def rings_size(columns: int) -> int:
    """Samples of the rings of one channel."""
    size = 0
    for scale in range(SCALES):
        size += 2 * BANDS * band_size(columns, scale)
    return size
