"""MS-SSIM in plain float64 NumPy: the definition that the fast kernels are tested against.

Wang, Simoncelli, Bovik, "Multiscale structural similarity for image quality assessment", Asilomar
Conference on Signals, Systems and Computers (2003), as in the authors' MATLAB release: 11x11
Gaussian window without padding, 2x2 means, in each channel; channels are averaged last.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from iqa.images import Image
from iqa.ms_ssim.pooling import C1, C2, EXPONENTS, SCALES, WINDOW

Array = NDArray[np.float64]


def _blur(values: Array) -> Array:
    rows = sliding_window_view(values, len(WINDOW), axis=0) @ WINDOW
    return sliding_window_view(rows, len(WINDOW), axis=1) @ WINDOW


def similarity(x: Array, y: Array) -> tuple[Array, Array]:
    """Local contrast-structure and SSIM `[H - 10, W - 10, C]` of planes `[H, W, C]` (0 to 255)."""
    mean_x, mean_y = _blur(x), _blur(y)
    variance_x, variance_y = _blur(x**2) - mean_x**2, _blur(y**2) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    contrast = (2 * covariance + C2) / (variance_x + variance_y + C2)
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    return contrast, luminance * contrast


def halve(planes: Array) -> Array:
    """Mean of 2x2 blocks from the top left `[ceil(H / 2), ceil(W / 2), C]`.

    Where a side is odd its last row or column is repeated.
    """
    height, width, channels = planes.shape
    padded = np.pad(planes, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    rows, columns = padded.shape[0] // 2, padded.shape[1] // 2
    return padded.reshape(rows, 2, columns, 2, channels).mean(axis=(1, 3))


def terms(reference: Image, distorted: Image) -> Array:
    """Mean contrast-structure `[5, C]` of each scale and channel; the last row is mean SSIM."""
    x, y = reference.astype(np.float64), distorted.astype(np.float64)
    means = []
    for scale in range(SCALES):
        if scale > 0:
            x, y = halve(x), halve(y)
        contrast, ssim = similarity(x, y)
        means.append((ssim if scale == SCALES - 1 else contrast).mean(axis=(0, 1)))
    return np.stack(means)


def score(reference: Image, distorted: Image) -> float:
    """MS-SSIM of two uint8 images `[H, W, C]` of equal shape, sides at least 161.

    A negative term counts as 0, as in piq; channels are averaged last.
    """
    powers = np.maximum(terms(reference, distorted), 0) ** EXPONENTS[:, None]
    return float(powers.prod(axis=0).mean())
