"""BRISQUE on the CPU: one streaming sweep from uint8 rows to the 22 sums of both scales.

Luma rows go into a ring. Ten of them make four rows of MSCN coefficients, 8 (9 where a side is odd)
a row of the half-size image, which has a ring of its own. A row of coefficients is summed with the
one above it and then forgotten, so that nothing of the size of the image is ever kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from iqa.brisque import cpu_odd_rows, cpu_rows
from iqa.brisque.cpu_coefficients import RADIUS, ROWS
from iqa.brisque.cpu_groups import add_group
from iqa.brisque.cpu_join import write_sums
from iqa.brisque.cpu_planes import (
    FRAME,
    INSIDE,
    KEPT,
    RING,
    Lines,
    Plane,
    copy,
    lines_in,
    numbers,
    plane_in,
)  # fmt: skip
from iqa.brisque.cpu_rows import LEFT, PHASES, READ_AHEAD, load_row
from iqa.images import Image
from iqa.jit import row_kernel

Array = NDArray[np.float64]
Floats = NDArray[np.float32]


@row_kernel
def _mirrored(row: int, height: int) -> int:
    row = -1 - row if row < 0 else row
    return 2 * height - 1 - row if row >= height else row


@row_kernel
def _mirror_ends(line: Any, stride: int, width: int) -> None:
    """Repeat the pixels of a line on either side of it, the last one first."""
    for x in range(LEFT):
        for out, source in ((-1 - x, x), (width + x, width - 1 - x)):
            k, m = out + LEFT, source + LEFT
            line[k % PHASES * stride + k // PHASES] = line[m % PHASES * stride + m // PHASES]


@row_kernel
def _halve(
    full: Plane, half: Plane, row: int, row_weights: Array, column_weights: Array, lines: Lines
) -> None:
    """Make a row of the half-size image."""
    size, half_size = PHASES * full.stride, PHASES * half.stride
    inside, frame = half.pixels[INSIDE * half_size :], half.pixels[FRAME * half_size :]
    out = (row & (RING - 1)) * half_size
    first = 2 * row - LEFT
    for tap in range(cpu_odd_rows.TAPS):
        lines.at[tap] = (_mirrored(first + tap, full.height) & (RING - 1)) * size
    count = numbers(full.width + 2 * LEFT)
    at, wide = lines.at, len(half.wide_pixels) > 0
    for k in range(0, size, full.stride):
        if wide:
            cpu_odd_rows.halve_down(full.pixels, k, at, row_weights[row], count, lines.wide_line)
        else:
            cpu_rows.halve_down(
                full.pixels, k, at[0], at[1], at[2], at[3], at[4], at[5], at[6], at[7], count,
                lines.line,
            )  # fmt: skip
    if wide:
        _mirror_ends(lines.wide_line, full.stride, full.width)
        cpu_odd_rows.halve_along(
            lines.wide_line, full.stride, half.length, column_weights, inside, frame,
            half.pixels, half.wide_pixels, out, half.stride,
        )  # fmt: skip
    else:
        _mirror_ends(lines.line, full.stride, full.width)
        cpu_rows.halve_along(
            lines.line, full.stride, half.length, inside, frame, half.pixels, out, half.stride
        )


@row_kernel
def _load(pixels: Image, y: int, plane: Plane, lines: Lines) -> None:
    """Row `y` of an image into the ring."""
    channels = len(pixels) // (plane.height * plane.width)
    size, margin, count = plane.width * channels, LEFT * channels, numbers(plane.width + 2 * LEFT)
    row = PHASES * plane.stride
    inside, frame = plane.pixels[INSIDE * row :], plane.pixels[FRAME * row :]
    start, out = y * size, (y & (RING - 1)) * row
    if margin <= start and start + PHASES * count * channels + READ_AHEAD <= len(pixels):
        load_row(
            pixels, start - margin, channels, count, plane.stride, inside, frame, plane.pixels, out
        )
    else:
        # A copy, so that no byte before or behind the image is read.
        copy(pixels[start:], lines.pixels[margin : margin + size])
        load_row(lines.pixels, 0, channels, count, plane.stride, inside, frame, plane.pixels, out)


@row_kernel
def _keep_row(plane: Plane, slot: int, out: Floats) -> None:
    size = PHASES * plane.coefficient_stride
    copy(plane.coefficients[slot * size :], out[:size])


@row_kernel
def sweep(
    pixels: Image, height: int, width: int, first: int, last: int,
    row_weights: Array, column_weights: Array, memory: Floats, sums: Array, seams: Floats,
) -> None:  # fmt: skip
    """Sums of a strip of an image, each row with itself and all but the first with the one above.

    Args:
        pixels: uint8 `[H * W * C]`.
        height, width: H and W.
        first, last: the rows; `first` is even.
        row_weights, column_weights: of the halving, `[H // 2, 9]` and see `cpu_odd_rows`; used
            only where a side is odd.
        memory: `[memory_size(H, W)]`.
        sums: `[2, 22]` of each scale.
        seams: `[2, S]`, gets the first and the last row's coefficients of each scale, as `join`
            takes them.
    """
    half_height = height // 2
    wide = height % 2 != 0 or width % 2 != 0
    lines, rest = lines_in(memory, width)
    full, rest = plane_in(rest, height, width, False)
    half, _ = plane_in(rest, half_height, width // 2, wide)

    row, half_row = first, first // 2
    half_first, half_last = half_row, half_height if last == height else last // 2
    reach, seam = 5 if wide else 4, PHASES * full.coefficient_stride
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
                _keep_row(plane, 0, seams[0, 0 if whole else seam :])
            if whole:
                row += ROWS
            else:
                half_row += ROWS
        elif source < half_height and y > min(2 * source + reach, height - 1):
            _halve(full, half, source, row_weights, column_weights, lines)
            source += 1
        else:
            _load(pixels, y, full, lines)
            y += 1
    _keep_row(full, last - 1 - first & KEPT - 1, seams[1])
    _keep_row(half, half_last - 1 - half_first & KEPT - 1, seams[1, seam:])
    write_sums(full.totals, full.counts, sums[0])
    write_sums(half.totals, half.counts, sums[1])
