"""From the sums of an image's strips to its features and score, for the CPU kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from iqa.brisque.cpu.planes import COUNTS, coefficient_stride, numbers
from iqa.brisque.cpu.rows import LANES, PHASES
from iqa.brisque.cpu.sums import TOTALS, add_row, count_products, no_totals, store_totals
from iqa.brisque.features import FEATURES, MOMENTS, SCALES, fit
from iqa.brisque.regressor import regress
from iqa.simd.jit import row_kernel

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Real = NDArray[Any]  # float32 or float64

HALF = FEATURES // SCALES
# A strip leaves its sums, what `join` needs as scratch, and two rows.
_NUMBERS = 2 * (SCALES * MOMENTS + COUNTS + MOMENTS) + TOTALS * LANES
ROWS_KEPT = (_NUMBERS + LANES - 1) // LANES * LANES


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


@row_kernel
def _row_size(width: int) -> int:
    """Numbers in a row of coefficients of both scales."""
    return PHASES * (coefficient_stride(width) + coefficient_stride((width + 1) // 2))


@row_kernel
def kept_size(width: int) -> int:
    """Numbers in the float32 array that keeps what a strip of an image leaves."""
    return ROWS_KEPT + 2 * _row_size(width)


@row_kernel
def strip_sums(strip: int, scale: int, width: int) -> int:
    """Where the 22 sums of a strip begin, which are in float64."""
    return strip * kept_size(width) + 2 * MOMENTS * scale


@row_kernel
def strip_row(strip: int, which: int, scale: int, width: int) -> int:
    """Where the first (0) or last (1) row of coefficients of a strip begins."""
    start = strip * kept_size(width) + ROWS_KEPT + which * _row_size(width)
    return start + scale * PHASES * coefficient_stride(width)


@row_kernel
def _add_seam(kept: Floats, row: int, above: int, width: int, sums: Array) -> None:
    """Add the products of a strip's first row with the last one of the strip above it."""
    stride, count = coefficient_stride(width), numbers(width)
    scratch = kept[2 * SCALES * MOMENTS :]
    counts = scratch[: 2 * COUNTS].view(np.int64)
    added = scratch[2 * COUNTS : 2 * COUNTS + 2 * MOMENTS].view(np.float64)
    totals = scratch[2 * COUNTS + 2 * MOMENTS :]
    kept[row + LANES + width % PHASES * stride + width // PHASES] = 0
    counts[:] = 0
    store_totals(totals, add_row(no_totals(), kept, row + LANES, above + LANES, stride, count))
    count_products(kept, row + LANES, above + LANES, stride, count, counts)
    write_sums(totals, counts, added)
    # What the row makes with itself is in the strip's sums.
    for k in range(7, MOMENTS):
        sums[k] += added[k]


@row_kernel
def join(
    kept: Floats, height: int, width: int, tables: Array, regressor: Array,
    item: int, features: Array, values: Array,
) -> int:  # fmt: skip
    """Features and score of an image from what `sweep` kept of its strips.

    Args:
        kept: `[S * kept_size(W)]`.
        height, width: of the image.
        tables: see `features.fit`.
        regressor: see `regressor.regress`.
        item: which one of the batch it is.
        features, values: `[N, 36]` and `[N]` get the features and the score.

    Returns:
        a bit for each scale: whether a fit is a tie, which sums in float64 must decide.
    """
    tied, out = 0, features[item]
    strips, columns, rows = len(kept) // kept_size(width), width, height
    for scale in range(SCALES):
        place = strip_sums(0, scale, width)
        sums = kept[place : place + 2 * MOMENTS].view(np.float64)
        for strip in range(strips):
            if strip > 0:
                place = strip_sums(strip, scale, width)
                added = kept[place : place + 2 * MOMENTS].view(np.float64)
                for k in range(MOMENTS):
                    sums[k] += added[k]
            row = strip_row(strip, 0, scale, width)
            above = strip_row((strip - 1) % strips, 1, scale, width)
            _add_seam(kept, row, above, columns, sums)
        tie = fit(sums, rows * columns, tables, out[HALF * scale : HALF * scale + HALF])
        tied |= tie << scale
        rows, columns = (rows + 1) // 2, (columns + 1) // 2
    if np.isnan(out[0]) or np.isnan(out[HALF]):
        out[:] = np.nan
    values[item] = regress(out, regressor)
    return tied
