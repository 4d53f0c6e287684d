"""The map that shows what BRISQUE looks at: the magnitude of the MSCN coefficients."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from iqa.brisque.features import WINDOW
from iqa.brisque.reference import mscn
from iqa.images import Image, luma

BAND = 64  # rows, so that the float64 intermediates stay in the processor's cache


def local_contrast(image: Image) -> NDArray[np.float32]:
    """Local contrast `[H, W]` of a uint8 image `[H, W, C]`: |MSCN| of each pixel of its luma."""
    plane, radius = luma(image), len(WINDOW) // 2
    found = np.empty(plane.shape, dtype=np.float32)
    for start in range(0, len(plane), BAND):
        top = max(start - radius, 0)
        coefficients = mscn(plane[top : start + BAND + radius].astype(np.float64))
        found[start : start + BAND] = np.abs(coefficients[start - top :][:BAND])
    return found
