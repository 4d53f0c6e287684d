"""BRISQUE's second scale in the Triton language: MATLAB's `imresize(plane, 0.5)`.

Sample x of `ceil(n / 2)` takes the eight pixels from 2 x - 3 on, mirrored at the ends. The weights
are multiples of 1/256, so that float32 is exact.
"""

import triton
import triton.language as tl

from iqa.brisque.features import HALVING
from iqa.brisque.gpu.load import GREY, luma

WEIGHTS = tl.constexpr(tuple(map(float, HALVING)))


@triton.jit
def mirrored(index, length):
    """The index reflected at both ends with the edge sample repeated, then kept in range."""
    index = tl.where(index < 0, -1 - index, index)
    index = tl.where(index >= length, 2 * length - 1 - index, index)
    return tl.maximum(index, 0)


@triton.jit
def run_of_luma(
    source, row, column, height, width, CHANNELS: tl.constexpr, INSIDE: tl.constexpr
):  # fmt: skip
    """Luma less 128 of the ten pixels from `column` on, a tuple of float32 `[LANES]`."""
    line = source + mirrored(row, height).to(tl.int64) * width * CHANNELS
    values = ()
    for k in tl.static_range(10):
        place = column + k if INSIDE else mirrored(column + k, width)
        values = values + ((luma(line + place * CHANNELS, CHANNELS) - 128).to(tl.float32),)
    return values


@triton.jit
def filtered_row(source, row, column, height, width, channels, inside):
    """A row filtered horizontally: the outputs that start at `column` and two pixels later."""
    # The branches are on scalars and enclose the whole row.
    if channels == 3:
        if inside:
            values = run_of_luma(source, row, column, height, width, 3, True)
        else:
            values = run_of_luma(source, row, column, height, width, 3, False)
    elif inside:
        values = run_of_luma(source, row, column, height, width, 1, True)
    else:
        values = run_of_luma(source, row, column, height, width, 1, False)
    one = WEIGHTS[0] * values[0]
    other = WEIGHTS[0] * values[2]
    for k in tl.static_range(1, 8):
        one += WEIGHTS[k] * values[k]
        other += WEIGHTS[k] * values[k + 2]
    return one, other


@triton.jit
def halve_tile(
    source,  # uint8 [height, width, channels]
    height,
    width,
    channels,
    half_plane,  # int32 [ceil(height / 2), ceil(width / 2)], see `load`
    top,
    left,
    inside,  # the tile's columns and 3 on each side lie in the plane
    LANES: tl.constexpr,
    ROWS: tl.constexpr,
):
    """Write the half-size pixels under the tile whose corner in the full plane is `top`, `left`."""
    half_height = (height + 1) // 2
    half_width = (width + 1) // 2
    column = left // 2 + 2 * tl.arange(0, LANES)
    zero = tl.zeros([LANES], tl.float32)
    # Of each lane's two columns: the sums under way of outputs m - 2 to m + 1.
    pending = ((zero, zero, zero, zero), (zero, zero, zero, zero))
    start = top // 2
    for step in range(tl.minimum(ROWS // 2, half_height - start) + 4):
        # Rows 2 m and 2 m + 1 reach the outputs m - 2 to m + 2; then m - 2 is complete.
        m = start - 2 + step
        upper = filtered_row(source, 2 * m, 2 * column - 3, height, width, channels, inside)
        lower = filtered_row(source, 2 * m + 1, 2 * column - 3, height, width, channels, inside)
        row = m - 2
        line = half_plane + row.to(tl.int64) * half_width
        advanced = ()
        for p in tl.static_range(2):
            sums = pending[p]
            complete = sums[0] + WEIGHTS[7] * upper[p]
            advanced = advanced + (
                (
                    sums[1] + WEIGHTS[5] * upper[p] + WEIGHTS[6] * lower[p],
                    sums[2] + WEIGHTS[3] * upper[p] + WEIGHTS[4] * lower[p],
                    sums[3] + WEIGHTS[1] * upper[p] + WEIGHTS[2] * lower[p],
                    WEIGHTS[0] * lower[p],
                ),
            )
            mask = (row >= start) & (column + p < half_width)
            tl.store(line + column + p, (complete * GREY).to(tl.int32), mask=mask)
        pending = advanced
