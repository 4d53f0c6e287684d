"""BRISQUE on the CPU: one streaming sweep from uint8 rows to the 22 sums of both scales.

Each strip of an image is swept once. Luma rows go into a ring; 7 of them make a row of MSCN
coefficients, 8 (about 10 where a side is odd) a row of the half-size image, which has a ring of its
own; and a row of coefficients is summed with the one above it and forgotten. All pixels are taken
less 128, which leaves differences and variances as they are and makes their rounding smaller.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from iqa.brisque.features import FLAT, MOMENTS, SCALES, WINDOW, features_from_moments
from iqa.brisque.reference import resize_weights
from iqa.images import Image
from iqa.jit import kernel
from iqa.parallel import parallel_map

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

# Strips are cut by the image alone, so that sums have the same bits on any number of threads.
STRIP_ROWS = 512
RADIUS = len(WINDOW) // 2
# Columns filtered at once. What a block keeps between its two filters fits the first-level cache.
BLOCK = 128
LINE = BLOCK + 16
MIDDLE = np.float32(128)
# A pixel nearer to its mean, or of less variance, than float32 can tell is computed in float64.
NEAR_DIFFERENCE = np.float32(2.5e-4)
NEAR_VARIANCE = np.float32(0.05)

W0, W1, W2, W3 = WINDOW[: RADIUS + 1].astype(np.float32)
E0, E1, E2, E3 = WINDOW[: RADIUS + 1]
# Antialiased bicubic at scale 1/2: multiples of 1/256, so exact in float32 on uint8 pixels.
B0, B1, B2, B3 = np.array([-3, -9, 29, 111], np.float32) / np.float32(256)
RED, GREEN, BLUE, HALF = np.array([19595, 38470, 7471, 32768], np.float32)
UNIT = np.float32(1 / 65536)
ZERO, ONE = np.float32(0), np.float32(1)


@kernel
def _luma_row(image: Image, y: int, out: Floats) -> None:
    """Pillow's integer luma, less 128, of row `y`; every step is an integer below 2^24."""
    if image.shape[2] == 1:
        for x in range(image.shape[1]):
            out[x] = np.float32(image[y, x, 0]) - MIDDLE
    else:
        for x in range(image.shape[1]):
            red, green = np.float32(image[y, x, 0]), np.float32(image[y, x, 1])
            blue = np.float32(image[y, x, 2])
            out[x] = np.floor((RED * red + GREEN * green + BLUE * blue + HALF) * UNIT) - MIDDLE


@kernel
def _filter_columns(
    a: Floats, b: Floats, c: Floats, d: Floats, e: Floats, f: Floats, g: Floats, lines: Floats
) -> None:
    """Vertical windows of the pixels and of their squares, from 7 rows."""
    for x in range(LINE):
        lines[x] = W0 * (a[x] + g[x]) + W1 * (b[x] + f[x]) + W2 * (c[x] + e[x]) + W3 * d[x]
        lines[LINE + x] = (
            W0 * (a[x] * a[x] + g[x] * g[x])
            + W1 * (b[x] * b[x] + f[x] * f[x])
            + W2 * (c[x] * c[x] + e[x] * e[x])
            + W3 * (d[x] * d[x])
        )


@kernel
def _filter_row(lines: Floats, centre: Floats, width: int, out: Floats) -> bool:
    """Horizontal windows and the MSCN coefficients; whether float32 could not tell one of them."""
    near = False
    for x in range(BLOCK):
        mean = W0 * (lines[x] + lines[x + 6]) + W1 * (lines[x + 1] + lines[x + 5])
        mean += W2 * (lines[x + 2] + lines[x + 4]) + W3 * lines[x + 3]
        k = LINE + x
        square = W0 * (lines[k] + lines[k + 6]) + W1 * (lines[k + 1] + lines[k + 5])
        square += W2 * (lines[k + 2] + lines[k + 4]) + W3 * lines[k + 3]
        difference = centre[x] - mean
        variance = abs(square - mean * mean)
        near |= (x < width) & ((abs(difference) < NEAR_DIFFERENCE) | (variance < NEAR_VARIANCE))
        out[x] = difference / (math.sqrt(variance) + ONE)
    return near


