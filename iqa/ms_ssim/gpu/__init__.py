"""MS-SSIM of a ragged batch on a GPU: one launch a scale and two small ones."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from iqa.errors import ItemError
from iqa.gpu.device import run_bounded
from iqa.gpu.ragged import offsets, send, tile_table
from iqa.images import Image
from iqa.ms_ssim.gpu import kernels as gpu_kernels
from iqa.ms_ssim.pooling import C1, C2, EXPONENTS, SCALES, WINDOW

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

LANES = 32
TILE_WIDTH = LANES * gpu_kernels.COLUMNS_PER_LANE
TILE_HEIGHT = 64
MARGIN = len(WINDOW) - 1
TAPS = tuple(map(float, WINDOW))


@cache
def _exponents(device: torch.device) -> torch.Tensor:
    return torch.tensor(EXPONENTS, device=device)


def memory_needed(shapes: Integers) -> Integers:
    """Bytes of device memory for pairs of images of these shapes `[N, 3]`, pixels included."""
    height, width, channels = shapes.T
    values = 2 * height * width * channels
    # Pixels, two bytes for each value of the four smaller scales, then tables and partial sums.
    return values + 2 * (values // 3 + 4 * (height + width) * channels) + values // 256 + 4096


def rows(
    items: Sequence[tuple[Image | torch.Tensor, ...]], device: str, limit: int | None = None
) -> tuple[Array, list[ItemError | None]]:
    """MS-SSIM and the five scales' mean terms `[N, 6]` of pairs of uint8 `[H, W, C]`.

    A pair has the same bits in any batch.

    Args:
        items: pairs of arrays, or of tensors that may lie on the device; sides at least 161.
        device: a CUDA device (or the CPU, with the interpreter of the Triton language).
        limit: bytes of device memory that a batch may take; a larger one is computed in parts.
            None for `device.MEMORY_LIMIT`.

    Returns:
        the rows, and per pair an error `out_of_memory` or None.
    """
    references, distorted = zip(*items, strict=True)
    shapes = np.array([image.shape for image in references], dtype=np.int64)

    def run(chunk: range, place: torch.device) -> Array:
        part = slice(chunk.start, chunk.stop)
        return _run([*references[part], *distorted[part]], shapes[part], place)

    costs = memory_needed(shapes).tolist()
    return run_bounded(run, costs, 1 + SCALES, device, limit)


def _plane_table(shapes: Integers) -> tuple[Integers, NDArray[np.int32], Integers, int]:
    """Tables of pairs of `shapes` `[N, 3]`, see `gpu_kernels`.

    Returns:
        planes `[SCALES, P, ENTRIES]` with P the sum of the channels, tile_plane `[T]`, tiles of
        each plane `[SCALES, P]`, and the length of the pyramid.
    """
    pair = np.repeat(np.arange(len(shapes)), shapes[:, 2])
    planes = np.zeros((SCALES, len(pair), gpu_kernels.ENTRIES), dtype=np.int64)
    planes[0, :, 0], planes[0, :, 1] = pair, pair + len(shapes)
    planes[0, :, 2] = np.arange(len(pair)) - offsets(shapes[:, 2])[0][pair]
    planes[0, :, 3:6] = shapes[pair]
    planes[1:, :, 5] = 1
    # A tile covers windows and 2x2 blocks; the blocks reach further.
    covered = np.zeros((SCALES, len(pair), 2), dtype=np.int64)
    for scale in range(1, SCALES):
        planes[scale, :, 3:5] = (planes[scale - 1, :, 3:5] + 1) // 2
        covered[scale - 1] = 2 * planes[scale, :, 3:5]
    covered[-1] = planes[-1, :, 3:5] - MARGIN

    smaller = planes[1:].reshape(-1, gpu_kernels.ENTRIES)
    sizes = smaller[:, 3] * smaller[:, 4]
    starts, length = offsets(2 * sizes)
    smaller[:, 0], smaller[:, 1] = starts, starts + sizes
    planes[:-1, :, 7:9] = planes[1:, :, 0:2]
    heights, widths = covered.reshape(-1, 2).T
    tile_plane, first, tiles = tile_table(heights, widths, TILE_HEIGHT, TILE_WIDTH)
    planes[:, :, 6] = first.reshape(SCALES, -1)
    return planes, tile_plane, tiles.reshape(SCALES, -1), length


def _run(images: Sequence[Image | torch.Tensor], shapes: Integers, device: torch.device) -> Array:
    planes, tile_plane, tiles, length = _plane_table(shapes)
    count = planes.shape[1]
    pairs = np.stack([offsets(shapes[:, 2])[0], shapes[:, 2]], axis=1)
    addresses = np.zeros(len(images), dtype=np.int64)
    tables: list[NDArray[Any]] = [planes, tile_plane, tiles.astype(np.int32), pairs, addresses]
    (planes_there, tile_plane_there, tiles_there, pairs_there, addresses_there), alive = send(
        images, addresses, tables, device
    )

    pyramid = torch.empty(length, dtype=torch.uint16, device=device)
    partials = torch.empty(len(tile_plane), dtype=torch.float64, device=device)
    terms = torch.empty(SCALES * count, dtype=torch.float64, device=device)
    results = torch.empty(len(pairs) * (1 + SCALES), dtype=torch.float64, device=device)

    bounds = [*planes[:, 0, 6].tolist(), len(tile_plane)]
    for scale in range(SCALES):
        gpu_kernels.similarity_kernel[(bounds[scale + 1] - bounds[scale],)](
            tile_plane_there, planes_there, addresses_there, pyramid, partials, bounds[scale],
            C1 * 16.0**scale, C2 * 16.0**scale,
            FIRST=scale == 0, LAST=scale == SCALES - 1, LANES=LANES, ROWS=TILE_HEIGHT,
            WINDOW=TAPS, ENTRIES=gpu_kernels.ENTRIES, num_warps=1, maxnreg=128,
        )  # fmt: skip
    gpu_kernels.reduce_kernel[(SCALES * count,)](
        planes_there, tiles_there, partials, terms,
        MARGIN=MARGIN, ENTRIES=gpu_kernels.ENTRIES, BLOCK=128,
    )  # fmt: skip
    gpu_kernels.pool_kernel[(len(pairs),)](
        pairs_there, terms, _exponents(device), results, count, SCALES=SCALES, num_warps=1
    )
    rows = results.cpu().numpy().reshape(len(pairs), 1 + SCALES)
    del alive  # the copy has waited for the kernels that read the images
    return rows
