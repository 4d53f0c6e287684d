"""BRISQUE's main kernel in the Triton language: a launch for each scale of a ragged batch.

A program is one warp that streams down a tile of `4 * LANES` columns. Each lane owns four adjacent
columns and filters a fifth one again, left of them: products of neighbours then need no exchange
between lanes. The horizontal windows of the five share eleven loaded pixels; the vertical ones live
in running sums in registers, so that no filtered row touches memory.
"""

import triton
import triton.language as tl

from iqa.brisque.gpu.halve import halve_tile
from iqa.brisque.gpu.load import GREY, row_of_levels, within
from iqa.brisque.gpu.sums import store_edges, with_product
from iqa.brisque.gpu.window import above_mean, advanced_above_mean, second_differences
from iqa.gpu.window import advanced, repeated, windowed

COLUMNS_PER_LANE = 4
# A pixel less its mean is taken for 0 below these, which float32 may leave of second differences
# that cancel each other. Hardly any pixel really has less: one grey level in the corner of a window
# makes 1.6e-4, and the smallest level that halving makes of one 2e-9.
FLAT_FULL = tl.constexpr(4e-6)
FLAT_HALF = tl.constexpr(1.5e-9 * (1 << 16))


@triton.jit(do_not_specialize=["first_tile"])
def sweep_kernel(
    tile_plane,  # int32 [T], the plane of each tile
    planes,  # int64 [P, ENTRIES], see `layout`
    addresses,  # int64 [N], of the images' first bytes
    first_tile,  # of this launch
    halves,  # int32, the half-size planes, see `load`: written if FULL, else read
    edges,  # float32, see `sums.store_edges`
    partials,  # float64 [T, 22], the tiles' sums
    FULL: tl.constexpr,
    LANES: tl.constexpr,
    ROWS: tl.constexpr,  # of a tile
    WINDOW: tl.constexpr,
    BENDS: tl.constexpr,  # `window.bend_weights` of it
    ENTRIES: tl.constexpr,
):
    """Sum one tile's MSCN coefficients and products; grid: the tiles of one scale.

    Products across the plane's border are left to `sums.reduce_kernel`.
    """
    tile = first_tile + tl.program_id(0)
    plane = planes + tl.load(tile_plane + tile).to(tl.int64) * ENTRIES
    height = tl.load(plane + 1).to(tl.int32)
    width = tl.load(plane + 2).to(tl.int32)
    channels = tl.load(plane + 3).to(tl.int32)
    place = tile - tl.load(plane + 4).to(tl.int32)
    edges += tl.load(plane + 6)
    across = tl.cdiv(width, LANES * 4)
    top = place // across * ROWS
    left = place % across * (LANES * 4)
    # Whether a row of the plane has all columns that the tile reads.
    inside = (left > 0) & (left + 4 * LANES + 3 <= width)
    if FULL:
        source = tl.load(addresses + tl.load(plane)).to(tl.pointer_type(tl.uint8))
        half_plane = halves + tl.load(plane + 7)
        halve_tile(source, height, width, channels, half_plane, top, left, inside, LANES, ROWS)
    else:
        source = halves + tl.load(plane)

    column = left + 4 * tl.arange(0, LANES)
    # Values are taken relative to one pixel of the lane's own strip: E[x^2] - mu^2 then cancels
    # little where the picture is smooth.
    middle = tl.minimum(top + ROWS // 2, height - 1)
    nearest = tl.minimum(column, width - 1)
    (origin,) = row_of_levels(source, middle, nearest, height, width, channels, 0, True, 1, FULL)

    zero = tl.zeros([LANES], tl.float32)
    sums = repeated(repeated(zero, 6), 5)
    squares = repeated(repeated(zero, 6), 5)
    centres = repeated(repeated(tl.zeros_like(origin), 3), 5)
    grey: tl.constexpr = 1 if FULL else GREY
    flat: tl.constexpr = FLAT_FULL if FULL else FLAT_HALF
    previous = repeated(zero, 5)
    absolute = zero
    square = zero
    left_sums = repeated(zero, 5)
    upper_sums = repeated(zero, 5)
    upper_left_sums = repeated(zero, 5)
    lower_left_sums = repeated(zero, 5)
    for step in range(tl.minimum(ROWS, height - top) + 7):
        entering = top - 4 + step
        levels = row_of_levels(
            source, entering, column - 4, height, width, channels, origin,
            inside & within(entering, height), 11, FULL,
        )  # fmt: skip
        powers = ()
        for k in tl.static_range(11):
            value = levels[k].to(tl.float32)
            powers = powers + (value * value,)
        bends = second_differences(levels)
        next_sums = ()
        next_squares = ()
        next_centres = ()
        differences = ()
        variances = ()
        # The row whose windows this row completes.
        row = top - 7 + step
        for p in tl.static_range(5):
            two_above, above, centre = centres[p][1], centres[p][2], levels[p + 3]
            down = ((above - two_above) - (centre - above)).to(tl.float32)
            difference, under_way = advanced_above_mean(
                sums[p], above_mean(bends, p, BENDS), down, WINDOW, BENDS
            )
            next_sums = next_sums + (under_way,)
            power, under_way = advanced(squares[p], windowed(powers, p, WINDOW), WINDOW)
            next_squares = next_squares + (under_way,)
            mean = centres[p][0].to(tl.float32) - difference
            next_centres = next_centres + ((two_above, above, centre),)
            differences = differences + (tl.where(tl.abs(difference) < flat, 0.0, difference),)
            variances = variances + (tl.abs(power - mean * mean),)
        sums = next_sums
        squares = next_squares
        centres = next_centres
        coefficients = ()
        limit = tl.where(row >= 0, width, 0)
        for p in tl.static_range(5):
            is_inside = within(column - 1, limit) if p == 0 else column < limit - (p - 1)
            # The square of an inverse root costs half of what a division does.
            gain = tl.rsqrt(tl.sqrt(variances[p]) + grey)
            coefficient = differences[p] * gain * gain
            coefficients = coefficients + (tl.where(is_inside, coefficient, 0.0),)
        # Step 6 is the row above the tile, there only as the first row's upper neighbour.
        if step > 6:
            for p in tl.static_range(1, 5):
                c = coefficients[p]
                absolute += tl.abs(c)
                square += c * c
                left_sums = with_product(left_sums, c * coefficients[p - 1])
                upper_sums = with_product(upper_sums, c * previous[p])
                upper_left_sums = with_product(upper_left_sums, c * previous[p - 1])
                lower_left_sums = with_product(lower_left_sums, previous[p] * coefficients[p - 1])
            on_edge = (row == 0) | (row == height - 1) | (left == 0) | (left + 4 * LANES >= width)
            if on_edge:
                store_edges(edges, coefficients, row, column, height, width)
        previous = coefficients

    partial = partials + tile.to(tl.int64) * 22
    totals = (absolute, square) + left_sums + upper_sums + upper_left_sums + lower_left_sums
    for k in tl.static_range(22):
        tl.store(partial + k, tl.sum(totals[k], axis=0).to(tl.float64))
