"""Luma of RGB pixels, compiled; bit for bit as Pillow's `convert("L")` computes it (BT.601)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from iqa.images import LUMA_WEIGHTS, Image, row_major
from iqa.simd.jit import kernel, row_kernel
from iqa.simd.lanes import RUN, load_pixels, store_phases

UNIT = 65536  # what a level of luma is in the sums of weighted colours
RED, GREEN, BLUE = np.array(LUMA_WEIGHTS, np.float32)
TO_LEVEL = np.float32(1 / UNIT)


def write_luma(image: Image, out: Image) -> None:
    """Write the luma of `image`, uint8 `[H, W, 3]`, to `out`, uint8 `[H, W, 1]` and contiguous."""
    fill_luma(row_major(image), out.reshape(-1))


@row_kernel
def luma_of(pixels: Image, start: int, less: np.float32) -> Any:
    """Luma, less a level, of a `RUN` of pixels from byte `start` on.

    It is float32, in which every step is exact. Number j of vector p of the four is that of pixel
    4 j + p.
    """
    rounding = np.float32(UNIT // 2) - np.float32(UNIT) * less
    colours = load_pixels(pixels, start, 3)
    red, green, blue = colours[0:4], colours[4:8], colours[8:12]
    return math.floor(TO_LEVEL * (RED * red + (GREEN * green + (BLUE * blue + rounding))))


@kernel
def fill_luma(pixels: Image, out: Image) -> None:
    """Write the luma of `pixels`, uint8 `[3 * N]`, to `out`, uint8 `[N]`."""
    index = 0
    while index + RUN <= len(out):
        store_phases(out, index, luma_of(pixels, 3 * index, np.float32(0)))
        index += RUN
    of_red, of_green, of_blue = LUMA_WEIGHTS
    for rest in range(index, len(out)):
        red, green, blue = pixels[3 * rest], pixels[3 * rest + 1], pixels[3 * rest + 2]
        out[rest] = (of_red * red + of_green * green + of_blue * blue + UNIT // 2) // UNIT
