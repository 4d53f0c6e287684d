"""BRISQUE on the CPU: one streaming sweep from uint8 rows to the 22 sums of both scales.

Luma rows go into a ring. Ten of them make four rows of MSCN coefficients, 8 a
row of the half-size image, which has a ring of its own. A row of coefficients is summed with the
one above it and then forgotten, so that nothing of the size of the image is ever kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from iqa.brisque.cpu import rows as cpu_rows
from iqa.brisque.cpu.coefficients import RADIUS, ROWS
from iqa.brisque.cpu.groups import add_group
from iqa.brisque.cpu.join import join, kept_size, strip_row, strip_sums, write_sums
from iqa.brisque.cpu.planes import (
    INSIDE,
    KEPT,
    OUTSIDE,
    RING,
    Lines,
    Plane,
    copy,
    lines_in,
    plane_in,
)  # fmt: skip
from iqa.brisque.cpu.rows import LEFT, PHASES, READ_AHEAD, load_row
from iqa.brisque.features import MOMENTS
from iqa.images import Image
from iqa.simd.jit import row_kernel

Array = NDArray[np.float64]
Floats = NDArray[np.float32]


@row_kernel
def _mirrored(row: int, height: int) -> int:
    row = -1 - row if row < 0 else row
    return 2 * height - 1 - row if row >= height else row


@row_kernel
def _mirror_ends(line: Any, stride: int, width: int) -> None:
    """Repeat the pixels of a line on either side of it, the last one first."""
    for x in range(LEFT + 1):
        for out, source in ((-1 - x, x), (width + x, width - 1 - x)):
            place = out % PHASES * stride + out // PHASES
            line[place] = line[source % PHASES * stride + source // PHASES]


@row_kernel
def _halve(full: Plane, half: Plane, row: int, lines: Lines) -> None:
    """Make a row of the half-size image."""
    size, half_size = PHASES * full.stride, PHASES * half.stride
    inside, outside = INSIDE * half_size, OUTSIDE * half_size
    out = (row & (RING - 1)) * half_size
    first = 2 * row - LEFT
    at = lines.at
    for tap in range(8):
        at[tap] = (_mirrored(first + tap, full.height) & (RING - 1)) * size
    for k in range(0, size, full.stride):
        cpu_rows.halve_down(
            full.pixels, k, at[0], at[1], at[2], at[3], at[4], at[5], at[6], at[7], full.length,
            lines.line,
        )  # fmt: skip
    _mirror_ends(lines.line, full.stride, full.width)
    cpu_rows.halve_along(
        lines.line, full.stride, half.length, half.whole, inside, outside,
        half.pixels, out, half.stride,
    )  # fmt: skip


@row_kernel
def _load(pixels: Image, channels: int, y: int, plane: Plane, lines: Lines) -> None:
    """Row `y` of an image into the ring."""
    size, count, row = plane.width * channels, plane.length, PHASES * plane.stride
    start, out = y * size, (y & (RING - 1)) * row
    if start + PHASES * count * channels + READ_AHEAD > len(pixels):
        # A copy, so that no byte behind the image is read.
        copy(pixels[start:], lines.pixels[:size])
        pixels, start = lines.pixels, 0
    load_row(
        pixels, start, channels, count, plane.stride, plane.whole, INSIDE * row, OUTSIDE * row,
        plane.pixels, out,
    )  # fmt: skip


@row_kernel
def _keep_row(plane: Plane, slot: int, kept: Floats, place: int) -> None:
    size = PHASES * plane.coefficient_stride
    copy(plane.coefficients[slot * size :], kept[place : place + size])


@row_kernel
def _keep_sums(plane: Plane, kept: Floats, place: int) -> None:
    write_sums(plane.totals, plane.counts, kept[place : place + 2 * MOMENTS].view(np.float64))


@row_kernel
def sweep(
    pixels: Image, height: int, width: int, strip: int, first: int, last: int,
    memory: Floats, kept: Floats, tables: Array, regressor: Array,
    item: int, features: Array, values: Array,
) -> int:  # fmt: skip
    """Sums of a strip of an image, each row with itself and all but the first with the one above.

    Args:
        pixels: uint8 `[H * W * C]`.
        height, width: H and W.
        strip, first, last: which one, and its rows; `first` is even.
        memory: `[memory_size(W)]`.
        kept: `[S * kept_size(W)]`, for all strips; gets the sums, and the first and the last row's
            coefficients of each scale.
        tables, regressor, item, features, values: see `join`, which is done at once where there is
            but one strip.

    Returns:
        what `join` does, where it is done at once.
    """
    half_height = (height + 1) // 2
    lines, rest = lines_in(memory, width)
    full, rest = plane_in(rest, height, width)
    half, _ = plane_in(rest, half_height, (width + 1) // 2)

    row, half_row = first, first // 2
    half_first, half_last = half_row, half_height if last == height else last // 2
    channels = len(pixels) // (height * width)
    source = max(half_row - RADIUS, 0)
    y = max(min(row - RADIUS, 2 * source - LEFT), 0)
    while row < last or half_row < half_last:
        whole = row < last and y > min(row + ROWS - 1 + RADIUS, height - 1)
        if whole or (
            half_row < half_last and source > min(half_row + ROWS - 1 + RADIUS, half_height - 1)
        ):
            # One call, as what is called becomes part of this kernel.
            plane = full if whole else half
            group, end, origin = (row, last, first) if whole else (half_row, half_last, half_first)
            add_group(plane, group, end, group - origin, lines)
            if group == origin:
                _keep_row(plane, 0, kept, strip_row(strip, 0, 0 if whole else 1, width))
            if whole:
                row += ROWS
            else:
                half_row += ROWS
        elif source < half_height and y > min(2 * source + 4, height - 1):
            _halve(full, half, source, lines)
            source += 1
        else:
            _load(pixels, channels, y, full, lines)
            y += 1
    _keep_row(full, last - 1 - first & KEPT - 1, kept, strip_row(strip, 1, 0, width))
    _keep_row(half, half_last - 1 - half_first & KEPT - 1, kept, strip_row(strip, 1, 1, width))
    _keep_sums(full, kept, strip_sums(strip, 0, width))
    _keep_sums(half, kept, strip_sums(strip, 1, width))
    if len(kept) == kept_size(width):
        return join(kept, height, width, tables, regressor, item, features, values)
    return 0
