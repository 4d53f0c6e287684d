"""From the sums of an image's strips to its features and score."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from iqa.brisque.cpu.load import LANES, PHASES
from iqa.brisque.cpu.sums import (
    COUNTS,
    SIGN_PHASES,
    TOTALS,
    add_row,
    add_totals,
    count_signs,
    moments,
    no_totals,
    note_inside,
    note_signs,
    words,
)
from iqa.brisque.cpu.sweep import EDGES, sweep
from iqa.brisque.features import FEATURES, MOMENTS, SCALES, fit
from iqa.brisque.regressor import regress
from iqa.images import Image
from iqa.simd.jit import kernel

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

HALF = FEATURES // SCALES


@kernel
def sweep_and_join(
    pixels: Image, shape: tuple[int, int, int], rows: tuple[int, int], memory: Any, length: int,
    tables: Doubles, regressor: Doubles, row: Doubles,
) -> int:  # fmt: skip
    """`sweep` and `join` of an image of one strip in one call: 4% of a small image's time.

    `length` is that of a phase, see `load.phase_length`.
    """
    sums = np.empty((1, SCALES, MOMENTS))
    edges = np.empty((SCALES, EDGES, PHASES, length), np.float32)
    sweep(pixels, shape, rows, memory, len(sums) - 1, sums, edges)
    return join(sums, edges, shape, tables, regressor, row)


@kernel
def join(
    sums: Doubles, edges: Floats, shape: tuple[int, int, int], tables: Doubles, regressor: Doubles,
    row: Doubles,
) -> int:  # fmt: skip
    """Features and score of an image.

    Args:
        sums: float64 `[S, 2, 22]` of its S strips, see `sweep`.
        edges: float32 `[2, EDGES * S, PHASES, L]`, see `sweep`.
        shape: of the image.
        tables, regressor: see `features.fit` and `regressor.regress`.
        row: `[37]` gets score and features.

    Returns:
        a bit for each scale: whether a fit is a tie, which sums in float64 must decide.
    """
    tied = 0
    height, width, features = shape[0], shape[1], row[1:]
    for scale in range(SCALES):
        total = sums[0, scale]
        for strip in range(len(sums)):
            if strip > 0:
                for k in range(MOMENTS):
                    total[k] += sums[strip, scale, k]
            above = (EDGES * strip - 1) % (EDGES * len(sums))
            _add_seam(edges[scale], EDGES * strip, above, width, total)
        tie = fit(total, height * width, tables, features[HALF * scale : HALF * scale + HALF])
        tied |= tie << scale
        height, width = (height + 1) // 2, (width + 1) // 2
    if np.isnan(features[0]) or np.isnan(features[HALF]):
        features[:] = np.nan
    row[0] = regress(features, regressor)
    return tied


@kernel
def _add_seam(rows: Floats, own: int, above: int, width: int, total: Doubles) -> None:
    """Add the products of a strip's first row with the last one of the strip above it."""
    signs = np.empty((2, 2, SIGN_PHASES * words(width)), np.uint64)
    inside = np.empty(PHASES * words(width), np.uint64)
    note_inside(width, inside)
    note_signs(rows, own, width, True, signs[0])
    note_signs(rows, above, width, True, signs[1])
    totals, counts = np.zeros(TOTALS * LANES), np.zeros(COUNTS, np.int64)
    scratch, added = np.empty(TOTALS * LANES, np.float32), np.empty(MOMENTS)
    add_totals(add_row(no_totals(), rows, own, above, width), scratch, totals)
    count_signs(signs[0], signs[1], True, inside, width, counts)
    moments(totals, counts, added)
    # What the row makes with itself is in the strip's sums.
    for k in range(7, MOMENTS):
        total[k] += added[k]
