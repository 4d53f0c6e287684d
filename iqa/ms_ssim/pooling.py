"""What MS-SSIM's scales are, and how their terms become the score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from iqa.gaussian import gaussian_window
from iqa.simd.jit import kernel

Array = NDArray[np.float64]

WINDOW = gaussian_window(11, 1.5)
EXPONENTS = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
SCALES = len(EXPONENTS)
MINIMUM_SIDE = (len(WINDOW) - 1) * 2 ** (SCALES - 1) + 1
C1 = (0.01 * 255) ** 2
C2 = (0.03 * 255) ** 2


@kernel
def combine(terms: Array) -> float:
    """Score: the terms of the scales combined (equation 7 of the paper), averaged over channels.

    Args:
        terms: `[5, C]` mean contrast-structure of each scale and channel; last row: mean SSIM. A
            negative one counts as 0, as in piq.
    """
    total = 0.0
    for channel in range(terms.shape[1]):
        product = 1.0
        for scale in range(SCALES):
            product *= max(terms[scale, channel], 0.0) ** EXPONENTS[scale]
        total += product
    return total / terms.shape[1]


def pool(terms: Array) -> tuple[float, Array]:
    """The score and the channel mean of each scale's term `[5]`, a negative one as it is."""
    return combine(terms), np.add.reduce(terms, axis=1) / terms.shape[1]
