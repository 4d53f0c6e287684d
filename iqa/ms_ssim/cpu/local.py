"""Local SSIM of a pair: the map of SSIM and of MS-SSIM. Plain loops in float64, row by row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from iqa.images import Image, row_major
from iqa.ms_ssim.pooling import C1, C2, WINDOW
from iqa.simd.jit import block_kernel, kernel

Array = NDArray[np.float64]

SIZE = len(WINDOW)
FIELDS = 4  # x, y, x^2 + y^2, x y


def local_ssim(reference: Image, distorted: Image) -> NDArray[np.float32]:
    """Local SSIM of the full scale, float32 `[H - 10, W - 10]`, mean over channels."""
    height, width, channels = reference.shape
    total = np.zeros((height - SIZE + 1, width - SIZE + 1))
    for channel in range(channels):
        x, y = (row_major(image[:, :, channel]) for image in (reference, distorted))
        _add_local(x.reshape(height, width), y.reshape(height, width), total)
    return (total / channels).astype(np.float32)


@kernel
def _add_local(x: Image, y: Image, total: Array) -> None:
    """Add the local SSIM of two planes `[H, W]` to `total`."""
    width = x.shape[1]
    rows, down = np.empty((FIELDS, SIZE, width)), np.empty((FIELDS, width))
    for bottom in range(len(x)):
        _fill(x[bottom], y[bottom], rows[:, bottom % SIZE])
        top = bottom - SIZE + 1
        if top >= 0:
            down[:] = 0
            for tap in range(SIZE):
                for field in range(FIELDS):
                    _add_weighted(WINDOW[tap], rows[field, (top + tap) % SIZE], down[field])
            _add_along(down, total[top])


@block_kernel
def _fill(x: Image, y: Image, row: Array) -> None:
    for column in range(len(x)):
        a, b = np.float64(x[column]), np.float64(y[column])
        row[0, column], row[1, column] = a, b
        row[2, column], row[3, column] = a * a + b * b, a * b


@block_kernel
def _add_weighted(weight: float, row: Array, down: Array) -> None:
    for column in range(len(row)):
        down[column] += weight * row[column]


@block_kernel
def _add_along(down: Array, total: Array) -> None:
    for column in range(len(total)):
        x = y = power = product = 0.0
        for tap in range(SIZE):
            x += WINDOW[tap] * down[0, column + tap]
            y += WINDOW[tap] * down[1, column + tap]
            power += WINDOW[tap] * down[2, column + tap]
            product += WINDOW[tap] * down[3, column + tap]
        luminance = (2 * x * y + C1) / (x * x + y * y + C1)
        contrast = (2 * (product - x * y) + C2) / (power - (x * x + y * y) + C2)
        total[column] += luminance * contrast
