"""From the sums of an image's strips to its features and score, for the CPU kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from iqa.brisque.cpu_planes import COUNTS, coefficient_stride, numbers
from iqa.brisque.cpu_rows import LANES, PHASES
from iqa.brisque.cpu_sums import TOTALS, add_row, count_products, no_totals, store_totals
from iqa.brisque.features import FEATURES, MOMENTS, SCALES, fit
from iqa.brisque.regressor import Tables, regress
from iqa.jit import kernel, row_kernel

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Real = NDArray[Any]  # float32 or float64


@row_kernel
def write_sums(totals: Real, counts: Integers, out: Array) -> None:
    """The 22 sums of `features`, of 14 vectors and 8 counts."""
    for k in range(TOTALS):
        total = 0.0
        for lane in range(LANES):
            total += totals[k * LANES + lane]
        place = k if k < 2 else k + 2 * ((k - 2) // 3) + 2
        out[place] = total
    for k in range(COUNTS):
        out[2 + 5 * (k // 2) + k % 2] = counts[k]


@kernel
def seam_size(width: int) -> int:
    """Numbers in a row of coefficients of both scales."""
    return PHASES * (coefficient_stride(width) + coefficient_stride(width // 2))


@kernel
def _add_seam(seams: Floats, strip: int, start: int, width: int, sums: Array) -> None:
    """Add the products of a strip's first row with the last one of the strip above it."""
    stride, count = coefficient_stride(width), numbers(width)
    rows, totals = np.empty(2 * PHASES * stride, np.float32), np.empty(TOTALS * LANES, np.float32)
    size = PHASES * stride
    rows[:size] = seams[strip, 0, start : start + size]
    rows[size:] = seams[strip - 1, 1, start : start + size]
    rows[LANES + width % PHASES * stride + width // PHASES] = 0
    counts, added = np.zeros(COUNTS, np.int64), np.empty(MOMENTS)
    store_totals(totals, add_row(no_totals(), rows, LANES, size + LANES, stride, count))
    count_products(rows, LANES, size + LANES, stride, count, counts)
    write_sums(totals, counts, added)
    # What the row makes with itself is in the strip's sums.
    for k in range(7, MOMENTS):
        sums[k] += added[k]


@kernel
def join(
    parts: Array, seams: Floats, height: int, width: int, tables: Array, regressor: Tables,
    out: Array,
) -> None:  # fmt: skip
    """Features and score of an image from what `sweep` made of its strips.

    Args:
        parts: `[S, 2, 22]` sums of each.
        seams: `[S, 2, seam_size(W)]` first and last row of each.
        height, width: of the image.
        tables: see `features.fit`.
        regressor: the arguments of `regressor.regress` behind the first.
        out: `[37]` gets the features and the score.
    """
    sums, start = np.zeros(parts.shape[1:]), 0
    for scale in range(SCALES):
        for strip in range(len(parts)):
            sums[scale] += parts[strip, scale]
            _add_seam(seams, strip, start, width, sums[scale])
        fit(sums[scale], height * width, tables, out[18 * scale : 18 * scale + 18])
        start += PHASES * coefficient_stride(width)
        height, width = height // 2, width // 2
    if np.isnan(out[0]) or np.isnan(out[18]):
        out[:FEATURES] = np.nan
    out[36] = regress(out[:FEATURES], *regressor)
