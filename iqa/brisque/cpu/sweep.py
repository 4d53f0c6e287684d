"""One sweep down an image: from uint8 rows to the 22 sums of both scales.

Rows of luma go into a ring. Ten of them make four rows of MSCN coefficients, eight a row of the
half-size image, which has a ring of its own. A row of coefficients is summed with the one above it
and then forgotten, so that nothing of the size of the image is ever kept.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from iqa.brisque.cpu.halve import halve_row, mirrored
from iqa.brisque.cpu.load import (
    CACHE_LINE,
    LANES,
    LEFT,
    MIDDLE,
    PHASES,
    RUN,
    clear_outside,
    load_row,
    of_phase,
    phase_length,
)
from iqa.brisque.cpu.sums import (
    COUNTS,
    SIGN_PHASES,
    TOTALS,
    add_row,
    add_totals,
    count_signs,
    moments,
    no_totals,
    note_inside,
    note_signs,
    words,
    wrap,
    wrap_above,
)
from iqa.brisque.cpu.window import (
    BLOCK,
    BLURRED,
    DOWN,
    RADIUS,
    ROWS,
    Block,
    blur_block,
    blur_down,
    coefficients_along,
    exact_along,
)
from iqa.brisque.features import HALVING_LEFT, SCALES
from iqa.images import Image
from iqa.simd.jit import kernel, row_kernel
from iqa.simd.lanes import VECTOR_BYTES, between, load, spread, sum_of

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

RING = 16  # rows of pixels; behind them is one that is all outside the image
KEPT = 8  # rows of coefficients
EDGES = 2  # rows that a strip keeps for its neighbours, of either scale
CHANNELS = 3  # at most
HALVING_REACH = 4  # rows that the halving sees below row 2 y


class Plane(NamedTuple):
    """What a sweep keeps of one scale.

    Attributes:
        height, width: of the image at this scale.
        pixels: float32 `[RING + 1, PHASES, L]`, see `load`.
        coefficients: float32 `[KEPT, PHASES, L]`, see `sums`.
        signs: uint64 `[KEPT, 2, SIGN_PHASES * words(W)]`, see `sums`.
        some_zero: bool `[KEPT]`, some of a row may be 0.
        inside: uint64 `[PHASES * words(W)]`, see `sums`.
        totals: float64 `[TOTALS * LANES]`.
        counts: int64 `[COUNTS]`.
    """

    height: int
    width: int
    pixels: Floats
    coefficients: Floats
    signs: NDArray[np.uint64]
    some_zero: NDArray[np.bool_]
    inside: NDArray[np.uint64]
    totals: Doubles
    counts: NDArray[np.int64]


class Lines(NamedTuple):
    """What both scales use in turn.

    Attributes:
        edge: uint8, a row that cannot be read where it is, as loads go on beyond it.
        halved: see `halve.halve_row`.
        blurred, exact_blurred: see `window`.
        totals: see `sums.add_totals`.
    """

    edge: Image
    halved: Floats
    blurred: Floats
    exact_blurred: Doubles
    totals: Floats


def buffers(width: int) -> tuple[Any, ...]:
    """What sweeps over images of up to so many columns write to, of each scale and of both."""
    lines = (
        np.zeros(CHANNELS * PHASES * phase_length(width), np.uint8),
        _aligned((PHASES, phase_length(width)), np.float32),
        _aligned(BLURRED, np.float32),
        _aligned(BLURRED, np.float64),
        _aligned((TOTALS * LANES,), np.float32),
    )
    return _plane_buffers(width), _plane_buffers((width + 1) // 2), lines


def _plane_buffers(width: int) -> tuple[NDArray[Any], ...]:
    length = phase_length(width)
    return (
        _aligned((RING + 1, PHASES, length), np.float32),
        _aligned((KEPT, PHASES, length), np.float32),
        np.zeros((KEPT, 2, SIGN_PHASES * words(width)), np.uint64),
        np.zeros(KEPT, np.bool_),
        np.zeros(PHASES * words(width), np.uint64),
        _aligned((TOTALS * LANES,), np.float64),
        np.zeros(COUNTS, np.int64),
    )


def _aligned(shape: tuple[int, ...], dtype: type) -> NDArray[Any]:
    """Zeros that begin with a cache line, so that no aligned vector of them lies in two."""
    alignment = 4 * CACHE_LINE
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(size + alignment, np.uint8)
    start = -memory.ctypes.data % alignment
    return memory[start : start + size].view(dtype).reshape(shape)


@kernel
def sweep(
    pixels: Image,
    shape: tuple[int, int, int],
    rows: tuple[int, int],
    memory: Any,
    number: int,
    sums: Doubles,
    edges: Floats,
) -> None:
    """Sum a strip of an image: its rows, and all but the first of them with the one above.

    Args:
        pixels: uint8 `[H * W * C]`.
        shape: H, W and C.
        rows: the first and the last (exclusive) of the strip; the first is even.
        memory: `buffers`.
        number: which of S strips.
        sums: float64 `[S, 2, 22]` gets them, for each scale.
        edges: float32 `[2, EDGES * S, PHASES, L]` gets the first and the last row of coefficients
            of each scale.
    """
    height, width, channels = shape
    half_height = (height + 1) // 2
    a, b, c = memory
    full = Plane(height, width, a[0], a[1], a[2], a[3], a[4], a[5], a[6])
    half = Plane(half_height, (width + 1) // 2, b[0], b[1], b[2], b[3], b[4], b[5], b[6])
    lines = Lines(c[0], c[1], c[2], c[3], c[4])
    _clear(full)
    _clear(half)

    first, last = rows
    half_first, half_last = first // 2, half_height if last == height else last // 2
    row, half_row = first, half_first
    source = max(half_row - RADIUS, 0)
    y = max(min(row - RADIUS, 2 * source - HALVING_LEFT), 0)
    while row < last or half_row < half_last:
        whole = row < last and y > min(row + ROWS - 1 + RADIUS, height - 1)
        if whole or (
            half_row < half_last and source > min(half_row + ROWS - 1 + RADIUS, half_height - 1)
        ):
            # One call, as what is called becomes part of this kernel.
            plane = full if whole else half
            group, end, origin = (row, last, first) if whole else (half_row, half_last, half_first)
            _add_rows(plane, group, end, group - origin, lines)
            if group == origin:
                edge = edges[0 if whole else 1, EDGES * number]
                _keep_edge(plane, 0, edge)
                # It has not been the row above yet.
                edge[plane.width % PHASES, LEFT + plane.width // PHASES] = 0
            if whole:
                row += ROWS
            else:
                half_row += ROWS
        elif source < half_height and y > min(2 * source + HALVING_REACH, height - 1):
            _halve(full, half, source, lines)
            source += 1
        else:
            _load(pixels, channels, y, full, lines)
            y += 1
    for scale in range(SCALES):
        plane = full if scale == 0 else half
        count = last - first if scale == 0 else half_last - half_first
        _keep_edge(plane, (count - 1) % KEPT, edges[scale, EDGES * number + 1])
        moments(plane.totals, plane.counts, sums[number, scale])


@row_kernel
def _clear(plane: Plane) -> None:
    """Forget the image before, and make black what lies outside of this one."""
    plane.totals[:] = 0
    plane.counts[:] = 0
    plane.coefficients[KEPT - 1] = 0
    plane.signs[KEPT - 1] = 0
    plane.some_zero[KEPT - 1] = True
    note_inside(plane.width, plane.inside)
    plane.pixels[RING] = -MIDDLE
    clear_outside(plane.pixels, plane.width, -MIDDLE)
    clear_outside(plane.coefficients, plane.width, np.float32(0))


@row_kernel
def _place(plane: Plane, row: int) -> int:
    """Where a row of pixels begins."""
    slot = row % RING if 0 <= row < plane.height else RING
    return slot * PHASES * plane.pixels.shape[2]


@row_kernel
def _load(pixels: Image, channels: int, y: int, plane: Plane, lines: Lines) -> None:
    """Row `y` of the image into the ring."""
    size, length = plane.width * channels, plane.pixels.shape[2]
    start, out = y * size, _place(plane, y)
    if start + size + RUN * channels + VECTOR_BYTES <= len(pixels):
        load_row(pixels, start, channels, plane.width, plane.pixels, out, length)
    else:
        for k in range(size):
            lines.edge[k] = pixels[start + k]
        load_row(lines.edge, 0, channels, plane.width, plane.pixels, out, length)


@row_kernel
def _halve(full: Plane, half: Plane, row: int, lines: Lines) -> None:
    """A row of the half-size image into its ring."""
    top, height = 2 * row - HALVING_LEFT, full.height
    at = (
        _place(full, mirrored(top, height)),
        _place(full, mirrored(top + 1, height)),
        _place(full, mirrored(top + 2, height)),
        _place(full, mirrored(top + 3, height)),
        _place(full, mirrored(top + 4, height)),
        _place(full, mirrored(top + 5, height)),
        _place(full, mirrored(top + 6, height)),
        _place(full, mirrored(top + 7, height)),
    )
    out, half_length = _place(half, row), half.pixels.shape[2]
    halve_row(full.pixels, at, full.width, lines.halved, half.pixels, out, half_length)


@row_kernel
def _add_rows(plane: Plane, row: int, end: int, slot: int, lines: Lines) -> None:
    """Coefficients of rows `row` to `row + 3`, and sums of those of them that are before `end`."""
    rows, width = min(ROWS, end - row), plane.width
    near = _coefficients(plane, row, rows, slot, lines)
    for i in range(rows):
        # Long before sums read it: a vector of which a part was just written takes long.
        wrap(plane.coefficients, (slot + i) % KEPT, width)
    totals = no_totals()
    for i in range(rows):
        own, above = (slot + i) % KEPT, (slot + i - 1) % KEPT
        totals = add_row(totals, plane.coefficients, own, above, width)
        wrap_above(plane.coefficients, own, width)
        note_signs(plane.coefficients, own, width, near != 0, plane.signs[own])
        plane.some_zero[own] = near != 0
        some_zero = plane.some_zero[own] or plane.some_zero[above]
        count_signs(
            plane.signs[own], plane.signs[above], some_zero, plane.inside, width, plane.counts
        )
    add_totals(totals, lines.totals, plane.totals)


@row_kernel
def _coefficients(plane: Plane, row: int, rows: int, slot: int, lines: Lines) -> int:
    """Coefficients of up to four rows from `row` on, to those from `slot` on; 0 if none is 0."""
    pixels, length = plane.pixels, plane.pixels.shape[2]
    at = (
        _place(plane, row - 3),
        _place(plane, row - 2),
        _place(plane, row - 1),
        _place(plane, row),
        _place(plane, row + 1),
        _place(plane, row + 2),
        _place(plane, row + 3),
        _place(plane, row + 4),
        _place(plane, row + 5),
        _place(plane, row + 6),
    )
    numbers = of_phase(plane.width, 0)
    vectors = (numbers + LANES - 1) // LANES
    blocks = (numbers + BLOCK - 1) // BLOCK
    step = (vectors + blocks - 1) // blocks * LANES
    level = _level(pixels, at[RADIUS] + LEFT, numbers)
    some_near = before = 0
    for first in range(0, numbers, step):
        block = Block(first, before, min(step, vectors * LANES - first), numbers - first, level)
        before = block.size
        blur_block(pixels, at, block, lines.blurred)
        near = 0
        for i in range(rows):
            out = (slot + i) % KEPT * PHASES * length + LEFT + first
            centre = at[RADIUS + i] + LEFT + first
            near |= coefficients_along(
                lines.blurred, i, pixels, centre, block, plane.coefficients, out
            )
        some_near |= near
        place = first
        while near != 0:
            if near & 1 != 0:
                start, stop = place - 1, place + LANES + 1
                exact = lines.exact_blurred
                blur_down(pixels, at, start, stop, 0.0, DOWN, exact, CACHE_LINE - 1)
                for i in range(rows):
                    out = (slot + i) % KEPT * PHASES * length + LEFT + place
                    centre = at[RADIUS + i] + LEFT + place
                    exact_along(exact, i, pixels, centre, plane.coefficients, out)
            near >>= 1
            place += LANES
    return some_near


@row_kernel
def _level(pixels: Floats, place: int, count: int) -> float:
    """The whole grey level nearest to the mean of some pixels of a phase."""
    nothing = total = spread(np.float32(0))
    for j in range(0, count, LANES):
        total = total + between(0, count - j, load(pixels, place + j, nothing), nothing)
    return np.rint(sum_of(total) / np.float32(count))


@row_kernel
def _keep_edge(plane: Plane, slot: int, edge: Floats) -> None:
    for phase in range(PHASES):
        for k in range(min(edge.shape[1], plane.coefficients.shape[2])):
            edge[phase, k] = plane.coefficients[slot, phase, k]
