"""SSIM of a ragged batch on the CPU: what MS-SSIM's last scale is, of the full scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from iqa.images import Image
from iqa.ms_ssim.cpu import terms

# As MS-SSIM's, but an error of a term is one of the score.
TOLERANCE = 5.0


def rows(items: Sequence[tuple[Image, ...]], threads: int | None) -> NDArray[np.float64]:
    """Scores `[N, 1]`; see `iqa.metric.CpuKernel`."""
    return np.array([[own.mean()] for own in terms(items, 1, TOLERANCE, threads)])
