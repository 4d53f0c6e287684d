"""Arrays that begin with a cache line."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

CACHE_LINE = 64  # bytes


def aligned(shape: tuple[int, ...], dtype: type) -> NDArray[Any]:
    """Zeros that begin with a cache line, so that no aligned vector of them lies in two."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.zeros(size + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return memory[start : start + size].view(dtype).reshape(shape)