@kernel
def _exact_block(rows: Array, slots: Integers, start: int, lines: Array, out: Floats) -> None:
    """MSCN coefficients of a block in float64, where a difference that should be 0 is 0."""
    for x in range(LINE):
        lines[x] = 0.0
        lines[LINE + x] = 0.0
    for tap in range(len(WINDOW)):
        row, weight = rows[slots[tap], start : start + LINE], WINDOW[tap]
        for x in range(LINE):
            value = np.float64(row[x])
            lines[x] += weight * value
            lines[LINE + x] += weight * (value * value)
    centre = rows[slots[RADIUS], start + RADIUS : start + RADIUS + BLOCK]
    for x in range(BLOCK):
        mean = E0 * (lines[x] + lines[x + 6]) + E1 * (lines[x + 1] + lines[x + 5])
        mean += E2 * (lines[x + 2] + lines[x + 4]) + E3 * lines[x + 3]
        k = LINE + x
        square = E0 * (lines[k] + lines[k + 6]) + E1 * (lines[k + 1] + lines[k + 5])
        square += E2 * (lines[k + 2] + lines[k + 4]) + E3 * lines[k + 3]
        difference = np.float64(centre[x]) - mean
        difference = 0.0 if abs(difference) < FLAT else difference
        out[x] = difference / (math.sqrt(abs(square - mean * mean)) + 1.0)


@kernel
def _mscn_row(
    rows: Floats, slots: Integers, width: int, exact: bool, lines: Floats, wide: Array, out: Floats
) -> None:
    """MSCN coefficients of a row from the 7 `rows` around it; `out` wraps around by one column."""
    for start in range(0, width, BLOCK):
        end = start + LINE
        block = out[1 + start : 1 + start + BLOCK]
        near = exact
        if not exact:
            middle = rows[slots[3], start + RADIUS : end]
            _filter_columns(
                rows[slots[0], start:end],
                rows[slots[1], start:end],
                rows[slots[2], start:end],
                rows[slots[3], start:end],
                rows[slots[4], start:end],
                rows[slots[5], start:end],
                rows[slots[6], start:end],
                lines,
            )
            near = _filter_row(lines, middle, width - start, block)
        if near:
            _exact_block(rows, slots, start, wide, block)
    out[0] = out[width]
    out[width + 1] = out[1]


@kernel
def _add_own(row: Floats, width: int, sums: Array) -> None:
    absolute, square = ZERO, ZERO
    for x in range(1, width + 1):
        absolute += abs(row[x])
        square += row[x] * row[x]
    sums[0] += absolute
    sums[1] += square


@kernel
def _add_products(row: Floats, other: Floats, width: int, sums: Array) -> None:
    left, right, absolute, left_square, right_square = ZERO, ZERO, ZERO, ZERO, ZERO
    for x in range(width):
        product = row[x] * other[x]
        positive = max(product, ZERO)
        negative = min(product, ZERO)
        left += ONE if product < ZERO else ZERO
        right += ONE if product > ZERO else ZERO
        absolute += positive - negative
        left_square += negative * negative
        right_square += positive * positive
    sums[0] += left
    sums[1] += right
    sums[2] += absolute
    sums[3] += left_square
    sums[4] += right_square


@kernel
def _add_row(row: Floats, above: Floats, width: int, sums: Array) -> None:
    """Add the 22 sums of a row of coefficients; both rows wrap around by one column."""
    centre = row[1:]
    _add_own(row, width, sums)
    _add_products(centre, row, width, sums[2:])
    _add_products(centre, above[1:], width, sums[7:])
    _add_products(centre, above, width, sums[12:])
    _add_products(centre, above[2:], width, sums[17:])


@kernel
def _bicubic_columns(
    a: Floats, b: Floats, c: Floats, d: Floats,
    e: Floats, f: Floats, g: Floats, h: Floats, width: int, out: Floats,
) -> None:  # fmt: skip
    for x in range(width):
        out[x] = B0 * (a[x] + h[x]) + B1 * (b[x] + g[x]) + B2 * (c[x] + f[x]) + B3 * (d[x] + e[x])


