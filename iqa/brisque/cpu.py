"""BRISQUE on the CPU: one streaming sweep from uint8 rows to the 22 sums of both scales.

Luma rows go into a ring. 8 of them make two rows of MSCN coefficients, 8 (more where a side is odd)
a row of the half-size image, which has a ring of its own. A row of coefficients is summed with the
one above it and then forgotten, so that nothing of the size of the image is ever kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from iqa.brisque.cpu_coefficients import BLOCK, LINE, LINES, RADIUS, coefficients_of_two_rows
from iqa.brisque.cpu_rows import MIDDLE, MIRRORED, Halving, half_row_even, half_row_odd, luma_row
from iqa.brisque.cpu_sums import add_row
from iqa.brisque.features import MOMENTS, SCALES, features_from_moments
from iqa.brisque.reference import resize_weights
from iqa.images import Image, contiguous
from iqa.jit import row_kernel
from iqa.parallel import parallel_map

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

# Strips are cut by the image alone, so that sums have the same bits on any number of threads.
STRIP_ROWS = 512
NEIGHBOURS = 2 * RADIUS + 2  # rows that two rows of coefficients are made of
CACHE_LINE = 64  # bytes
START = 16  # column of a coefficient buffer where the row begins: aligned, with room to wrap


class _Plane(NamedTuple):
    """What a sweep keeps of one scale.

    Attributes:
        rows: ring of pixel rows, and one row more: what lies outside of the image.
        coefficients: the last three rows of MSCN coefficients, each wrapped by one column.
        zeros: for each of them, whether some may be 0.
        at: scratch, places in the ring.
    """

    rows: NDArray[Any]
    coefficients: NDArray[np.float32]
    zeros: NDArray[np.bool_]
    at: Integers


class _Scratch(NamedTuple):
    line: NDArray[np.float32]
    wide_line: Array
    lines: NDArray[np.float32]
    wide_lines: Array
    at: Integers


@row_kernel
def _add_two_rows(
    plane: _Plane, count: int, row: int, end: int, height: int, width: int, exact: bool, add: bool,
    scratch: _Scratch, sums: Array,
) -> None:  # fmt: skip
    """Coefficients of rows `row` and `row + 1` and, if `add`, their sums where before `end`.

    `count` is the number of rows done before: it says which of the three buffers come next.
    """
    ring = len(plane.rows) - 1
    at = plane.at
    for tap in range(NEIGHBOURS):
        source = row - RADIUS + tap
        at[tap] = source % ring if 0 <= source < height else ring
    first, second = count % 3, (count + 1) % 3
    plane.zeros[first], plane.zeros[second] = coefficients_of_two_rows(
        plane.rows, at, width, exact, scratch.lines, scratch.wide_lines,
        plane.coefficients[first, START:], plane.coefficients[second, START:],
    )  # fmt: skip
    for offset in range(min(2, end - row)):
        current, above = (count + offset) % 3, (count + offset + 2) % 3
        coefficients = plane.coefficients[current]
        coefficients[START - 1] = coefficients[START + width - 1]
        coefficients[START + width] = coefficients[START]
        if add:
            zeros = plane.zeros[current] or plane.zeros[above]
            add_row(coefficients, plane.coefficients[above], START, width, zeros, sums)


@row_kernel
def _sweep(
    image: Image, rows: tuple[int, int], half_rows: tuple[int, int], full: _Plane, half: _Plane,
    halving: Halving, exact: bool, add: bool, scratch: _Scratch, sums: Array,
) -> None:  # fmt: skip
    """Sweep `rows` (first, last) and `half_rows` of the half-size image and add their sums.

    Without `add` each range is one row, whose coefficients are left for the sweep that follows.
    """
    height, width = image.shape[0], image.shape[1]
    half_height, half_width = height // 2, width // 2
    ring, half_ring = len(full.rows) - 1, len(half.rows) - 1
    row, half_row = rows[0], half_rows[0]
    count = half_count = 0 if add else 2
    source = max(half_row - RADIUS, 0)
    y = max(row - RADIUS, 0)
    for index in halving.row_indices[source]:
        y = min(y, index)
    while row < rows[1] or half_row < half_rows[1]:
        if y < height:
            luma_row(image, y, full.rows[y % ring, RADIUS:])
        if row < rows[1] and y == row + RADIUS + 1:
            _add_two_rows(
                full, count, row, rows[1], height, width, False, add, scratch, sums[0]
            )  # fmt: skip
            row, count = row + 2, count + 2
        while half_row < half_rows[1]:
            if source < half_height:
                at = scratch.at
                last = 0
                for tap in range(len(at)):
                    index = halving.row_indices[source, tap]
                    last = max(last, index)
                    at[tap] = index % ring
                if last > y:
                    break
                out = half.rows[source % half_ring, RADIUS : RADIUS + half_width]
                if exact:
                    weights = halving.row_weights[source]
                    half_row_odd(full.rows, at, weights, halving, scratch.wide_line, out)
                else:
                    half_row_even(full.rows, at, scratch.line, out)
            if source == half_row + RADIUS + 1:
                _add_two_rows(
                    half, half_count, half_row, half_rows[1], half_height, half_width, exact, add,
                    scratch, sums[1],
                )  # fmt: skip
                half_row, half_count = half_row + 2, half_count + 2
            source += 1
        y += 1


@row_kernel
def _add_strip(
    image: Image, first: int, last: int, full: _Plane, half: _Plane, halving: Halving, exact: bool,
    scratch: _Scratch, sums: Array,
) -> None:  # fmt: skip
    """Add the sums `[2, 22]` of rows `first` to `last`, each with itself and the one above."""
    height, half_height = image.shape[0], image.shape[0] // 2
    half_first = first // 2
    half_last = half_height if last == height else last // 2
    above = (first if first > 0 else height) - 1
    half_above = (half_first if first > 0 else half_height) - 1
    _sweep(
        image, (above, above + 1), (half_above, half_above + 1), full, half, halving, exact, False,
        scratch, sums,
    )  # fmt: skip
    _sweep(
        image, (first, last), (half_first, half_last), full, half, halving, exact, True,
        scratch, sums,
    )  # fmt: skip


@lru_cache(maxsize=256)
def _resize_table(length: int) -> tuple[Integers, Array]:
    indices, weights = resize_weights(length)
    return indices.astype(np.int64), weights


def _aligned(shape: tuple[int, int], dtype: type[np.floating[Any]]) -> NDArray[Any]:
    """An uninitialised array that begins at a cache line, as whole vectors are read fastest."""
    size = shape[0] * shape[1] * np.dtype(dtype).itemsize
    memory = np.empty(size + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return memory[start : start + size].view(dtype).reshape(shape)


def _plane(ring: int, width: int, dtype: type[np.floating[Any]]) -> _Plane:
    length = -(-width // BLOCK) * BLOCK + LINE
    rows = _aligned((ring + 1, length), dtype)
    rows[:] = -MIDDLE
    return _Plane(
        rows=rows,
        coefficients=_aligned((3, length), np.float32),
        zeros=np.empty(3, np.bool_),
        at=np.empty(NEIGHBOURS, np.int64),
    )


def _strip_moments(strip: tuple[Image, int, int]) -> Array:
    """Partial sums `[2, 22]` of an image's rows from a first one to a last one."""
    image, first, last = strip
    height, width = image.shape[:2]
    exact = bool(height % 2 or width % 2)
    rows, columns = _resize_table(height), _resize_table(width)
    halving = Halving(*rows, np.ascontiguousarray(columns[0].T), np.ascontiguousarray(columns[1].T))
    scratch = _Scratch(
        line=_aligned((1, width + 2 * MIRRORED), np.float32)[0],
        wide_line=np.empty(width),
        lines=_aligned((1, LINES), np.float32)[0],
        wide_lines=np.empty(LINES),
        at=np.empty(rows[0].shape[1], np.int64),
    )
    full = _plane(max(NEIGHBOURS, rows[0].shape[1]), width, np.float32)
    half = _plane(NEIGHBOURS, width // 2, np.float64 if exact else np.float32)
    sums = np.zeros((SCALES, MOMENTS))
    _add_strip(image, first, last, full, half, halving, exact, scratch, sums)
    return sums


def _strips(image: Image) -> list[tuple[Image, int, int]]:
    """An image in strips of equal, even height (but the last) of at most `STRIP_ROWS` rows."""
    image = contiguous(image)
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
    parts = iter(parallel_map(_strip_moments, list(chain.from_iterable(strips)), threads))
    return np.array([sum(next(parts) for _ in pieces) for pieces in strips])


def features(images: Sequence[Image], threads: int | None = None) -> Array:
    """The 36 features of each image `[N, 36]`, for the same arguments as `moments`."""
    sizes = np.array([image.shape[:2] for image in images])
    pixels = np.stack([sizes.prod(axis=1), (sizes // 2).prod(axis=1)], axis=1)
    return features_from_moments(moments(images, threads), pixels)
