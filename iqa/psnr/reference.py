"""PSNR in plain float64 NumPy: the definition that the fast kernels are tested against.

As scikit-image's `peak_signal_noise_ratio` with `data_range=255`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from iqa.images import Image

PEAK = 255.0
IDENTICAL = 100.0  # of pictures without any error, whose ratio is infinite
CHANNELS = 3


def decibels(mean_squared_error: float) -> float:
    """PSNR of a mean squared error of samples from 0 to 255."""
    if mean_squared_error == 0:
        return IDENTICAL
    return 10 * math.log10(PEAK**2 / mean_squared_error)


def squared_errors(reference: Image, distorted: Image) -> NDArray[np.int64]:
    """Squared difference of each sample `[H, W, C]`."""
    return (reference.astype(np.int64) - distorted) ** 2


def row(sums: NDArray[np.int64], pixels: int) -> list[float]:
    """PSNR, MSE, and PSNR of red, green and blue, from the sum of squared errors of each channel.

    A grey picture is one whose three channels are the same.

    Args:
        sums: `[C]`, C 1 or 3.
        pixels: H * W.
    """
    mean_squared_error = int(sums.sum()) / (len(sums) * pixels)
    channels = [decibels(int(each) / pixels) for each in sums]
    return [
        decibels(mean_squared_error),
        mean_squared_error,
        *(channels * (CHANNELS // len(channels))),
    ]


def score(reference: Image, distorted: Image) -> float:
    """PSNR of two uint8 images `[H, W, C]` of equal shape, in decibels, over all samples."""
    sums = squared_errors(reference, distorted).sum(axis=(0, 1))
    return row(sums, reference.shape[0] * reference.shape[1])[0]
