"""SSIM of a ragged batch on a GPU: the first scale of MS-SSIM, taken for its last."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from iqa.errors import ItemError
from iqa.gpu.ragged import Item
from iqa.ms_ssim.gpu import rows_of_scales


def rows(
    items: Sequence[Item], device: str, memory_limit: int | None = None
) -> tuple[NDArray[np.float64], list[ItemError | None]]:
    """SSIM `[N, 1]` of pairs of uint8 `[H, W, C]`; see `iqa.ms_ssim.gpu.rows`.

    Args:
        items: pairs of arrays, or of tensors that may lie on the device; sides at least 11.
        device: a CUDA device (or the CPU, with the interpreter of the Triton language).
        memory_limit: bytes on the device that a batch may take; a larger one is computed in parts.
            None for `iqa.gpu.device.MEMORY_LIMIT`.

    Returns:
        the rows, and per pair an error `out_of_memory` or None.
    """
    found, errors = rows_of_scales(items, device, memory_limit, exponents=(1.0,))
    return found[:, 1:], errors  # MS-SSIM's score counts a negative term as 0
