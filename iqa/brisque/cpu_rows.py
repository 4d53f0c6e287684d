"""Rows of pixels for the CPU kernel: luma from uint8, and the half-size image from luma."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from iqa.images import Image
from iqa.jit import row_kernel

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

# Taken from every pixel: differences and variances stay as they are, their rounding gets smaller.
MIDDLE = np.float32(128)
MARGIN = 3  # columns left of the image that a row of pixels begins with
MIRRORED = 3  # columns that the halving filter reads beyond either end of a row

RED, GREEN, BLUE, HALF = np.array([19595, 38470, 7471, 32768], np.float32)
UNIT = np.float32(1 / 65536)
# Antialiased bicubic at scale 1/2: multiples of 1/256, so exact in float32 on uint8 pixels.
B0, B1, B2, B3 = np.array([-3, -9, 29, 111], np.float32) / np.float32(256)


class Halving(NamedTuple):
    """Source indices `[H // 2, taps]` and weights; of the columns transposed, `[taps, W // 2]`."""

    row_indices: Integers
    row_weights: Array
    column_indices: Integers
    column_weights: Array


@row_kernel
def luma_row(image: Image, y: int, out: Floats) -> None:
    """Row `y` of the luma, less `MIDDLE`, rounded as Pillow does: all steps are exact integers."""
    channels = image.shape[2]
    row = image[y].reshape(image.shape[1] * channels)
    if channels == 1:
        for x in range(image.shape[1]):
            out[x] = np.float32(row[x]) - MIDDLE
    else:
        for x in range(image.shape[1]):
            red, green, blue = row[3 * x], row[3 * x + 1], row[3 * x + 2]
            weighted = RED * np.float32(red) + GREEN * np.float32(green) + BLUE * np.float32(blue)
            out[x] = np.float32(np.int32((weighted + HALF) * UNIT)) - MIDDLE


@row_kernel
def _bicubic_columns(
    a: Floats, b: Floats, c: Floats, d: Floats, e: Floats, f: Floats, g: Floats, h: Floats,
    out: Floats,
) -> None:  # fmt: skip
    for x in range(len(out)):
        out[x] = B0 * (a[x] + h[x]) + B1 * (b[x] + g[x]) + B2 * (c[x] + f[x]) + B3 * (d[x] + e[x])


@row_kernel
def _bicubic_row(line: Floats, out: Floats) -> None:
    for x in range(len(out)):
        k = 2 * x
        outer = B0 * (line[k] + line[k + 7]) + B1 * (line[k + 1] + line[k + 6])
        out[x] = outer + B2 * (line[k + 2] + line[k + 5]) + B3 * (line[k + 3] + line[k + 4])


@row_kernel
def half_row_even(rows: Floats, at: Integers, line: Floats, out: Floats) -> None:
    """Half-size row `[W // 2]` of 8 rows, those of the ring `rows` `at` these places.

    Both sides of the image are even. `line` is scratch, `[W + 2 * MIRRORED]`.
    """
    width = len(line) - 2 * MIRRORED
    _bicubic_columns(
        rows[at[0]], rows[at[1]], rows[at[2]], rows[at[3]],
        rows[at[4]], rows[at[5]], rows[at[6]], rows[at[7]],
        line,
    )  # fmt: skip
    for x in range(MIRRORED):
        line[MIRRORED - 1 - x] = line[MIRRORED + x]
        line[MIRRORED + width + x] = line[MIRRORED + width - 1 - x]
    _bicubic_row(line, out)


@row_kernel
def half_row_odd(
    rows: Floats, at: Integers, weights: Array, halving: Halving, line: Array, out: Array
) -> None:
    """Half-size row `[W // 2]` in float64, where a side is odd; `line` is scratch, `[W]`."""
    line[:] = 0.0
    for tap in range(len(at)):
        row, weight = rows[at[tap], MARGIN:], weights[tap]
        for x in range(len(line)):
            line[x] += weight * row[x]
    out[:] = 0.0
    for tap in range(len(halving.column_indices)):
        indices, weights = halving.column_indices[tap], halving.column_weights[tap]
        for x in range(len(out)):
            out[x] += weights[x] * line[indices[x]]
