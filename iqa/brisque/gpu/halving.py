"""Triton kernels of BRISQUE's second scale: MATLAB's antialiased bicubic `imresize` to half size.

Whatever the length, output `o` of an axis draws on the nine samples from `2 o - 3` on (see
`reference.resize_weights`). Where both lengths are even the weights are the same everywhere,
multiples of 1/256 with a ninth of 0, and float32 is exact; an odd length drifts by one sample from
end to end, which takes a table of weights and float64.
"""

import triton
import triton.language as tl

from iqa.brisque.gpu.pixels import GREY, mirrored, mirrored_luma, run_of_luma

TAPS = 9
EVEN_WEIGHTS = tl.constexpr(tuple(w / 256 for w in (-3, -9, 29, 111, 111, 29, -9, -3)))


@triton.jit
def weights_kernel(axes, weights, TAPS: tl.constexpr, BLOCK: tl.constexpr):
    """Fill `weights` (float64, `[TAPS, length // 2]` per axis); grid: axes, blocks of outputs.

    `axes` is int64 `[A, 2]`: length, offset in `weights`.
    """
    axis = tl.program_id(0)
    length = tl.load(axes + axis * 2)
    half = length // 2
    output = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
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
def luma_row(source, row, column, height, width, channels, interior, COUNT: tl.constexpr):
    """Luma of `COUNT` adjacent columns of a row, reflected at the plane's ends, a tuple."""
    line = source + mirrored(row, height).to(tl.int64) * width * channels
    # The branches are on scalars and enclose the whole row.
    at = line + column * channels
    if interior & (channels == 3):
        greys = run_of_luma(at, COUNT, 3)
    elif interior:
        greys = run_of_luma(at, COUNT, 1)
    elif channels == 3:
        greys = mirrored_luma(line, column, width, COUNT, 3)
    else:
        greys = mirrored_luma(line, column, width, COUNT, 1)
    return greys


@triton.jit
def filtered(greys, taps, TAPS: tl.constexpr, PRECISION: tl.constexpr):
    """Two adjacent half-size columns of a row; `taps` are those of the one, then of the other."""
    values = ()
    for k in tl.static_range(TAPS + 2):
        values = values + ((greys[k] - 128).to(PRECISION),)
    one = values[0] * taps[0]
    other = values[2] * taps[TAPS]
    for k in tl.static_range(1, TAPS):
        one += values[k] * taps[k]
        other += values[k + 2] * taps[TAPS + k]
    return one, other


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
):
    """Write the half-size pixels under the tile whose corner in the full plane is `top`, `left`.

    `TAPS` is 8 where both sides are even, else 9.
    """
    even: tl.constexpr = TAPS == 8
    precision: tl.constexpr = tl.float32 if even else tl.float64
    half_height = height // 2
    half_width = width // 2
    column = left // 2 + 2 * tl.arange(0, LANES)
    interior = (left > 0) & (left + 4 * LANES + 8 <= width)
    taps = ()
    for p in tl.static_range(2):
        for k in tl.static_range(TAPS):
            if even:
                taps = taps + (EVEN_WEIGHTS[k],)
            else:
                tap = column_weights + k * half_width + column + p
                taps = taps + (tl.load(tap, mask=column + p < half_width, other=0.0),)

    zero = tl.zeros([LANES], precision)
    pending = ((zero, zero, zero, zero), (zero, zero, zero, zero))
    start = top // 2
    for step in range(tl.minimum(ROWS // 2, half_height - start) + 4):
        # Rows 2 m and 2 m + 1 reach the outputs m - 2 to m + 2; then m - 2 is complete.
        m = start - 2 + step
        first = 2 * column - 3
        upper = filtered(
            luma_row(source, 2 * m, first, height, width, channels, interior, TAPS + 2),
            taps, TAPS, precision,
        )  # fmt: skip
        lower = filtered(
            luma_row(source, 2 * m + 1, first, height, width, channels, interior, TAPS + 2),
            taps, TAPS, precision,
        )  # fmt: skip
        weight = ()
        for k in tl.static_range(TAPS):
            if even:
                weight = weight + (EVEN_WEIGHTS[k],)
            else:
                output = tl.minimum(tl.maximum(m - 2 + (TAPS - 1 - k) // 2, 0), half_height - 1)
                weight = weight + (tl.load(row_weights + k * half_height + output),)
        advanced = ()
        row = m - 2
        line = half_plane + row.to(tl.int64) * half_width
        for p in tl.static_range(2):
            sums = pending[p]
            complete = sums[0] + weight[7] * upper[p]
            if not even:
                complete += weight[8] * lower[p]
            advanced = advanced + (
                (
                    sums[1] + weight[5] * upper[p] + weight[6] * lower[p],
                    sums[2] + weight[3] * upper[p] + weight[4] * lower[p],
                    sums[3] + weight[1] * upper[p] + weight[2] * lower[p],
                    weight[0] * lower[p],
                ),
            )
            at = line + column + p
            mask = (row >= start) & (column + p < half_width)
            if even:
                level = (complete * 65536.0).to(tl.int32) * (GREY // 65536)
            else:
                level = tl.floor(complete * GREY + 0.5).to(tl.int32)
            tl.store(at, level, mask=mask)
        pending = advanced
