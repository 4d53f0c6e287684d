"""Triton kernels of BRISQUE's second scale: MATLAB's antialiased bicubic `imresize` to half size.

Whatever the length, output `o` of an axis draws on the nine samples from `2 o - 3` on (see
`reference.resize_weights`): an even length gives the ninth a weight of 0, an odd one drifts by one
sample from end to end. So one fixed pattern with weights from a table serves every size.
"""

import triton
import triton.language as tl

from iqa.brisque.gpu_pixels import luma_at, mirrored

TAPS = 9


@triton.jit
def weights_kernel(axes, weights, TAPS: tl.constexpr, BLOCK: tl.constexpr):
    """Fill `weights` (float64, `[TAPS, length // 2]` per axis); grid: blocks of outputs, axes.

    `axes` is int64 `[A, 2]`: length, offset in `weights`.
    """
    axis = tl.program_id(1)
    length = tl.load(axes + axis * 2)
    half = length // 2
    output = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    scale = half.to(tl.float64) / length.to(tl.float64)
    centre = (output.to(tl.float64) + 0.5) / scale - 0.5
    cubic = ()
    total = tl.zeros([BLOCK], tl.float64)
    for k in tl.static_range(TAPS):
        x = tl.abs(centre - (2 * output + (k - 3)).to(tl.float64)) * scale
        near = (1.5 * x - 2.5) * x * x + 1.0
        far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
        value = tl.where(x <= 1.0, near, tl.where(x <= 2.0, far, 0.0))
        cubic = cubic + (value,)
        total += value
    row = weights + tl.load(axes + axis * 2 + 1)
    for k in tl.static_range(TAPS):
        tl.store(row + k * half + output, cubic[k] / total, mask=output < half)


@triton.jit
def filtered_row(source, row, column, height, width, channels, taps, TAPS: tl.constexpr):
    """Half-size columns `column` and `column + 1` of each lane, from one row of the full plane."""
    first = 2 * column - 3
    wanted = column < width // 2
    columns = ()
    for k in tl.static_range(TAPS + 2):
        columns = columns + (mirrored(first + k, width),)
    line = source + mirrored(row, height).to(tl.int64) * width * channels
    if channels == 3:
        greys = luma_at(line, columns, wanted, 3)
    else:
        greys = luma_at(line, columns, wanted, 1)
    values = ()
    for k in tl.static_range(TAPS + 2):
        values = values + ((greys[k] - 128).to(taps[0].dtype),)
    even = values[0] * taps[0]
    odd = values[2] * taps[TAPS]
    for k in tl.static_range(1, TAPS):
        even += values[k] * taps[k]
        odd += values[k + 2] * taps[TAPS + k]
    return even, odd


@triton.jit
def halve_tile(
    source,
    height,
    width,
    channels,
    half_plane,
    row_weights,
    column_weights,
    top,
    left,
    TAPS: tl.constexpr,
    LANES: tl.constexpr,
    ROWS: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Write the half-size pixels under the tile whose corner in the full plane is `top`, `left`.

    Arithmetic in float32 is exact where both sides are even (weights are multiples of 1/256);
    other sizes need float64.
    """
    half_height = height // 2
    half_width = width // 2
    lane = tl.arange(0, LANES)
    column = left // 2 + 2 * lane
    taps = ()
    for p in tl.static_range(2):
        for k in tl.static_range(TAPS):
            tap = column_weights + k * half_width + column + p
            taps = taps + (tl.load(tap, mask=column + p < half_width, other=0.0).to(PRECISION),)

    zero = tl.zeros([LANES], PRECISION)
    pending = ((zero, zero, zero, zero), (zero, zero, zero, zero))
    start = top // 2
    for step in range(tl.minimum(ROWS // 2, half_height - start) + 4):
        # Rows 2 m and 2 m + 1 reach the outputs m - 2 to m + 2; then m - 2 is complete.
        m = start - 2 + step
        upper = filtered_row(source, 2 * m, column, height, width, channels, taps, TAPS)
        lower = filtered_row(source, 2 * m + 1, column, height, width, channels, taps, TAPS)
        weight = ()
        for k in tl.static_range(TAPS):
            output = tl.minimum(tl.maximum(m - 2 + (TAPS - 1 - k) // 2, 0), half_height - 1)
            at = row_weights + k * half_height + output
            weight = weight + (tl.load(at).to(PRECISION),)
        advanced = ()
        row = m - 2
        inside = row >= start
        line = half_plane + row.to(tl.int64) * half_width
        for p in tl.static_range(2):
            sums = pending[p]
            complete = sums[0] + weight[7] * upper[p] + weight[8] * lower[p]
            advanced = advanced + (
                (
                    sums[1] + weight[5] * upper[p] + weight[6] * lower[p],
                    sums[2] + weight[3] * upper[p] + weight[4] * lower[p],
                    sums[3] + weight[1] * upper[p] + weight[2] * lower[p],
                    weight[0] * lower[p],
                ),
            )
            tl.store(
                line + column + p,
                complete.to(tl.float64),
                mask=inside & (column + p < half_width),
            )
        pending = advanced
