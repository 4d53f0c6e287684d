"""BRISQUE's sums on the CPU: one sweep down each strip of an image, through line buffers only."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from iqa.brisque import rows
from iqa.brisque.features import MOMENTS, SCALES, WINDOW
from iqa.brisque.reference import resize_weights
from iqa.brisque.rows import OFFSET, RADIUS, Offsets, Samples
from iqa.images import Image
from iqa.jit import kernel
from iqa.parallel import parallel_map

Array = NDArray[np.float64]

STRIP = 256
BLOCK = 64
TAPS = len(WINDOW)
WINDOW32 = WINDOW.astype(np.float32)


@kernel
def _new_ring(slots: int, width: int, black: Samples) -> Samples:
    """Rows of a plane, each with 3 black samples either side; the last one stays black."""
    return np.full((slots + 1, width + 2 * RADIUS), black[0])


@kernel
def _row_start(ring: Samples, row: int, height: int) -> int:
    """Where a row of the plane begins in its ring; above and below the plane it is black."""
    slots = ring.shape[0] - 1
    return (row % slots if 0 <= row < height else slots) * ring.shape[1]


@kernel
def _exact_block(
    plane: Samples, starts: Offsets, column: int, out: Samples, start: int, count: int
) -> None:
    """Write the coefficients of one block of a row in float64."""
    means, squares = np.empty(BLOCK + 2 * RADIUS), np.empty(BLOCK + 2 * RADIUS)
    exact = np.empty(BLOCK)
    rows.vertical_mean(plane, starts + column, WINDOW, means, count + 2 * RADIUS)
    rows.vertical_square(plane, starts + column, WINDOW, squares, count + 2 * RADIUS)
    centre = starts[RADIUS] + RADIUS + column
    rows.coefficients(plane, centre, means, squares, 0, WINDOW, exact, 0, count)
    for j in range(count):
        out[start + j] = exact[j]


@kernel
def _write_coefficients(
    ring: Samples, row: int, height: int, lines: Samples, out: Samples, start: int
) -> None:
    """Write the MSCN coefficients of a row, and around them its ends: the plane is a torus."""
    width = ring.shape[1] - 2 * RADIUS
    plane = ring.ravel()
    starts = np.empty(TAPS, np.int64)
    for tap in range(TAPS):
        starts[tap] = _row_start(ring, row - RADIUS + tap, height)
    means, squares = lines[0], lines[1]
    rows.vertical_mean(plane, starts, WINDOW32, means, width + 2 * RADIUS)
    rows.vertical_square(plane, starts, WINDOW32, squares, width + 2 * RADIUS)
    centre = starts[RADIUS] + RADIUS
    if rows.coefficients(plane, centre, means, squares, 0, WINDOW32, out, start, width):
        for column in range(0, width, BLOCK):
            count = min(BLOCK, width - column)
            if rows.coefficients(
                plane, centre + column, means, squares, column, WINDOW32, out, start + column, count
            ):
                _exact_block(plane, starts, column, out, start + column, count)
    out[start - 1], out[start + width] = out[start + width - 1], out[start]


@kernel
def _add_row(pair: Samples, slot: int, sums: Array) -> None:
    """Add a row of coefficients, and its products with its neighbours, to the sums of its plane."""
    width = pair.shape[1] - 2
    row, above = 1 + slot * (width + 2), 1 + (1 - slot) * (width + 2)
    flat = pair.ravel()
    rows.add_magnitudes(flat, row, width, sums)
    rows.add_products(flat, row, row - 1, width, sums[2:])
    rows.add_products(flat, row, above, width, sums[7:])
    rows.add_products(flat, row, above - 1, width, sums[12:])
    rows.add_products(flat, row, above + 1, width, sums[17:])


@kernel
def strip_moments(
    image: Image,
    first: int,
    end: int,
    black: Samples,
    row_indices: Offsets,
    row_weights: Array,
    column_indices: Offsets,
    column_weights: Array,
) -> Array:
    """Sums `[2, 22]` over the rows `first` to `end` of an image and the half rows that they make.

    Args:
        image: uint8 `[H, W, C]`.
        first, end: rows; `first` is even, and so is `end` unless it is H.
        black: `[1]`, -128 in the type in which the half plane is kept.
        row_indices, row_weights: `[H // 2, taps]`, see `reference.resize_weights`.
        column_indices, column_weights: `[W // 2, taps]`.
    """
    height, width = image.shape[:2]
    half_height, half_width = height // 2, width // 2
    taps = row_indices.shape[1]
    full = _new_ring(max(TAPS, taps), width, np.array([-OFFSET], np.float32))
    half = _new_ring(TAPS, half_width, black)
    full_flat, half_flat = full.ravel(), half.ravel()
    starts = np.empty(taps, np.int64)
    resampled = np.empty(width, black.dtype)
    lines = np.empty((2, width + 2 * RADIUS), np.float32)
    full_pair = np.empty((2, width + 2), np.float32)
    half_pair = np.empty((2, half_width + 2), np.float32)
    sums = np.zeros((2, MOMENTS))

    # Two sweeps: one for the row before the strip, of which only the coefficients are needed (the
    # plane is a torus), and one for the strip.
    for main in (False, True):
        if main:
            low, high, half_low, half_high = first, end, first // 2, end // 2
        else:
            low, half_low = (first - 1) % height, (first // 2 - 1) % half_height
            high, half_high = low + 1, half_low + 1
        half_row = max(half_low - RADIUS, 0)
        start = min(max(low - RADIUS, 0), row_indices[half_row].min())
        for row in range(start, height + RADIUS):
            if row >= high + RADIUS and half_row >= half_high + RADIUS:
                break
            if row < height:
                rows.levels(image, row, full_flat, _row_start(full, row, height) + RADIUS)
            ready = row - RADIUS
            if low <= ready < high:
                slot = (ready - low) % 2 if main else 1
                _write_coefficients(
                    full, ready, height, lines, full_pair.ravel(), 1 + slot * (width + 2)
                )
                if main:
                    _add_row(full_pair, slot, sums[0])
            while half_row < half_high + RADIUS and (
                half_row >= half_height or row_indices[half_row].max() <= row
            ):
                if half_row < half_height:
                    for tap in range(taps):
                        source = row_indices[half_row, tap]
                        starts[tap] = _row_start(full, source, height) + RADIUS
                    rows.halve_rows(full_flat, starts, row_weights[half_row], resampled)
                    rows.halve_columns(
                        resampled, column_indices, column_weights, half_flat,
                        _row_start(half, half_row, half_height) + RADIUS,
                    )  # fmt: skip
                ready = half_row - RADIUS
                if half_low <= ready < half_high:
                    slot = (ready - half_low) % 2 if main else 1
                    _write_coefficients(
                        half, ready, half_height, lines, half_pair.ravel(),
                        1 + slot * (half_width + 2),
                    )  # fmt: skip
                    if main:
                        _add_row(half_pair, slot, sums[1])
                half_row += 1
    return sums


@cache
def _axis(length: int) -> tuple[Offsets, Array]:
    return resize_weights(length)


def moments(images: Sequence[Image], threads: int | None = None) -> Array:
    """The sums `[N, 2, 22]` of sound images, see `features`; on at most `threads` threads.

    An image has the same bits in any batch and on any number of threads.
    """
    pieces = [
        (index, first) for index, image in enumerate(images) for first in range(0, len(image), STRIP)
    ]

    def run(piece: tuple[int, int]) -> Array:
        index, first = piece
        image = images[index]
        height, width = image.shape[:2]
        # Even sides halve exactly in float32: 8 taps of multiples of 1/256, twice.
        kind = np.float64 if height % 2 or width % 2 else np.float32
        black = np.full(1, -OFFSET, kind)
        end = min(first + STRIP, height)
        return strip_moments(image, first, end, black, *_axis(height), *_axis(width))

    sums = np.zeros((len(images), SCALES, MOMENTS))
    for (index, _), strip in zip(pieces, parallel_map(run, pieces, threads), strict=True):
        sums[index] += strip
    return sums
