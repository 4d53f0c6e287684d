"""What MS-SSIM's scales are, and how their terms become the score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from iqa.gaussian import gaussian_window

Array = NDArray[np.float64]

WINDOW = gaussian_window(11, 1.5)
EXPONENTS = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
SCALES = len(EXPONENTS)
MINIMUM_SIDE = (len(WINDOW) - 1) * 2 ** (SCALES - 1) + 1
C1 = (0.01 * 255) ** 2
C2 = (0.03 * 255) ** 2


def pool(terms: Array) -> tuple[float, Array]:
    """Combine the terms of the scales (equation 7 of the paper) and average over channels.

    Args:
        terms: `[5, C]` mean contrast-structure of each scale and channel; last row: mean SSIM.

    Returns:
        the score, and the channel mean of each scale's term `[5]`. A negative term counts as 0 in
        the score, as in piq, and is reported as it is.
    """
    products = np.multiply.reduce(np.maximum(terms, 0) ** EXPONENTS[:, None], axis=0)
    channels = terms.shape[1]
    # Written so because NumPy's `mean` takes as long as the kernel for thousands of pixels.
    return float(np.add.reduce(products)) / channels, np.add.reduce(terms, axis=1) / channels
