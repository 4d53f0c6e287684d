"""Fits to sums in float64, for the few scales of which float32 leaves two fits tied."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from iqa.brisque.cpu.halve import mirrored
from iqa.brisque.features import (
    FLAT,
    HALVING,
    HALVING_LEFT,
    MOMENTS,
    SCALES,
    WINDOW,
    fit,
    fit_tables,
)
from iqa.images import Image
from iqa.luma import fill_luma
from iqa.simd.jit import block_kernel, kernel

Array = NDArray[np.float64]
Shape = tuple[int, int, int]

TAPS = len(WINDOW)
RADIUS = TAPS // 2


def fit_again(tied: int, pixels: Image, shape: Shape, features: Array) -> None:
    """Replace the features of the tied scales; all are nan where one of the scales has no fit.

    Args:
        tied: bit 0 of the image itself, bit 1 of the half-size image.
        pixels, shape: uint8 `[H * W * C]`; H, W, C.
        features: `[36]`.
    """
    height, width, _ = shape
    for scale, out in enumerate(features.reshape(SCALES, -1)):
        if tied >> scale & 1:
            fit(exact_sums(pixels, shape, scale), height * width, fit_tables(), out)
        height, width = (height + 1) // 2, (width + 1) // 2
    if np.isnan(features).any():
        features[:] = np.nan


@kernel
def exact_sums(pixels: Image, shape: Shape, scale: int) -> Array:
    """The sums `[22]` of `iqa.brisque.features` of one scale of an image.

    Args:
        pixels, shape: as for `fit_again`.
        scale: 0 for the image itself, 1 for the half-size image.
    """
    height, width, _ = shape
    luma, line = np.empty((len(HALVING), width), np.uint8), np.empty(len(HALVING) + width)
    if scale == 1:
        height, width = (height + 1) // 2, (width + 1) // 2
    sums = np.zeros(MOMENTS)
    ring, down = np.empty((TAPS, width)), np.zeros((2, width + 2 * RADIUS))
    # Each row begins with its last column and ends with its first one: the plane wraps around.
    first, own, above = np.empty(width + 2), np.empty(width + 2), np.empty(width + 2)
    for y in range(-RADIUS, height):
        if y + RADIUS < height:
            new = ring[(y + RADIUS) % TAPS]
            if scale == 0:
                _load(pixels, shape, y + RADIUS, luma[0])
                new[:] = luma[0]
            else:
                _halve(pixels, shape, y + RADIUS, luma, line, new)
        if y < 0:
            continue
        _coefficients(ring, y, height, down, own)
        _add_own(own[1:-1], sums)
        _add_products(own[1:-1], own, sums[2:7])
        if y == 0:
            first[:] = own
        else:
            _add_row(own, above, sums)
        own, above = above, own
    _add_row(first, above, sums)
    return sums


@kernel
def _load(pixels: Image, shape: Shape, y: int, row: Image) -> None:
    """Luma of a row."""
    _, width, channels = shape
    source = pixels[y * width * channels : (y + 1) * width * channels]
    if channels == 1:
        row[:] = source
    else:
        fill_luma(source, row)


@kernel
def _halve(pixels: Image, shape: Shape, y: int, luma: Image, line: Array, row: Array) -> None:
    """A row of the half-size image, for each `y` from 0 on.

    Args:
        pixels, shape, y: the image, and which row.
        luma: `[8, W]`, keeps the rows of the image that the taps see.
        line: `[8 + W]`, scratch.
        row: gets it.
    """
    height, width, _ = shape
    end = 2 * y + len(HALVING) - HALVING_LEFT
    for source in range(end - 2 if y > 0 else 0, min(end, height)):
        _load(pixels, shape, source, luma[source % len(HALVING)])
    line[:] = 0
    for tap in range(len(HALVING)):
        source = mirrored(2 * y + tap - HALVING_LEFT, height)
        _add_weighted(luma[source % len(HALVING)], HALVING[tap], line[HALVING_LEFT:])
    for k in range(len(HALVING)):
        x = k - HALVING_LEFT if k < HALVING_LEFT else k - HALVING_LEFT + width
        line[HALVING_LEFT + x] = line[HALVING_LEFT + mirrored(x, width)]
    _halve_along(line, row)


@block_kernel
def _add_weighted(source: Image, weight: float, out: Array) -> None:
    for x in range(len(source)):
        out[x] += weight * source[x]


@block_kernel
def _halve_along(line: Array, row: Array) -> None:
    for x in range(len(row)):
        total = 0.0
        for tap in range(len(HALVING)):
            total += HALVING[tap] * line[2 * x + tap]
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
def _add_own(own: Array, sums: Array) -> None:
    """Add a row's magnitudes and squares.

    Not into `sums` one by one: its bits would depend on how the arrays lie in memory.
    """
    absolute = square = 0.0
    for x in range(len(own)):
        absolute += abs(own[x])
        square += own[x] * own[x]
    sums[0] += absolute
    sums[1] += square


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
