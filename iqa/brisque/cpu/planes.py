"""The line buffers that the CPU kernel keeps of each scale, laid out in one piece of memory."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from iqa.brisque.cpu.coefficients import LINES
from iqa.brisque.cpu.rows import LANES, LEFT, MIDDLE, ONE, PHASES
from iqa.brisque.cpu.sums import BITS, TOTALS
from iqa.simd.jit import kernel, row_kernel
from iqa.simd.lanes import load, spread, store

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Signs = NDArray[np.uint16]
Words = NDArray[np.uint64]

RING = 16  # rows of pixels
# Rows behind them: what lies outside; and 1 inside of the image and 0 outside.
OUTSIDE, INSIDE = RING, RING + 1
ROWS_OF_PIXELS = RING + 2
KEPT = 8  # rows of coefficients
SIGN_PHASES = 6
COUNTS = 8
UNITS = BITS // LANES
# Right of what lies outside of the image is what no window may see; this is not near to its mean.
UNSEEN = 100


class Plane(NamedTuple):
    """What a sweep keeps of one scale.

    Attributes:
        height, width: of the image at this scale.
        length: of a phase of coefficients.
        whole: numbers of a phase in vectors of which no number lies outside the image.
        stride: from phase to phase of a row of pixels.
        pixels: the last 16 rows and two constant ones.
        coefficient_stride: from phase to phase of a row of coefficients, which begins with a vector
            of what is left of the image.
        coefficients: 8 rows.
        sign_step: words from phase to phase of a row of signs.
        signs: 8 rows of six phases and one that tells which columns belong to the image, see
            `cpu_sums.note_signs`; 16 columns in a number.
        words: the same memory.
        levels: of each block of columns, see `cpu_coefficients.level_of`.
        totals: `[14 * 16]`.
        counts: `[8]`, then for each row of coefficients whether some may be 0.
    """

    height: int
    width: int
    length: int
    whole: int
    stride: int
    pixels: Floats
    coefficient_stride: int
    coefficients: Floats
    sign_step: int
    signs: Signs
    words: Words
    levels: Floats
    totals: Array
    counts: Integers


class Lines(NamedTuple):
    """What all scales use in turn.

    Attributes:
        pixels: bytes of a row of the image, with room on either side.
        line: a row on its way to half its width.
        filtered: see `cpu_coefficients.filter_down`.
        totals: `[14 * 16]`.
        at: `[16]` places.
    """

    pixels: NDArray[np.uint8]
    line: Floats
    filtered: Floats
    totals: Floats
    at: Integers


@row_kernel
def numbers(columns: int) -> int:
    """Numbers in a phase of so many columns, in whole vectors."""
    return (columns + PHASES * LANES - 1) // (PHASES * LANES) * LANES


@row_kernel
def _stride(width: int) -> int:
    # Whole vectors of the half-size row may reach further than those of the row itself.
    return max(numbers(width), 2 * numbers((width + 1) // 2)) + LANES


@row_kernel
def coefficient_stride(width: int) -> int:
    """See `Plane`."""
    return numbers(width) + 2 * LANES


@row_kernel
def _sign_step(width: int) -> int:
    return (numbers(width) + BITS - 1) // BITS


@row_kernel
def _plane_size(width: int) -> int:
    rows = PHASES * ROWS_OF_PIXELS * _stride(width)
    return (
        rows
        + PHASES * KEPT * coefficient_stride(width)
        + 2 * (SIGN_PHASES * KEPT + 8) * _sign_step(width)
        + _stride(width)
        + 2 * TOTALS * LANES
        + 4 * (COUNTS + KEPT)
    )


@row_kernel
def _lines_size(width: int) -> int:
    stride = _stride(width)
    return 3 * stride + LANES + PHASES * stride + LINES + TOTALS * LANES + 2 * LANES


@kernel
def memory_size(width: int) -> int:
    """Numbers in the float32 array that a sweep of an image needs."""
    return _lines_size(width) + _plane_size(width) + _plane_size((width + 1) // 2)


@row_kernel
def copy(source: Any, out: Any) -> None:
    """Write as many numbers as `out` has."""
    for k in range(len(out)):
        out[k] = source[k]


@row_kernel
def lines_in(memory: Floats, width: int) -> tuple[Lines, Floats]:
    """The lines at the beginning of the memory, and the rest of it."""
    stride = _stride(width)
    row = PHASES * stride
    end = 3 * stride + LANES
    pixels = memory[:end].view(np.uint8)
    line = memory[end : end + row]
    end += row
    filtered = memory[end : end + LINES]
    end += LINES
    totals = memory[end : end + TOTALS * LANES]
    end += TOTALS * LANES
    at = memory[end : end + 2 * LANES].view(np.int64)
    end += 2 * LANES

    line[:] = 0
    return Lines(pixels, line, filtered, totals, at), memory[end:]


@row_kernel
def plane_in(memory: Floats, height: int, width: int) -> tuple[Plane, Floats]:
    """A plane at the beginning of the memory, and the rest of it.

    Its rings are filled with what lies outside.
    """
    stride, length, sign_step = _stride(width), numbers(width), _sign_step(width)
    row = PHASES * stride
    size = row * ROWS_OF_PIXELS
    pixels = memory[:size]
    end = size
    size = PHASES * KEPT * coefficient_stride(width)
    coefficients = memory[end : end + size]
    end += size
    size = 2 * (SIGN_PHASES * KEPT + 8) * sign_step
    words = memory[end : end + size].view(np.uint64)
    signs = memory[end : end + size].view(np.uint16)
    end += size
    levels = memory[end : end + stride]
    end += stride
    totals = memory[end : end + 2 * TOTALS * LANES].view(np.float64)
    end += 2 * TOTALS * LANES
    counts = memory[end : end + 4 * (COUNTS + KEPT)].view(np.int64)[: COUNTS + KEPT]
    end += 4 * (COUNTS + KEPT)

    coefficients[:] = 0
    words[:] = 0
    totals[:] = 0
    counts[:] = 0
    # The row above the first one is 0, which is to say that it may be.
    counts[COUNTS + KEPT - 1] = 1
    for phase in range(PHASES):
        rest = PHASES - 1 - phase
        columns, seen = (width + rest) // PHASES, (width + LEFT + rest) // PHASES
        k = phase * stride
        outside = pixels[OUTSIDE * row + k : OUTSIDE * row + k + stride]
        inside = pixels[INSIDE * row + k : INSIDE * row + k + stride]
        outside[:seen] = -MIDDLE
        outside[seen:] = UNSEEN if phase % 2 else -UNSEEN
        outside[stride - 1] = -MIDDLE  # left of the image in the next phase
        inside[:columns] = 1
        inside[columns:] = 0
        for j in range(k + length, k + stride, LANES):
            beyond = load(pixels, OUTSIDE * row + j, spread(ONE))
            for slot in range(RING):
                store(pixels, slot * row + j, beyond)
        bits = words[(SIGN_PHASES * KEPT + phase) * sign_step :]
        for k in range(columns // BITS):
            bits[k] = ~np.uint64(0)
        if columns % BITS:
            bits[columns // BITS] = (np.uint64(1) << np.uint64(columns % BITS)) - np.uint64(1)
    whole = width // (PHASES * LANES) * LANES
    plane = Plane(
        height, width, length, whole, stride, pixels, coefficient_stride(width),
        coefficients, sign_step, signs, words, levels, totals, counts,
    )  # fmt: skip
    return plane, memory[end:]
