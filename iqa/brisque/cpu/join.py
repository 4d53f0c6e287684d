"""From the sums of an image's strips to its features and score."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iqa.brisque.cpu.load import phase_length
from iqa.brisque.cpu.sums import add_row, add_totals, no_totals, wrap
from iqa.brisque.cpu.sweep import ROUNDING, SUMS, Buffers, sweep
from iqa.brisque.features import FEATURES, SCALES, fit
from iqa.brisque.regressor import regress
from iqa.images import Image
from iqa.simd.jit import kernel, row_kernel
from iqa.simd.lanes import PHASES

Real = NDArray[Any]
Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]

OF_SCALE = FEATURES // SCALES
OF_HORIZONTAL = 7  # so many sums a row adds to by itself; what follows is of rows above each other
BOTH = (1 << SCALES) - 1  # scales


@kernel
def sweep_and_join(
    pixels: Image,
    shape: tuple[int, int, int],
    strips: Integers,
    arrays: Any,
    scales: int,
    tables: Doubles,
    regressor: Doubles,
    row: Doubles,
) -> int:
    """`sweep` of all strips of an image and `join` in one call: 4% of a small image's time."""
    sums = np.empty((len(strips), SCALES, SUMS))
    edges = np.empty(
        (len(strips), SCALES, 2, PHASES, phase_length(shape[1])),
        Buffers(*arrays).coefficients.dtype,
    )
    sweep(pixels, shape, strips, arrays, scales, sums, edges)
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
        edges: `[S, 2, 2, PHASES, L]`, see `sweep`; written to.
        shape: of the image.
        scales: bits of those that are fitted, the others have their features.
        tables, regressor: see `features.fit` and `regressor.regress`.
        row: `[37]` gets score and features.

    Returns:
        a bit for each scale: whether a fit is a tie, which sums in float64 must decide.
    """
    tied = 0
    height, width, features = shape[0], shape[1], row[1:]
    rows = edges.reshape(-1, PHASES, edges.shape[4])
    for scale in range(SCALES):
        if scales >> scale & 1:
            total, seams = sums[0, scale], np.zeros(SUMS)
            for strip in range(len(sums)):
                if strip > 0:
                    total += sums[strip, scale]
                own, above = strip * SCALES + scale, (strip - 1) % len(sums) * SCALES + scale
                _add_seam(rows, 2 * own, 2 * above + 1, width, seams)
            # What a row makes with itself is in the strips' sums.
            total[OF_HORIZONTAL:] += seams[OF_HORIZONTAL:]
            count, own_features = height * width, features[OF_SCALE * scale :][:OF_SCALE]
            tied |= fit(total, count, tables, precision(total, count), own_features) << scale
        height, width = (height + 1) // 2, (width + 1) // 2
    if np.isnan(features[0]) or np.isnan(features[OF_SCALE]):
        features[:] = np.nan
    row[0] = regress(features, regressor)
    return tied


@row_kernel
def _add_seam(rows: Real, own: int, above: int, width: int, sums: Doubles) -> None:
    """Add the products of a strip's first row with the last one of the strip above it."""
    wrap(rows, own, width)  # it has been the one above another since
    add_totals(add_row(no_totals(rows), rows, own, above, width, True, sums), sums)


@row_kernel
def precision(sums: Doubles, count: int) -> float:
    """By what share of it the ratio that a fit looks up may be off, as coefficients are float32.

    A variance is off by some units of the last place of m^2, a coefficient by as many of
    `(m / (s + 1))^2`, up or down; `ROUNDING` has a sixteenth of the squares of these. It is no
    bound: ratios of 384 JPEGs and 64 blurred pictures were off by 0.55 of it at most, of noise by
    0.72, but of a saturated picture of 50x64 by 2.1 and of a checkerboard by 3.5.
    """
    last_place, noise = 2.0**-24, math.sqrt(16 * sums[ROUNDING]) / sums[0]
    return 2 * last_place * (2 + noise) * count / sums[0]
