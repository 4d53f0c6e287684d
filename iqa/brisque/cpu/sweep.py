"""One sweep down an image: from uint8 rows to the sums of both scales.

Rows of luma go into a ring. Ten of them make four rows of MSCN coefficients, eight a row of the
half-size image, which has a ring of its own. A row of coefficients is summed with the one above it
and then forgotten, so that nothing of the size of the image is ever kept.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from iqa.brisque.cpu.halve import REACH, SIZE, halve_row, mirrored
from iqa.brisque.cpu.load import MID_GREY, load_row, phase_length
from iqa.brisque.cpu.sums import add_row, add_totals, end_above, no_totals, wrap
from iqa.brisque.cpu.window import FIELDS, RADIUS, ROWS, Lines, coefficients
from iqa.brisque.features import HALVING_LEFT, MOMENTS, SCALES
from iqa.images import Image
from iqa.simd.jit import kernel, row_kernel
from iqa.simd.lanes import PHASES, RUN, align_stack, with_item
from iqa.simd.memory import aligned

Floats = NDArray[np.float32]
Real = NDArray[Any]  # float32, or float64 where a tie must be decided
Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]

RING = 16  # rows of pixels; behind them is one that is all outside the image
KEPT = 8  # rows of coefficients
CHANNELS = 3  # at most
ROUNDING = MOMENTS  # place in the sums, behind those of `iqa.brisque.features`
SUMS = ROUNDING + 1
NO_TAPS, NO_ROWS = (0,) * SIZE, (0,) * (ROWS + 2 * RADIUS)  # to be filled with places of rows


class Buffers(NamedTuple):
    """What a sweep writes to. The first three are of both scales, see `Plane`.

    Attributes:
        pixels, coefficients, zeros: `[2, ...]`.
        last_row: uint8 `[3 * PHASES * L]`, a row of the image that cannot be read where it is.
        line: float32 `[PHASES, L]`, see `halve.halve_row`.
        blurred, exact, near: see `window.Lines`.
    """

    pixels: Floats
    coefficients: Real
    zeros: NDArray[np.bool_]
    last_row: Image
    line: Floats
    blurred: Floats
    exact: Doubles
    near: Integers


class Plane(NamedTuple):
    """What a sweep keeps of one scale.

    Attributes:
        height, width: of the image at this scale.
        pixels: `[RING + 1, PHASES, L]`, see `load`.
        coefficients: `[KEPT, PHASES, L]`, see `sums`.
        zeros: `[KEPT]`, in which rows some coefficients may be 0.
    """

    height: int
    width: int
    pixels: Floats
    coefficients: Real
    zeros: NDArray[np.bool_]


def buffers(width: int, dtype: type) -> tuple[NDArray[Any], ...]:
    """`Buffers` for images of up to so many columns, as a plain tuple: Numba takes it faster.

    With coefficients in float64 the sums are, too, which takes twice as long.
    """
    length = phase_length(width)
    named = Buffers(
        aligned((SCALES, RING + 1, PHASES, length), np.float32),
        aligned((SCALES, KEPT, PHASES, length), dtype),
        np.zeros((SCALES, KEPT), np.bool_),
        np.zeros(CHANNELS * PHASES * length, np.uint8),
        aligned((PHASES, length), np.float32),
        aligned((FIELDS, ROWS, PHASES, length), np.float32),
        aligned((FIELDS, ROWS, PHASES, length), np.float64),
        np.zeros(length, np.int64),
    )
    return tuple(named)


@kernel
def sweep(
    pixels: Image,
    shape: tuple[int, int, int],
    strips: Integers,
    arrays: Any,
    scales: int,
    sums: Doubles,
    edges: Real,
) -> None:
    """Sum strips of an image: of each its rows, and all but the first of them with the one above.

    Args:
        pixels, shape: uint8 `[H * W * C]`; H, W and C.
        strips: `[S, 2]`, the first and the last (exclusive) row of each, one after the other. Their
            rows are equal in number, but for the last one, and a multiple of eight.
        arrays: `buffers` for this width or more.
        scales: bit 0 for the image, bit 1 for the half-size image, others are left out.
        sums: float64 `[S, 2, SUMS]` gets them, for each scale.
        edges: `[S, 2, 2, PHASES, L]` gets the first and the last row of coefficients of each scale.
    """
    height, width, channels = shape
    memory = Buffers(*arrays)
    p, c, z = memory.pixels, memory.coefficients, memory.zeros
    full = Plane(height, width, p[0], c[0], z[0])
    half = Plane((height + 1) // 2, (width + 1) // 2, p[1], c[1], z[1])
    used = edges.shape[4]
    p[:, :, :, :used] = -MID_GREY
    c[:, :, :, :used] = 0
    memory.near[:] = 0
    sums[:] = 0
    lines = Lines(memory.blurred, memory.exact, memory.near)
    _sweep(
        pixels,
        channels,
        strips,
        full,
        half,
        scales,
        memory.last_row,
        memory.line,
        lines,
        sums,
        edges,
    )


@row_kernel
def _sweep(
    pixels: Image,
    channels: int,
    strips: Integers,
    full: Plane,
    half: Plane,
    scales: int,
    last_row: Image,
    line: Floats,
    lines: Lines,
    sums: Doubles,
    edges: Real,
) -> None:
    """The rows of `sweep`; apart, as references to arrays are counted there: 3% of the time."""
    align_stack()  # AVX-512: 2%; AVX2: one process in 16 took 1.7 times as long
    first, last, step = strips[0, 0], strips[-1, 1], strips[0, 1] - strips[0, 0]
    row, half_row = first, first // 2  # next ones of coefficients
    half_pixels = max(half_row - RADIUS, 0)  # next row of them
    end = last, (last + 1) // 2
    top = max(2 * half_pixels - HALVING_LEFT, 0)
    bottom = min(2 * (end[1] + RADIUS - 1) + REACH + 1, full.height)
    for y in range(top, bottom):
        _load(pixels, channels, y, full, last_row)
        while half_pixels < half.height and y >= min(2 * half_pixels + REACH, full.height - 1):
            _halve(full, half, half_pixels, line)
            half_pixels += 1
        for scale in range(SCALES):
            # One call for both, as what is called becomes part of this kernel.
            plane, seen, group = (full, y + 1, row) if scale == 0 else (half, half_pixels, half_row)
            while group < end[scale] and seen > min(group + ROWS - 1 + RADIUS, plane.height - 1):
                if scales >> scale & 1:
                    done, strip_rows = group - (first >> scale), (step + scale) >> scale
                    strip, count = done // strip_rows, min(ROWS, end[scale] - group)
                    begins = done % strip_rows == 0
                    if begins:
                        _forget(plane, (done - 1) % KEPT, edges.shape[4])
                    _add_rows(plane, group, count, done % KEPT, lines, sums[strip, scale])
                    if begins:
                        _keep(plane, done % KEPT, edges[strip, scale, 0])
                    if (done + ROWS) % strip_rows == 0 or group + ROWS >= end[scale]:
                        _keep(plane, (done + count - 1) % KEPT, edges[strip, scale, 1])
                group += ROWS
            row, half_row = (group, half_row) if scale == 0 else (row, group)


@row_kernel
def _place(plane: Plane, row: int) -> int:
    """Where a row of pixels begins."""
    slot = row % RING if 0 <= row < plane.height else RING
    return slot * PHASES * plane.pixels.shape[2]


@row_kernel
def _load(pixels: Image, channels: int, y: int, plane: Plane, last_row: Image) -> None:
    """Row `y` of the image into the ring; loads go on beyond it, but must not beyond the image."""
    size = plane.width * channels
    start, out = y * size, _place(plane, y)
    if start + size + RUN * channels <= len(pixels):
        load_row(pixels, start, channels, plane.width, plane.pixels, out)
    else:
        for k in range(size):
            last_row[k] = pixels[start + k]
        load_row(last_row, 0, channels, plane.width, plane.pixels, out)


@row_kernel
def _halve(full: Plane, half: Plane, row: int, line: Floats) -> None:
    """A row of the half-size image into its ring."""
    at = NO_TAPS
    for tap in range(len(at)):
        place = _place(full, mirrored(2 * row - HALVING_LEFT + tap, full.height))
        at = with_item(at, tap, place)
    halve_row(full.pixels, at, full.width, line, half.pixels, _place(half, row))


@row_kernel
def _add_rows(plane: Plane, row: int, count: int, slot: int, lines: Lines, sums: Doubles) -> None:
    """Coefficients of up to four rows from `row` on, kept from `slot` on, and their sums."""
    at = NO_ROWS
    for k in range(len(at)):
        at = with_item(at, k, _place(plane, row - RADIUS + k))
    width, ring = plane.width, plane.coefficients
    place = slot * PHASES * ring.shape[2]
    zeros = coefficients(plane.pixels, at, width, count, lines, ring, place, sums[ROUNDING:])
    for own in range(slot, slot + count):
        plane.zeros[own] = zeros >> (own - slot) & 1
        # Long before sums read it: a vector of which a part was just written takes long.
        wrap(ring, own, width)
    totals = no_totals(ring)
    for own in range(slot, slot + count):
        above = (own - 1) % KEPT
        some = plane.zeros[own] or plane.zeros[above]
        totals = add_row(totals, ring, own, above, width, some, sums)
        end_above(ring, own, width)
    add_totals(totals, sums)


@row_kernel
def _forget(plane: Plane, slot: int, length: int) -> None:
    """Make a row of coefficients 0, as if there were none above the next one."""
    plane.zeros[slot] = True
    plane.coefficients[slot, :, :length] = 0


@row_kernel
def _keep(plane: Plane, slot: int, edge: Real) -> None:
    """Copy a row of coefficients to an edge, whose phases may be shorter."""
    for phase in range(PHASES):
        for k in range(edge.shape[1]):
            edge[phase, k] = plane.coefficients[slot, phase, k]
