"""SSIM of planes in the Triton language: one launch a scale takes every pair of a ragged batch.

SSIM's terms are written with the difference u = x - y and the sum v = x + y of the pictures:

    contrast-structure = 1 - var(u) / ((var(u) + var(v)) / 2 + C2)
    luminance          = 1 - mean(u)^2 / ((mean(u)^2 + mean(v)^2) / 2 + C1)

Four filtered fields as usual, but near-equal pictures lose nothing to cancellation: what is summed
is the distance from 1. The planes of scale s hold integers, sums of 4^s pixels, which fit uint16 at
every scale; constants are scaled instead of pixels.
"""

import triton
import triton.language as tl

from iqa.gpu.window import advanced, repeated, windowed
from iqa.ms_ssim.gpu.halve import halve_tile
from iqa.ms_ssim.gpu.load import difference_and_sum

COLUMNS_PER_LANE = 2


@triton.jit(do_not_specialize=["first_tile"])
def sweep_kernel(
    tile_plane,  # int32 [T], the plane of each tile
    planes,  # int64 [scales * P, ENTRIES], see `layout`
    addresses,  # int64 [2 N], of the references, then of the distorted images
    pyramid,  # uint16, the planes of the scales after the first
    partials,  # float64 [T]
    first_tile,  # of this launch
    c1,  # the constants, times 16^scale
    c2,
    FIRST: tl.constexpr,
    LAST: tl.constexpr,
    LANES: tl.constexpr,
    ROWS: tl.constexpr,  # of a tile
    WINDOW: tl.constexpr,
    ENTRIES: tl.constexpr,
):
    """Sum 1 - contrast-structure (last scale: 1 - SSIM) over a tile and halve what lies under it.

    Grid: the tiles of one scale. A program is one warp; each lane streams down two columns.
    """
    tile = first_tile + tl.program_id(0)
    plane = planes + tl.load(tile_plane + tile).to(tl.int64) * ENTRIES
    height = tl.load(plane + 3).to(tl.int32)
    width = tl.load(plane + 4).to(tl.int32)
    stride = tl.load(plane + 5).to(tl.int32)
    within = tile - tl.load(plane + 6).to(tl.int32)
    if FIRST:
        channel = tl.load(plane + 2)
        byte = tl.pointer_type(tl.uint8)
        x = tl.load(addresses + tl.load(plane)).to(byte) + channel
        y = tl.load(addresses + tl.load(plane + 1)).to(byte) + channel
    else:
        x = pyramid + tl.load(plane)
        y = pyramid + tl.load(plane + 1)
    valid_height = height - (len(WINDOW) - 1)
    valid_width = width - (len(WINDOW) - 1)
    across = tl.cdiv(valid_width, LANES * 2) if LAST else tl.cdiv((width + 1) // 2, LANES)
    top = within // across * ROWS
    left = within % across * (LANES * 2)

    column = left + 2 * tl.arange(0, LANES)
    # Lanes beyond the last window repeat it, so that only its right neighbour can lie outside.
    first = tl.minimum(column, valid_width - 1)
    last_inside = first + len(WINDOW) < width
    # Relative to one pixel of the lane's own strip a variance cancels little where the picture is
    # smooth, and nothing where it is flat.
    middle = tl.minimum(top + ROWS // 2, height - 1).to(tl.int64) * width
    sample = (middle + first + len(WINDOW) // 2) * stride
    sample_x = tl.load(x + sample).to(tl.int32)
    sample_y = tl.load(y + sample).to(tl.int32)
    origin_u = sample_x - sample_y
    origin_v = sample_x + sample_y

    zero = tl.zeros([LANES], tl.float32)
    # Per lane and column: sums under way of u, v, u^2 and v^2.
    fields = repeated(repeated(repeated(zero, len(WINDOW) - 1), 4), 2)
    total = zero
    rows = tl.minimum(ROWS, valid_height - top)
    for step in range(tl.where(rows > 0, rows + len(WINDOW) - 1, 0)):
        at = (top + step).to(tl.int64) * width * stride + first * stride
        if FIRST and stride == 3:
            u, v = difference_and_sum(
                x + at, y + at, origin_u, origin_v, last_inside, len(WINDOW) + 1, 3
            )
        else:
            u, v = difference_and_sum(
                x + at, y + at, origin_u, origin_v, last_inside, len(WINDOW) + 1, 1
            )
        squares_u = ()
        squares_v = ()
        for k in tl.static_range(len(WINDOW) + 1):
            squares_u = squares_u + (u[k] * u[k],)
            squares_v = squares_v + (v[k] * v[k],)
        next_fields = ()
        for p in tl.static_range(2):
            mean_u, sums_u = advanced(fields[p][0], windowed(u, p, WINDOW), WINDOW)
            mean_v, sums_v = advanced(fields[p][1], windowed(v, p, WINDOW), WINDOW)
            power_u, sums_uu = advanced(fields[p][2], windowed(squares_u, p, WINDOW), WINDOW)
            power_v, sums_vv = advanced(fields[p][3], windowed(squares_v, p, WINDOW), WINDOW)
            next_fields = next_fields + ((sums_u, sums_v, sums_uu, sums_vv),)
            variance_u = power_u - mean_u * mean_u
            variance_v = power_v - mean_v * mean_v
            loss = variance_u / ((variance_u + variance_v) * 0.5 + c2)
            if LAST:
                full_u = mean_u + origin_u.to(tl.float32)
                full_v = mean_v + origin_v.to(tl.float32)
                luminance = full_u * full_u
                luminance = luminance / ((luminance + full_v * full_v) * 0.5 + c1)
                loss = loss + luminance - loss * luminance
            inside = (step >= len(WINDOW) - 1) & (column + p < valid_width)
            total += tl.where(inside, loss, 0.0)
        fields = next_fields
    tl.store(partials + tile, tl.sum(total, axis=0).to(tl.float64))

    if not LAST:
        half_x = pyramid + tl.load(plane + 8)
        half_y = pyramid + tl.load(plane + 9)
        halve_tile(x, half_x, height, width, stride, top, left, LANES, ROWS)
        halve_tile(y, half_y, height, width, stride, top, left, LANES, ROWS)
