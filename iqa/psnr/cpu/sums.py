"""Sums of squared errors, in integers, which are exact."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from iqa.images import Image
from iqa.simd.jit import kernel

# Samples that are added side by side: whole pixels of three channels, whole vectors of any size.
SIDE_BY_SIDE = 192
# As many as a sum of 32 bits surely holds for each of these places.
MOST_SAMPLES = SIDE_BY_SIDE * ((2**32 - 1) // 255**2)


@kernel
def add_up(x: Image, y: Image, sums: NDArray[np.int64]) -> None:
    """Add the squared differences of samples to the sum of each channel.

    The sums are held for each place in 192 samples, not for each channel, so that LLVM can take
    neighbours together.

    Args:
        x, y: uint8 `[P * C]`, at most `MOST_SAMPLES`.
        sums: int64 `[C]`.
    """
    channels, places = len(sums), np.zeros(SIDE_BY_SIDE, np.uint32)
    whole = len(x) // SIDE_BY_SIDE * SIDE_BY_SIDE
    for start in range(0, whole, SIDE_BY_SIDE):
        a, b = x[start : start + SIDE_BY_SIDE], y[start : start + SIDE_BY_SIDE]
        for place in range(SIDE_BY_SIDE):
            difference = np.int32(a[place]) - np.int32(b[place])
            places[place] += np.uint32(difference * difference)
    for place in range(SIDE_BY_SIDE):
        sums[place % channels] += np.int64(places[place])
    for rest in range(whole, len(x)):
        sums[rest % channels] += (np.int64(x[rest]) - np.int64(y[rest])) ** 2
