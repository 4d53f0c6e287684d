"""The normalised Gaussian windows that metrics filter with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def gaussian_window(size: int, sigma: float) -> NDArray[np.float64]:
    """Gaussian of `size` taps `[size]` that sums to 1; its outer product is the 2-D window."""
    offsets = np.arange(size) - (size - 1) / 2
    window = np.exp(-(offsets**2) / (2 * sigma**2))
    return window / window.sum()
