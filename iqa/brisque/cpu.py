"""BRISQUE's sums on the CPU: one sweep down each strip of an image, through line buffers only."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from iqa.brisque import rows
from iqa.brisque.features import MOMENTS, SCALES, WINDOW
from iqa.brisque.reference import resize_weights
from iqa.brisque.rows import LINE, OFFSET, SPAN, Samples
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
def _filter(
    ring: Samples, slots: Indices, first: int, window: Samples, lines: Samples, out: Samples
) -> int:
    """Write the coefficients from column `first` on of the row in the middle of 7 slots."""
    end = first + len(out) + 2 * RADIUS
    rows.filter_columns(
        ring[slots[0], first:end], ring[slots[1], first:end], ring[slots[2], first:end],
        ring[slots[3], first:end], ring[slots[4], first:end], ring[slots[5], first:end],
        ring[slots[6], first:end], window, lines,
    )  # fmt: skip
    return rows.filter_row(ring[slots[RADIUS], first + RADIUS :], window, lines, out)


@kernel
def _coefficient_row(
    ring: Samples, row: int, height: int, lines: Samples, exact: Array, out: Samples
) -> None:
    """Write the MSCN coefficients of a row, between copies of its ends: the plane is a torus."""
    width = len(out) - 2
    slots = np.empty(TAPS, np.int64)
    for tap in range(TAPS):
        slots[tap] = _slot(ring, row + tap - RADIUS, height)
    for start in range(0, width, SPAN):
        end = min(start + SPAN, width)
        if _filter(ring, slots, start, WINDOW32, lines, out[1 + start : 1 + end]):
            for first in range(start, end, BLOCK):
                stop = min(first + BLOCK, end)
                if rows.filter_row(
                    ring[slots[RADIUS]][RADIUS + first :], WINDOW32, lines[first - start :],
                    out[1 + first : 1 + stop],
                ):  # fmt: skip
                    _filter(
                        ring, slots, first, WINDOW, exact, exact[2 * LINE : 2 * LINE + stop - first]
                    )
                    out[1 + first : 1 + stop] = exact[2 * LINE : 2 * LINE + stop - first]
    out[0], out[width + 1] = out[width], out[1]


@kernel
def _halve_row_even(
    ring: Samples, height: int, sources: Indices, line: Samples, out: Samples
) -> None:
    width = ring.shape[1] - 2 * RADIUS
    start, end = RADIUS, RADIUS + width
    rows.halve_rows_even(
        ring[_slot(ring, sources[0], height), start:end],
        ring[_slot(ring, sources[1], height), start:end],
        ring[_slot(ring, sources[2], height), start:end],
        ring[_slot(ring, sources[3], height), start:end],
        ring[_slot(ring, sources[4], height), start:end],
        ring[_slot(ring, sources[5], height), start:end],
        ring[_slot(ring, sources[6], height), start:end],
        ring[_slot(ring, sources[7], height), start:end],
        line[start:end],
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
    lines = np.empty(2 * LINE, np.float32)
    exact = np.empty(3 * LINE)
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
                levels = full[_slot(full, row, height)][RADIUS : RADIUS + width]
                rows.levels(image[row].ravel(), levels)
            ready = row - RADIUS
            if low <= ready < high:
                slot = (ready - low) % 2 if main else 1
                _coefficient_row(full, ready, height, lines, exact, pair[slot])
                if main:
                    rows.add_row(pair[slot], pair[1 - slot], sums[0])
            while half_row < half_high + RADIUS and (
                half_row >= half_height or row_sources[half_row].max() <= row
            ):
                if half_row < half_height:
                    sources = row_sources[half_row]
                    out = half[_slot(half, half_row, half_height)][RADIUS : RADIUS + half_width]
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
                        rows.add_row(half_pair[slot], half_pair[1 - slot], sums[1])
                half_row += 1
            row += 1
    return sums


@lru_cache(maxsize=64)
def _resampling(length: int) -> tuple[Indices, Array]:
    sources, weights = resize_weights(length)
    return np.ascontiguousarray(sources), np.ascontiguousarray(weights)


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
