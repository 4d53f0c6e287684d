"""The 22 sums in float64, for the few images of which float32 leaves two fits tied. Plain loops."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from iqa.brisque.features import FLAT, HALVING, HALVING_LEFT, MOMENTS, SCALES, WINDOW
from iqa.images import LUMA_WEIGHTS, Image
from iqa.simd.jit import block_kernel, kernel

Array = NDArray[np.float64]
Shape = tuple[int, int, int]

TAPS = len(WINDOW)
RADIUS = TAPS // 2


@kernel
def exact_sums(pixels: Image, shape: Shape) -> Array:
    """The sums `[2, 22]` of `iqa.brisque.features` of an image: uint8 `[H * W * C]`; H, W, C."""
    sums = np.zeros((SCALES, MOMENTS))
    height, width, _ = shape
    _add_plane(pixels, shape, height, width, sums[0])
    _add_plane(pixels, shape, (height + 1) // 2, (width + 1) // 2, sums[1])
    return sums


@kernel
def _add_plane(pixels: Image, shape: Shape, height: int, width: int, sums: Array) -> None:
    """Add the sums of the full or the half-size plane, which has so many rows and columns."""
    ring, down = np.empty((TAPS, width)), np.zeros((2, width + 2 * RADIUS))
    line = np.empty((2, len(HALVING) + shape[1]))
    # Each row begins with its last column and ends with its first one: the plane wraps around.
    first, own, above = np.empty(width + 2), np.empty(width + 2), np.empty(width + 2)
    for y in range(-RADIUS, height):
        if y + RADIUS < height:
            new = ring[(y + RADIUS) % TAPS]
            if width == shape[1]:
                _load(pixels, shape, y + RADIUS, new)
            else:
                _halve(pixels, shape, y + RADIUS, line, new)
        if y < 0:
            continue
        _coefficients(ring, y, height, down, own)
        # Not into `sums` at once: its bits would depend on how the arrays lie in memory.
        absolute = squares = 0.0
        for x in range(1, width + 1):
            absolute += abs(own[x])
            squares += own[x] * own[x]
        sums[0] += absolute
        sums[1] += squares
        _add_products(own[1:-1], own, sums[2:7])
        if y == 0:
            first[:] = own
        else:
            _add_row(own, above, sums)
        own, above = above, own
    _add_row(first, above, sums)


@block_kernel
def _load(pixels: Image, shape: Shape, y: int, row: Array) -> None:
    """Luma of a row."""
    _, width, channels = shape
    start = y * width * channels
    if channels == 1:
        for x in range(width):
            row[x] = pixels[start + x]
    else:
        of_red, of_green, of_blue = LUMA_WEIGHTS
        for x in range(width):
            at = start + 3 * x
            row[x] = (
                of_red * pixels[at] + of_green * pixels[at + 1] + of_blue * pixels[at + 2] + 32768
            ) // 65536


@block_kernel
def _mirrored(index: int, length: int) -> int:
    index = -1 - index if index < 0 else index
    return 2 * length - 1 - index if index >= length else index


@block_kernel
def _halve(pixels: Image, shape: Shape, y: int, line: Array, row: Array) -> None:
    """A row of the half-size image; `line` is scratch, `[2, 8 + W]`."""
    height, width, _ = shape
    down, source = line[0], line[1, :width]
    down[:] = 0
    for tap in range(len(HALVING)):
        _load(pixels, shape, _mirrored(2 * y + tap - HALVING_LEFT, height), source)
        for x in range(width):
            down[HALVING_LEFT + x] += HALVING[tap] * source[x]
    for x in range(len(down)):
        down[x] = down[HALVING_LEFT + _mirrored(x - HALVING_LEFT, width)]
    for x in range(len(row)):
        total = 0.0
        for tap in range(len(HALVING)):
            total += HALVING[tap] * down[2 * x + tap]
        row[x] = total


@block_kernel
def _coefficients(ring: Array, y: int, height: int, down: Array, row: Array) -> None:
    """MSCN coefficients of row `y`, as the reference makes them."""
    width = ring.shape[1]
    down[:] = 0
    for tap in range(max(0, RADIUS - y), min(TAPS, height + RADIUS - y)):
        source, weight = ring[(y + tap - RADIUS) % TAPS], WINDOW[tap]
        for x in range(width):
            down[0, RADIUS + x] += weight * source[x]
            down[1, RADIUS + x] += weight * (source[x] * source[x])
    for x in range(width):
        mean = power = 0.0
        for tap in range(TAPS):
            mean += WINDOW[tap] * down[0, x + tap]
            power += WINDOW[tap] * down[1, x + tap]
        difference = ring[y % TAPS, x] - mean
        difference = 0.0 if abs(difference) < FLAT else difference
        row[1 + x] = difference / (math.sqrt(abs(power - mean * mean)) + 1)
    row[0], row[width + 1] = row[width], row[1]


@block_kernel
def _add_row(own: Array, above: Array, sums: Array) -> None:
    """Add a row's products with the row above it."""
    _add_products(own[1:-1], above[1:-1], sums[7:12])
    _add_products(own[1:-1], above, sums[12:17])
    _add_products(own[1:-1], above[2:], sums[17:22])


@block_kernel
def _add_products(own: Array, other: Array, sums: Array) -> None:
    left = right = 0
    absolute = left_square = right_square = 0.0
    for x in range(len(own)):
        product = own[x] * other[x]
        negative, positive = min(product, 0.0), max(product, 0.0)
        left += product < 0
        right += product > 0
        absolute += positive - negative
        left_square += negative * negative
        right_square += positive * positive
    sums[0] += left
    sums[1] += right
    sums[2] += absolute
    sums[3] += left_square
    sums[4] += right_square
