"""PSNR of a ragged batch on a GPU, from exact sums: one launch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from iqa.errors import ItemError
from iqa.gpu.device import run_bounded
from iqa.gpu.ragged import Item, send, shapes_of, tile_table
from iqa.psnr.gpu.sums import BLOCK, BLOCKS_PER_PART, sums_kernel
from iqa.psnr.reference import CHANNELS, row

Array = NDArray[np.float64]


def rows(
    items: Sequence[Item], device: str, memory_limit: int | None = None
) -> tuple[Array, list[ItemError | None]]:
    """PSNR, MSE, and PSNR of each channel `[N, 5]` of pairs of uint8 `[H, W, C]`.

    Args:
        items: pairs of arrays, or of tensors that may lie on the device.
        device: a CUDA device (or the CPU, with the interpreter of the Triton language).
        memory_limit: bytes on the device that a batch may take; a larger one is computed in parts.
            None for `iqa.gpu.device.MEMORY_LIMIT`.

    Returns:
        the rows, the same bits as on the CPU, and per pair an error `out_of_memory` or None.
    """
    shapes = np.array(shapes_of(items), dtype=np.int64)
    return run_bounded(
        _run, items, memory_needed(shapes).tolist(), 2 + CHANNELS, device, memory_limit
    )


def memory_needed(shapes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Bytes of device memory for pairs of images of these shapes `[N, 3]`, pixels included."""
    parts = -(-shapes[:, 0] * shapes[:, 1] // (BLOCK * BLOCKS_PER_PART))
    return 2 * shapes.prod(axis=1) + 4 * parts + 256


def _run(items: Sequence[Item], device: torch.device) -> Array:
    shapes = np.array(shapes_of(items), dtype=np.int64)
    pixels = shapes[:, 0] * shapes[:, 1]
    part_pair, first, _ = tile_table(pixels, np.ones_like(pixels), BLOCK * BLOCKS_PER_PART, 1)
    references, distorted = zip(*items, strict=True)
    (addresses, part_pair_there, pairs), alive = send(
        [*references, *distorted],
        [part_pair, np.stack([pixels, shapes[:, 2], first], axis=1)],
        device,
    )
    sums = torch.zeros((len(items), CHANNELS), dtype=torch.int64, device=device)
    sums_kernel[(len(part_pair),)](
        part_pair_there, pairs, addresses, sums, len(items), BLOCK=BLOCK, BLOCKS=BLOCKS_PER_PART
    )
    found = sums.cpu().numpy()
    del alive  # the copy has waited for the kernel that reads the images
    return np.array(
        [
            row(of_pair[:channels], int(size))
            for of_pair, channels, size in zip(found, shapes[:, 2], pixels, strict=True)
        ]
    )