@kernel
def _bicubic_row(line: Floats, width: int, out: Floats) -> None:
    for x in range(width):
        k = 2 * x
        out[x] = (
            B0 * (line[k] + line[k + 7])
            + B1 * (line[k + 1] + line[k + 6])
            + B2 * (line[k + 2] + line[k + 5])
            + B3 * (line[k + 3] + line[k + 4])
        )


class _Halving(NamedTuple):
    """Source indices `[H // 2, taps]` and weights; of the columns transposed, `[taps, W // 2]`."""

    row_indices: Integers
    row_weights: Array
    column_indices: Integers
    column_weights: Array


class _Buffers(NamedTuple):
    """What a sweep keeps: rings of rows, whose last row is what lies outside, and lines."""

    rows: Floats
    half_rows: Floats | Array
    coefficients: Floats
    half_coefficients: Floats
    line: Floats
    wide_line: Array
    block: Floats
    wide_block: Array


@kernel
def _half_row(index: int, width: int, exact: bool, halving: _Halving, buffers: _Buffers) -> None:
    """Row `index` of the half-size image."""
    ring = buffers.rows.shape[0] - 1
    out = buffers.half_rows[index % (buffers.half_rows.shape[0] - 1), RADIUS:]
    sources = halving.row_indices[index]
    if exact:
        line = buffers.wide_line
        line[:width] = 0.0
        for tap in range(len(sources)):
            row, weight = (
                buffers.rows[sources[tap] % ring, RADIUS:],
                halving.row_weights[index, tap],
            )
            for x in range(width):
                line[x] += weight * row[x]
        out[: width // 2] = 0.0
        for tap in range(halving.column_indices.shape[0]):
            for x in range(width // 2):
                weight = halving.column_weights[tap, x]
                out[x] += weight * line[halving.column_indices[tap, x]]
    else:
        line = buffers.line
        _bicubic_columns(
            buffers.rows[sources[0] % ring, RADIUS:],
            buffers.rows[sources[1] % ring, RADIUS:],
            buffers.rows[sources[2] % ring, RADIUS:],
            buffers.rows[sources[3] % ring, RADIUS:],
            buffers.rows[sources[4] % ring, RADIUS:],
            buffers.rows[sources[5] % ring, RADIUS:],
            buffers.rows[sources[6] % ring, RADIUS:],
            buffers.rows[sources[7] % ring, RADIUS:],
            width,
            line[RADIUS:],
        )
        for x in range(RADIUS):
            line[RADIUS - 1 - x] = line[RADIUS + x]
            line[RADIUS + width + x] = line[RADIUS + width - 1 - x]
        _bicubic_row(line, width // 2, out)


@kernel
def _window_slots(row: int, height: int, ring: int, slots: Integers) -> None:
    """Where the 7 rows around `row` lie in a ring; row `ring` is what lies outside the image."""
    for tap in range(len(WINDOW)):
        source = row - RADIUS + tap
        slots[tap] = source % ring if 0 <= source < height else ring


@kernel
def _sweep(
    image: Image,
    rows: tuple[int, int],
    half: tuple[int, int],
    halving: _Halving,
    buffers: _Buffers,
    exact: bool,
    add: bool,
    sums: Array,
) -> None:
    """Sweep `rows` (first, last) and the rows `half` of the half-size image, and `add` their sums.

    Without `add` each range is one row, whose coefficients are left for the sweep that follows.
    """
    height, width = image.shape[0], image.shape[1]
    ring, half_ring = buffers.rows.shape[0] - 1, buffers.half_rows.shape[0] - 1
    slots = np.empty(len(WINDOW), np.int64)
    current, half_current = int(add), int(add)
    row, half_row = rows[0], half[0]
    source = max(half_row - RADIUS, 0)
    y = min(max(row - RADIUS, 0), halving.row_indices[source].min())
    while row < rows[1] or half_row < half[1]:
        if y < height:
            _luma_row(image, y, buffers.rows[y % ring, RADIUS:])
        if row < rows[1] and y == row + RADIUS:
            _window_slots(row, height, ring, slots)
            out = buffers.coefficients[current]
            _mscn_row(buffers.rows, slots, width, False, buffers.block, buffers.wide_block, out)
            if add:
                _add_row(out, buffers.coefficients[1 - current], width, sums[0])
            row += 1
            current = 1 - current
        while half_row < half[1]:
            if source < height // 2:
                if halving.row_indices[source].max() > y:
                    break
                _half_row(source, width, exact, halving, buffers)
            if source == half_row + RADIUS:
                _window_slots(half_row, height // 2, half_ring, slots)
                out = buffers.half_coefficients[half_current]
                _mscn_row(
                    buffers.half_rows,
                    slots,
                    width // 2,
                    exact,
                    buffers.block,
                    buffers.wide_block,
                    out,
                )
                if add:
                    above = buffers.half_coefficients[1 - half_current]
                    _add_row(out, above, width // 2, sums[1])
                half_row += 1
                half_current = 1 - half_current
            source += 1
        y += 1


@lru_cache(maxsize=256)
def _resize_table(length: int) -> tuple[Integers, Array]:
    indices, weights = resize_weights(length)
    return indices.astype(np.int64), weights


def _padded(length: int) -> int:
    return -(-length // BLOCK) * BLOCK + LINE


def _strip_moments(strip: tuple[Image, int, int]) -> Array:
    """Partial sums `[2, 22]` of rows `first` to `last`, with themselves and with those above."""
    image, first, last = strip
    height, width = image.shape[:2]
    half_height, half_width = height // 2, width // 2
    exact = bool(height % 2 or width % 2)
    rows, columns = _resize_table(height), _resize_table(width)
    halving = _Halving(*rows, *(np.ascontiguousarray(table.T) for table in columns))
    half_type = np.float64 if exact else np.float32
    ring = max(len(WINDOW) + 1, rows[0].shape[1])
    buffers = _Buffers(
        rows=np.full((ring + 1, _padded(width)), -MIDDLE, np.float32),
        half_rows=np.full((len(WINDOW) + 1, _padded(half_width)), -MIDDLE, half_type),
        coefficients=np.empty((2, _padded(width)), np.float32),
        half_coefficients=np.empty((2, _padded(half_width)), np.float32),
        line=np.empty(width + 2 * RADIUS, np.float32),
        wide_line=np.empty(width),
        block=np.empty(2 * LINE, np.float32),
        wide_block=np.empty(2 * LINE),
    )
    sums = np.zeros((SCALES, MOMENTS))
    half = first // 2, half_height if last == height else last // 2
    above = (first or height) - 1
    half_above = (half[0] or half_height) - 1
    _sweep(
        image,
        (above, above + 1),
        (half_above, half_above + 1),
        halving,
        buffers,
        exact,
        False,
        sums,
    )
    _sweep(image, (first, last), half, halving, buffers, exact, True, sums)
    return sums


def _strips(image: Image) -> list[tuple[Image, int, int]]:
    """An image in strips of equal, even height (but the last) of at most `STRIP_ROWS` rows."""
    image = np.ascontiguousarray(image).view()
    image.flags.writeable = False  # one type for the kernel, which is compiled for each type
    height = image.shape[0]
    count = -(-height // STRIP_ROWS)
    step = -(-height // (2 * count)) * 2
    return [(image, first, min(first + step, height)) for first in range(0, height, step)]


def moments(images: Sequence[Image], threads: int | None = None) -> Array:
    """The 22 sums of each image and scale `[N, 2, 22]` that `features_from_moments` takes.

    Args:
        images: uint8 `[H, W, C]` of any mixed sizes, sides at least 16.
        threads: threads that the batch may use; None for all cores that the process may run on.
    """
    strips = [_strips(image) for image in images]
    parts = iter(parallel_map(_strip_moments, sum(strips, []), threads))
    return np.array([sum(next(parts) for _ in pieces) for pieces in strips])


def features(images: Sequence[Image], threads: int | None = None) -> Array:
    """The 36 features of each image `[N, 36]`, for the same arguments as `moments`."""
    sizes = np.array([image.shape[:2] for image in images])
    pixels = np.stack([sizes.prod(axis=1), (sizes // 2).prod(axis=1)], axis=1)
    return features_from_moments(moments(images, threads), pixels)
