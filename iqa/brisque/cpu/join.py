"""From the sums of an image's strips to its features and score."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iqa.brisque.cpu.sums import add_row, add_totals, end_above, no_totals, wrap
from iqa.brisque.cpu.sweep import ROUNDING, SUMS, sweep
from iqa.brisque.features import FEATURES, SCALES, fit
from iqa.brisque.regressor import regress
from iqa.images import Image
from iqa.simd.jit import kernel, row_kernel
from iqa.simd.lanes import PHASES

Real = NDArray[Any]
Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]

HALF = FEATURES // SCALES
BOTH = (1 << SCALES) - 1  # scales


@kernel
def sweep_and_join(
    pixels: Image,
    shape: tuple[int, int, int],
    rows: Integers,
    memory: Any,
    length: int,
    scales: int,
    tables: Doubles,
    regressor: Doubles,
    row: Doubles,
) -> int:
    """`sweep` of all strips of an image and `join` in one call: 4% of a small image's time.

    `rows` is `[S, 2]`, `length` that of a phase, see `load.phase_length`.
    """
    sums = np.empty((len(rows), SCALES, SUMS))
    edges = np.empty((len(rows), SCALES, 2, PHASES, length), memory[1].dtype)
    sweep(pixels, shape, rows, memory, scales, sums, edges)
    return join(sums, edges, shape, scales, tables, regressor, row)


@kernel
def join(
    sums: Doubles,
    edges: Real,
    shape: tuple[int, int, int],
    scales: int,
    tables: Doubles,
    regressor: Doubles,
    row: Doubles,
) -> int:
    """Features and score of an image.

    Args:
        sums: float64 `[S, 2, SUMS]` of its S strips, see `sweep`; the first ones' are added to.
        edges: `[S, 2, 2, PHASES, L]`, see `sweep`.
        shape: of the image.
        scales: bits of those that are fitted, the others have their features.
        tables, regressor: see `features.fit` and `regressor.regress`.
        row: `[37]` gets score and features.

    Returns:
        a bit for each scale: whether a fit is a tie, which sums in float64 must decide.
    """
    tied = 0
    height, width, features = shape[0], shape[1], row[1:]
    for scale in range(SCALES):
        if scales >> scale & 1:
            total = sums[0, scale]
            for strip in range(len(sums)):
                if strip > 0:
                    total += sums[strip, scale]
                _add_seam(edges[strip, scale, 0], edges[strip - 1, scale, 1], width, total)
            pixels, own = height * width, features[HALF * scale : HALF * scale + HALF]
            tied |= fit(total, pixels, tables, precision(total, pixels), own) << scale
        height, width = (height + 1) // 2, (width + 1) // 2
    if np.isnan(features[0]) or np.isnan(features[HALF]):
        features[:] = np.nan
    row[0] = regress(features, regressor)
    return tied


@row_kernel
def precision(sums: Doubles, pixels: int) -> float:
    """By what share of it the ratio that a fit looks up may be off, as coefficients are float32.

    A variance is off by some units of the last place of m^2, a coefficient by as many of
    `(m / (s + 1))^2`, up or down; `ROUNDING` has a sixteenth of the squares of these. It is no
    bound: ratios of 384 JPEGs and 64 blurred pictures were off by 0.55 of it at most, of noise by
    0.72, but of a saturated picture of 50x64 by 2.1 and of a checkerboard by 3.5.
    """
    last_place, noise = 2.0**-24, math.sqrt(16 * sums[ROUNDING]) / sums[0]
    return 2 * last_place * (2 + noise) * pixels / sums[0]


@kernel
def _add_seam(own: Real, above: Real, width: int, total: Doubles) -> None:
    """Add the products of a strip's first row with the last one of the strip above it."""
    rows = np.empty((2, *own.shape), own.dtype)
    rows[0], rows[1] = above, own
    added = np.zeros(SUMS)
    wrap(rows, 1, width)
    end_above(rows, 0, width)
    add_totals(add_row(no_totals(rows), rows, 1, 0, width, True, added), added)
    # What the row makes with itself is in the strip's sums.
    total[7:] += added[7:]
