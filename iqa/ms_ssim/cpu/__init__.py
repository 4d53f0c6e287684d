"""MS-SSIM of a ragged batch on the CPU, in planes that cores share out among them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from iqa.images import Image
from iqa.ms_ssim.cpu.terms import terms
from iqa.ms_ssim.pooling import SCALES, pool

# An error in a term makes more of the score the smaller the term is.
SMALL_TERM = 0.06
# Rounding to float32 changed a term by 8e-7 times the risk of its rows in the worst of 1,150 pairs
# that were made to be delicate.
TOLERANCE = 6.0


def rows(items: Sequence[tuple[Image, ...]], threads: int | None) -> NDArray[np.float64]:
    """Score and the five scales' terms `[N, 6]`; see `iqa.metric.CpuKernel`."""
    found = terms(items, SCALES, TOLERANCE, threads)
    delicate = [index for index, own in enumerate(found) if np.abs(own).min() < SMALL_TERM]
    exact = terms([items[index] for index in delicate], SCALES, -1.0, threads)
    for index, own in zip(delicate, exact, strict=True):
        found[index] = own
    out = np.empty((len(items), 1 + SCALES))
    for row, own in zip(out, found, strict=True):
        row[0], row[1:] = pool(own)
    return out
