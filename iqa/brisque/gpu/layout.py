"""Where the planes and tiles of a ragged batch lie that BRISQUE's GPU kernels work on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from iqa.brisque.features import FEATURES, MOMENTS, SCALES
from iqa.brisque.gpu.sweep import COLUMNS_PER_LANE
from iqa.gpu.ragged import Shapes, offsets, tile_table

Integers = NDArray[np.int64]

# A row of the plane table, int64: the image's index in the batch or, of a half-size plane, its
# offset in `halves`; height, width, channels, first tile, number of tiles, offset in `edges`; and
# of a full-size plane the offset of its half in `halves`.
ENTRIES = 8
LANES = 32
# Of both scales: tall enough that the 7 rows run up before the first result weigh little, short
# enough that one picture of 768x512 occupies 48 of the GPU's warps and then 24.
TILE_HEIGHTS = (64, 32)


@dataclass(frozen=True)
class Layout:
    """The tables of a batch of N images.

    Attributes:
        planes: int64 `[2 N, ENTRIES]`, those at full size first.
        tile_plane: int32 `[T]`, the plane of each tile.
        bounds: `[3]`, where the tiles of a scale start.
        half_pixels: length of `halves`.
        edge_length: length of `edges`.
    """

    planes: Integers
    tile_plane: NDArray[np.int32]
    bounds: tuple[int, int, int]
    half_pixels: int
    edge_length: int


@lru_cache(maxsize=64)  # a service sees the same sizes again
def layout(shapes: Shapes, lanes: int) -> Layout:
    """The layout of images of `shapes` (height, width, channels) in tiles of so many lanes."""
    count = len(shapes)
    planes = np.zeros((SCALES * count, ENTRIES), dtype=np.int64)
    full, half = planes[:count], planes[count:]
    full[:, 0] = np.arange(count)
    full[:, 1:4] = shapes
    half[:, 1:3] = (full[:, 1:3] + 1) // 2
    half[:, 3] = 1
    tile_heights = np.repeat(TILE_HEIGHTS, count)
    tile_plane, planes[:, 4], planes[:, 5] = tile_table(
        planes[:, 1], planes[:, 2], tile_heights, lanes * COLUMNS_PER_LANE
    )
    planes[:, 6], edge_length = offsets(2 * (planes[:, 1] + planes[:, 2]))
    half[:, 0], half_pixels = offsets(half[:, 1] * half[:, 2])
    full[:, 7] = half[:, 0]
    bounds = 0, int(half[0, 4]), len(tile_plane)
    return Layout(planes, tile_plane, bounds, half_pixels, edge_length)


def memory_needed(shapes: Integers, exact_parts: int) -> Integers:
    """Bytes of device memory for images of these shapes `[N, 3]`, their pixels included.

    Each has sums of so many parts in float64 where fits are tied.
    """
    height, width, channels = shapes.T
    pixels, half_pixels = height * width, -(-height // 2) * -(-width // 2)
    tiles = sum(
        -(-side // tile_height) * -(-across // (LANES * COLUMNS_PER_LANE))
        for side, across, tile_height in (
            (height, width, TILE_HEIGHTS[0]),
            (-(-height // 2), -(-width // 2), TILE_HEIGHTS[1]),
        )
    )
    edges = 2 * (height + width + -(-height // 2) + -(-width // 2))
    numbers = tiles * MOMENTS + SCALES * (exact_parts + 1) * MOMENTS + FEATURES + 2
    tables = 8 * SCALES * ENTRIES + 4 * tiles + 64
    return channels * pixels + 4 * (half_pixels + edges) + 8 * numbers + tables
