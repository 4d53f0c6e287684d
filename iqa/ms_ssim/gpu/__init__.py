"""MS-SSIM of a ragged batch on a GPU: one launch a scale and two small ones."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from iqa.errors import ItemError
from iqa.gpu.device import run_bounded
from iqa.gpu.ragged import Item, send, shapes_of
from iqa.ms_ssim.gpu.layout import ENTRIES, LANES, MARGIN, TILE_HEIGHT, layout, memory_needed
from iqa.ms_ssim.gpu.sums import pool_kernel, reduce_kernel
from iqa.ms_ssim.gpu.sweep import sweep_kernel
from iqa.ms_ssim.pooling import C1, C2, EXPONENTS, WINDOW

Array = NDArray[np.float64]

TAPS = tuple(map(float, WINDOW))


@cache
def _on_device(exponents: tuple[float, ...], device: torch.device) -> torch.Tensor:
    return torch.tensor(exponents, dtype=torch.float64, device=device)


def rows(
    items: Sequence[Item], device: str, memory_limit: int | None = None
) -> tuple[Array, list[ItemError | None]]:
    """MS-SSIM and the five scales' mean terms `[N, 6]` of pairs of uint8 `[H, W, C]`.

    A pair has the same bits in any batch.

    Args:
        items: pairs of arrays, or of tensors that may lie on the device; sides at least 161.
        device: a CUDA device (or the CPU, with the interpreter of the Triton language).
        memory_limit: bytes on the device that a batch may take; a larger one is computed in parts.
            None for `iqa.gpu.device.MEMORY_LIMIT`.

    Returns:
        the rows, and per pair an error `out_of_memory` or None.
    """
    return rows_of_scales(items, device, memory_limit, tuple(map(float, EXPONENTS)))


def rows_of_scales(
    items: Sequence[Item], device: str, memory_limit: int | None, exponents: tuple[float, ...]
) -> tuple[Array, list[ItemError | None]]:
    """`rows` of so many scales as there are exponents `[S]`: `[N, 1 + S]`."""

    def run(part: Sequence[Item], place: torch.device) -> Array:
        return _run(part, place, exponents)

    costs = memory_needed(np.array(shapes_of(items), dtype=np.int64)).tolist()
    return run_bounded(run, items, costs, 1 + len(exponents), device, memory_limit)


def _run(items: Sequence[Item], device: torch.device, exponents: tuple[float, ...]) -> Array:
    scales = len(exponents)
    plan = layout(shapes_of(items), scales, LANES)
    references, distorted = zip(*items, strict=True)
    (addresses, planes, tile_plane, pairs), alive = send(
        [*references, *distorted], [plan.planes, plan.tile_plane, plan.pairs], device
    )
    count = plan.planes.shape[1]

    def empty(size: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        return torch.empty(size, dtype=dtype, device=device)

    pyramid = empty(plan.pyramid_length, torch.uint16)
    partials = empty(len(tile_plane))
    terms = empty(scales * count)
    results = empty(len(items) * (1 + scales))

    for scale, (first, end) in enumerate(pairwise(plan.bounds)):
        sweep_kernel[(end - first,)](
            tile_plane, planes, addresses, pyramid, partials, first,
            C1 * 16.0**scale, C2 * 16.0**scale,
            FIRST=scale == 0, LAST=scale == scales - 1, LANES=LANES, ROWS=TILE_HEIGHT,
            WINDOW=TAPS, ENTRIES=ENTRIES, num_warps=1, maxnreg=128,
        )  # fmt: skip
    reduce_kernel[(scales * count,)](
        planes, partials, terms, MARGIN=MARGIN, ENTRIES=ENTRIES, BLOCK=128
    )
    pool_kernel[(len(items),)](
        pairs, terms, _on_device(exponents, device), results, count, SCALES=scales, num_warps=1
    )
    rows = results.cpu().numpy().reshape(len(items), 1 + scales)
    del alive  # the copy has waited for the kernels that read the images
    return rows
