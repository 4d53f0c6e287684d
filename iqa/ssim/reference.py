"""SSIM in plain float64 NumPy: the definition that the fast kernels are tested against.

Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural
similarity", IEEE Transactions on Image Processing 13(4) (2004): 11x11 Gaussian window of deviation
1.5 inside the picture, K1 0.01, K2 0.03, no downsampling; per channel, averaged.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from iqa.images import Image
from iqa.ms_ssim.reference import similarity

MINIMUM_SIDE = 11


def local(reference: Image, distorted: Image) -> NDArray[np.float64]:
    """Local SSIM `[H - 10, W - 10]` of two uint8 images `[H, W, C]`, mean over channels."""
    return similarity(reference.astype(np.float64), distorted.astype(np.float64))[1].mean(axis=2)


def score(reference: Image, distorted: Image) -> float:
    """SSIM of two uint8 images `[H, W, C]` of equal shape, sides at least 11."""
    return float(local(reference, distorted).mean())
