"""BRISQUE's sums on the CPU: one sweep down each strip of an image, through line buffers only."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from iqa.brisque import rows
from iqa.brisque.features import MOMENTS, SCALES, WINDOW
from iqa.brisque.reference import resize_weights
from iqa.brisque.rows import OFFSET, Samples
from iqa.images import Image
from iqa.jit import kernel
from iqa.parallel import parallel_map

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

# An image is cut into strips by its size alone, so that no sum depends on the number of threads.
STRIP = 512
# Columns of which all are computed in float64 when float32 does not do for one.
BLOCK = 64
TAPS = len(WINDOW)
RADIUS = TAPS // 2
WINDOW32 = WINDOW.astype(np.float32)


@kernel
def _slot(ring: Samples, row: int, height: int) -> int:
    """Where a ring has a row of its plane; its last row is what surrounds the plane."""
    slots = len(ring) - 1
    return row % slots if 0 <= row < height else slots


@kernel
def _around(ring: Samples, row: int, height: int) -> tuple[Samples, ...]:
    """The 7 rows of a plane around `row`."""
    return (
        ring[_slot(ring, row - 3, height)],
        ring[_slot(ring, row - 2, height)],
        ring[_slot(ring, row - 1, height)],
        ring[_slot(ring, row, height)],
        ring[_slot(ring, row + 1, height)],
        ring[_slot(ring, row + 2, height)],
        ring[_slot(ring, row + 3, height)],
    )


@kernel
def _exact_block(
    ring: Samples, row: int, height: int, column: int, exact: Array, out: Samples
) -> None:
    """Write the coefficients of a row from `column` on, by float64."""
    count = len(out)
    a, b, c, d, e, f, g = _around(ring[:, column : column + count + 2 * RADIUS], row, height)
    means, squares = exact[0, : count + 2 * RADIUS], exact[1, : count + 2 * RADIUS]
    rows.vertical_mean(a, b, c, d, e, f, g, WINDOW, means)
    rows.vertical_square(a, b, c, d, e, f, g, WINDOW, squares)
    rows.coefficients(d[RADIUS : RADIUS + count], means, squares, WINDOW, exact[2, :count])
    out[:] = exact[2, :count]


@kernel
def _coefficient_row(
    ring: Samples, row: int, height: int, lines: Samples, exact: Array, out: Samples
) -> None:
    """Write the MSCN coefficients of a row, between copies of its ends: the plane is a torus."""
    width = len(out) - 2
    a, b, c, d, e, f, g = _around(ring, row, height)
    means, squares = lines[0, : width + 2 * RADIUS], lines[1, : width + 2 * RADIUS]
    rows.vertical_mean(a, b, c, d, e, f, g, WINDOW32, means)
    rows.vertical_square(a, b, c, d, e, f, g, WINDOW32, squares)
    centre, inner = d[RADIUS : RADIUS + width], out[1 : width + 1]
    if rows.coefficients(centre, means, squares, WINDOW32, inner):
        for first in range(0, width, BLOCK):
            end = min(first + BLOCK, width)
            if rows.coefficients(
                centre[first:end],
                means[first : end + 2 * RADIUS],
                squares[first : end + 2 * RADIUS],
                WINDOW32,
                inner[first:end],
            ):
                _exact_block(ring, row, height, first, exact, inner[first:end])
    out[0], out[width + 1] = out[width], out[1]


@kernel
def _add_row(row: Samples, above: Samples, sums: Array) -> None:
    """Add a row of coefficients, and its products with its neighbours, to the sums of its plane."""
    width = len(row) - 2
    inner = row[1 : width + 1]
    rows.add_magnitudes(inner, sums)
    rows.add_products(inner, row[:width], sums[2:])
    rows.add_products(inner, above[1 : width + 1], sums[7:])
    rows.add_products(inner, above[:width], sums[12:])
    rows.add_products(inner, above[2:], sums[17:])


@kernel
def _halve_row_even(ring: Samples, height: int, sources: Indices, line: Samples, out: Samples) -> None:
    width = ring.shape[1] - 2 * RADIUS
    inner = ring[:, RADIUS : RADIUS + width]
    rows.halve_rows_even(
        inner[_slot(ring, sources[0], height)],
        inner[_slot(ring, sources[1], height)],
        inner[_slot(ring, sources[2], height)],
        inner[_slot(ring, sources[3], height)],
        inner[_slot(ring, sources[4], height)],
        inner[_slot(ring, sources[5], height)],
        inner[_slot(ring, sources[6], height)],
        inner[_slot(ring, sources[7], height)],
        line[RADIUS : RADIUS + width],
    )
    for k in range(RADIUS):
        line[RADIUS - 1 - k] = line[RADIUS + k]
        line[RADIUS + width + k] = line[RADIUS + width - 1 - k]
    rows.halve_columns_even(line, out)


@kernel
def _halve_row(
    ring: Samples, height: int, sources: Indices, row_weights: Array, column_sources: Indices,
    column_weights: Array, line: Samples, out: Samples,
) -> None:  # fmt: skip
    width = ring.shape[1] - 2 * RADIUS
    line[:] = 0
    for tap in range(len(sources)):
        row = ring[_slot(ring, sources[tap], height)]
        rows.add_scaled(row[RADIUS : RADIUS + width], row_weights[tap], line[:width])
    out[:] = 0
    for tap in range(len(column_sources)):
        rows.add_gathered(line, column_sources[tap], column_weights[tap], out)


@kernel
def strip_moments(
    image: Image,
    first: int,
    end: int,
    black: Samples,
    row_sources: Indices,
    row_weights: Array,
    column_sources: Indices,
    column_weights: Array,
) -> Array:
    """Sums `[2, 22]` over the rows `first` to `end` of an image and the half rows that they make.

    Args:
        image: uint8 `[H, W, C]`.
        first, end: rows; `first` is even, and so is `end` unless it is H.
        black: `[1]`, black in the type in which the half plane is kept.
        row_sources, row_weights: `[H // 2, taps]`, the rows of which each half row is made.
        column_sources, column_weights: `[taps, W // 2]`, the same of the columns.
    """
    height, width = image.shape[:2]
    half_height, half_width = height // 2, width // 2
    even = height % 2 == 0 and width % 2 == 0
    taps = row_sources.shape[1]
    full = np.full((max(TAPS, taps) + 1, width + 2 * RADIUS), np.float32(-OFFSET))
    half = np.full((TAPS + 1, half_width + 2 * RADIUS), black[0])
    halved = np.empty(width + 2 * RADIUS, black.dtype)
    lines = np.empty((2, width + 2 * RADIUS), np.float32)
    exact = np.empty((3, BLOCK + 2 * RADIUS))
    pair = np.empty((2, width + 2), np.float32)
    half_pair = np.empty((2, half_width + 2), np.float32)
    sums = np.zeros((2, MOMENTS))

    # Two sweeps: over the row before the strip, for its coefficients only (the plane is a torus),
    # and over the strip.
    for main in (False, True):
        if main:
            low, high, half_low, half_high = first, end, first // 2, end // 2
        else:
            low, half_low = (first - 1) % height, (first // 2 - 1) % half_height
            high, half_high = low + 1, half_low + 1
        half_row = max(half_low - RADIUS, 0)
        row = min(max(low - RADIUS, 0), row_sources[half_row].min())
        while row < high + RADIUS or half_row < half_high + RADIUS:
            if row < height:
                levels = full[_slot(full, row, height), RADIUS : RADIUS + width]
                rows.levels(image[row].ravel(), levels)
            ready = row - RADIUS
            if low <= ready < high:
                slot = (ready - low) % 2 if main else 1
                _coefficient_row(full, ready, height, lines, exact, pair[slot])
                if main:
                    _add_row(pair[slot], pair[1 - slot], sums[0])
            while half_row < half_high + RADIUS and (
                half_row >= half_height or row_sources[half_row].max() <= row
            ):
                if half_row < half_height:
                    sources = row_sources[half_row]
                    out = half[_slot(half, half_row, half_height), RADIUS : RADIUS + half_width]
                    if even:
                        _halve_row_even(full, height, sources, halved, out)
                    else:
                        _halve_row(
                            full, height, sources, row_weights[half_row], column_sources,
                            column_weights, halved, out,
                        )  # fmt: skip
                ready = half_row - RADIUS
                if half_low <= ready < half_high:
                    slot = (ready - half_low) % 2 if main else 1
                    _coefficient_row(half, ready, half_height, lines, exact, half_pair[slot])
                    if main:
                        _add_row(half_pair[slot], half_pair[1 - slot], sums[1])
                half_row += 1
            row += 1
    return sums


@lru_cache(maxsize=64)
def _resampling(length: int) -> tuple[Indices, Array]:
    return resize_weights(length)


def moments(images: Sequence[Image], threads: int | None = None) -> Array:
    """The sums `[N, 2, 22]` of sound images, see `features`; on at most `threads` threads.

    An image has the same bits in any batch and on any number of threads.
    """
    pieces = [
        (image, first, index)
        for index, image in enumerate(images)
        for first in range(0, len(image), STRIP)
    ]

    def run(piece: tuple[Image, int, int]) -> Array:
        image, first, _ = piece
        height, width = image.shape[:2]
        row_sources, row_weights = _resampling(height)
        column_sources, column_weights = _resampling(width)
        # Even sides halve exactly in float32.
        black = np.full(1, -OFFSET, np.float64 if height % 2 or width % 2 else np.float32)
        pixels = np.ascontiguousarray(image)[:]
        pixels.flags.writeable = False  # one type, and so one compiled kernel, for any image
        return strip_moments(
            pixels,
            first,
            min(first + STRIP, height),
            black,
            row_sources,
            row_weights,
            np.ascontiguousarray(column_sources.T),
            np.ascontiguousarray(column_weights.T),
        )

    sums = np.zeros((len(images), SCALES, MOMENTS))
    for (_, _, index), strip in zip(pieces, parallel_map(run, pieces, threads), strict=True):
        sums[index] += strip
    return sums
