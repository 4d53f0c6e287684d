"""PSNR of a ragged batch on the CPU, from exact sums."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from iqa.images import Image, row_major
from iqa.parallel import parallel_map
from iqa.psnr.cpu.sums import MOST_SAMPLES, add_up
from iqa.psnr.reference import CHANNELS, row, squared_errors

# Samples that a thread takes at once; whole pixels.
PART = 3 << 19
assert PART <= MOST_SAMPLES


def rows(items: Sequence[tuple[Image, ...]], threads: int | None) -> NDArray[np.float64]:
    """PSNR, MSE, and PSNR of each channel `[N, 5]`; see `iqa.metric.CpuKernel`."""
    sums = [np.zeros((-(-x.size // PART), x.shape[2]), np.int64) for x, _ in items]
    parts = [
        (row_major(x)[start : start + PART], row_major(y)[start : start + PART], of_pair[index])
        for (x, y), of_pair in zip(items, sums, strict=True)
        for index, start in enumerate(range(0, x.size, PART))
    ]
    parallel_map(lambda part: add_up(*part), parts, threads)
    out = np.empty((len(items), 2 + CHANNELS))
    for own, (x, _), of_pair in zip(out, items, sums, strict=True):
        own[:] = row(of_pair.sum(axis=0), x.shape[0] * x.shape[1])
    return out


def error_map(reference: Image, distorted: Image) -> NDArray[np.float32]:
    """Squared error of each pixel, float32 `[H, W]`, mean over channels."""
    return squared_errors(reference, distorted).mean(axis=2).astype(np.float32)
