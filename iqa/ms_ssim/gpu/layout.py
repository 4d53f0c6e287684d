"""Where the planes and tiles of a ragged batch of pairs lie that SSIM's GPU kernels work on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from iqa.gpu.ragged import Shapes, offsets, tile_table
from iqa.ms_ssim.gpu.sweep import COLUMNS_PER_LANE
from iqa.ms_ssim.pooling import WINDOW

Integers = NDArray[np.int64]

# A row of the plane table, int64: x and y (indices into `addresses`, or offsets in `pyramid`),
# channel, height, width, channels that are interleaved, first tile, number of tiles, and x and y of
# the plane at half size (offsets in `pyramid`).
ENTRIES = 10
LANES = 32
TILE_HEIGHT = 64
MARGIN = len(WINDOW) - 1


@dataclass(frozen=True)
class Layout:
    """The tables of a batch of N pairs, whose P planes are their channels.

    Attributes:
        planes: int64 `[scales, P, ENTRIES]`.
        tile_plane: int32 `[T]`, the plane of each tile.
        pairs: int64 `[N, 2]`, first plane and number of channels of each pair.
        bounds: `[scales + 1]`, where the tiles of a scale start.
        pyramid_length: of the planes of the scales after the first, together.
    """

    planes: Integers
    tile_plane: NDArray[np.int32]
    pairs: Integers
    bounds: tuple[int, ...]
    pyramid_length: int


@lru_cache(maxsize=64)  # a service sees the same sizes again
def layout(shapes: Shapes, scales: int, lanes: int) -> Layout:
    """The layout of pairs of `shapes` (height, width, channels) in tiles of so many lanes."""
    sides = np.array(shapes, dtype=np.int64)
    pairs = np.stack([offsets(sides[:, 2])[0], sides[:, 2]], axis=1)
    pair = np.repeat(np.arange(len(sides)), sides[:, 2])
    planes = np.zeros((scales, len(pair), ENTRIES), dtype=np.int64)
    planes[0, :, 0], planes[0, :, 1] = pair, pair + len(sides)
    planes[0, :, 2] = np.arange(len(pair)) - pairs[pair, 0]
    planes[0, :, 3:6] = sides[pair]
    planes[1:, :, 5] = 1
    # A tile covers windows and 2x2 blocks; the blocks reach further.
    covered = np.zeros((scales, len(pair), 2), dtype=np.int64)
    for scale in range(1, scales):
        planes[scale, :, 3:5] = (planes[scale - 1, :, 3:5] + 1) // 2
        covered[scale - 1] = 2 * planes[scale, :, 3:5]
    covered[-1] = planes[-1, :, 3:5] - MARGIN

    smaller = planes[1:].reshape(-1, ENTRIES)
    sizes = smaller[:, 3] * smaller[:, 4]
    starts, length = offsets(2 * sizes)
    smaller[:, 0], smaller[:, 1] = starts, starts + sizes
    planes[:-1, :, 8:10] = planes[1:, :, 0:2]
    heights, widths = covered.reshape(-1, 2).T
    tile_plane, first, tiles = tile_table(heights, widths, TILE_HEIGHT, lanes * COLUMNS_PER_LANE)
    planes[:, :, 6], planes[:, :, 7] = first.reshape(scales, -1), tiles.reshape(scales, -1)
    return Layout(
        planes,
        tile_plane,
        pairs,
        (*planes[:, 0, 6].tolist(), len(tile_plane)),
        length,
    )


def memory_needed(shapes: Integers) -> Integers:
    """Bytes of device memory for pairs of images of these shapes `[N, 3]`, pixels included."""
    height, width, channels = shapes.T
    values = 2 * height * width * channels
    # Pixels, two bytes for each value of the four smaller scales, then tables and partial sums.
    return values + 2 * (values // 3 + 4 * (height + width) * channels) + values // 256 + 4096
