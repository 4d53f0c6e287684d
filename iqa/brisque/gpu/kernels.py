"""BRISQUE's main Triton kernel: one launch takes every plane of a ragged batch to MSCN sums.

A program is one warp that streams down a tile of `4 * LANES` columns. Each lane owns four adjacent
columns, whose horizontal windows share eleven loaded pixels; the vertical windows live in running
sums in registers, so that no filtered row touches memory. A fifth column, left of the four, is
filtered again by each lane: products of neighbours then need no exchange between lanes.

A pixel less its window's mean is summed from second differences of neighbouring pixels. They are
exact, so that float32 gives exactly 0 where the picture is flat or a straight slope.
"""

import numpy as np
import triton
import triton.language as tl
from numpy.typing import NDArray

from iqa.brisque.gpu.halving import halve_tile
from iqa.brisque.gpu.pixels import GREY, run_of_levels, run_with_border, within
from iqa.gpu.streaming import advanced, repeated, windowed

Array = NDArray[np.float64]

# A row of the plane table, int64: source (the image's address, or its offset in `halves`), height,
# width, channels, first tile, number of tiles, offset in `edges`; and of a full-size plane the
# offsets of its half in `halves` and of its row and column weights in `weights`.
ENTRIES = 10
MOMENTS = 22
COLUMNS_PER_LANE = 4
# A pixel less its mean is taken for 0 below these, which float32 may leave of second differences
# that cancel each other. Hardly any pixel really has less: one grey level in the corner of a window
# makes 1.6e-4, and the smallest level that `imresize` makes of one 2e-9.
FLAT = tl.constexpr(4e-6)
FLAT_HALF = tl.constexpr(1.5e-9 * (48 << 16))


def bend_weights(window: Array) -> tuple[float, ...]:
    """The weights of the second differences `2 b - a - c` under a symmetric window.

    So weighted and summed, they make the middle pixel less the window's mean. They are one fewer
    than the window's pixels at each end, and half of them, from the end to the middle, is given.
    """
    return tuple(map(float, np.cumsum(np.cumsum(window[: len(window) // 2]))))


@triton.jit
def second_differences(levels, FULL: tl.constexpr):
    """Second differences `2 b - a - c` of adjacent levels, a tuple of float32."""
    steps = ()
    for k in tl.static_range(len(levels) - 1):
        steps = steps + (levels[k + 1] - levels[k],)
    values = ()
    for k in tl.static_range(len(levels) - 2):
        values = values + (second_difference(steps[k], steps[k + 1], FULL),)
    return values


@triton.jit
def second_difference(step, next_step, FULL: tl.constexpr):
    """The second difference of two steps; 0 where a half-size plane's rounding may have made it."""
    difference = step - next_step
    if not FULL:
        difference = tl.where(tl.abs(difference) <= 2, 0, difference)
    return difference.to(tl.float32)


@triton.jit
def above_mean(bends, first, WEIGHTS: tl.constexpr):
    """A pixel less the mean of its row's window, under which `bends` from `first` on lie."""
    middle: tl.constexpr = len(WEIGHTS) - 1
    total = WEIGHTS[middle] * bends[first + middle]
    for k in tl.static_range(middle):
        total += WEIGHTS[k] * (bends[first + k] + bends[first + 2 * middle - k])
    return total


@triton.jit
def advanced_above_mean(sums, across, down, WINDOW: tl.constexpr, WEIGHTS: tl.constexpr):
    """As `streaming.advanced`, for pixels less the means of their two-dimensional windows.

    `across` is `above_mean` of the row that enters, `down` the second difference around the row
    above it.
    """
    middle: tl.constexpr = len(WEIGHTS) - 1
    complete = sums[0] + WINDOW[0] * across + WEIGHTS[0] * down
    under_way = ()
    for k in tl.static_range(1, len(WINDOW) - 1):
        value = sums[k] + WINDOW[k] * across
        if k <= 2 * middle:
            value += WEIGHTS[k if k <= middle else 2 * middle - k] * down
        under_way = under_way + (value,)
    return complete, under_way + (WINDOW[0] * across,)


@triton.jit
def with_product(sums, product):
    """The five sums of one direction, see `features`, with a product added."""
    negative = tl.minimum(product, 0.0)
    positive = tl.maximum(product, 0.0)
    return (
        sums[0] + (product < 0).to(tl.float32),
        sums[1] + (product > 0).to(tl.float32),
        sums[2] + tl.abs(product),
        sums[3] + negative * negative,
        sums[4] + positive * positive,
    )


@triton.jit
def store_edges(edges, coefficients, row, column, height, width, inside):
    """Keep the plane's outermost coefficients, whose neighbours are on the opposite edge.

    Layout: top row, bottom row (`width` each), left column, right column (`height` each).
    """
    for p in tl.static_range(1, 5):
        at = column + p - 1
        mask = inside & (at < width)
        value = coefficients[p]
        tl.store(edges + at, value, mask=mask & (row == 0))
        tl.store(edges + width + at, value, mask=mask & (row == height - 1))
        tl.store(edges + 2 * width + row + 0 * at, value, mask=mask & (at == 0))
        tl.store(edges + 2 * width + height + row + 0 * at, value, mask=mask & (at == width - 1))


@triton.jit(do_not_specialize=["first_tile"])
def moments_kernel(
    tile_plane,  # int32 [T], the plane of each tile
    planes,  # int64 [P, ENTRIES]
    first_tile,  # of this launch
    weights,  # float64, see `gpu_halving`
    halves,  # int32, the half-size planes, see `gpu_pixels`: written if FULL, else read
    edges,  # float32, see `store_edges`
    partials,  # float64 [T, MOMENTS]
    FULL: tl.constexpr,
    LANES: tl.constexpr,
    ROWS: tl.constexpr,
    WINDOW: tl.constexpr,
    BENDS: tl.constexpr,  # `bend_weights` of it
    ENTRIES: tl.constexpr,
):
    """Sum one tile's MSCN coefficients and products; grid: the tiles of one scale.

    Products across the plane's border are left to `gpu_scores`.
    """
    tile = first_tile + tl.program_id(0)
    plane = planes + tl.load(tile_plane + tile).to(tl.int64) * ENTRIES
    height = tl.load(plane + 1).to(tl.int32)
    width = tl.load(plane + 2).to(tl.int32)
    channels = tl.load(plane + 3).to(tl.int32)
    place = tile - tl.load(plane + 4).to(tl.int32)
    across = tl.cdiv(width, LANES * 4)
    top = place // across * ROWS
    left = place % across * (LANES * 4)
    if FULL:
        source = tl.load(plane).to(tl.pointer_type(tl.uint8))
        half_plane = halves + tl.load(plane + 7)
        row_weights = weights + tl.load(plane + 8)
        column_weights = weights + tl.load(plane + 9)
        if (height % 2 == 0) & (width % 2 == 0):
            halve_tile(
                source, height, width, channels, half_plane, row_weights, column_weights,
                top, left, 8, LANES, ROWS,
            )  # fmt: skip
        else:
            halve_tile(
                source, height, width, channels, half_plane, row_weights, column_weights,
                top, left, 9, LANES, ROWS,
            )  # fmt: skip
    else:
        source = halves + tl.load(plane)
    edges += tl.load(plane + 6)

    column = left + 4 * tl.arange(0, LANES)
    # Values are taken relative to one pixel of the lane's own strip: E[x^2] - mu^2 then cancels
    # little where the picture is smooth.
    middle = tl.minimum(top + ROWS // 2, height - 1)
    nearest = tl.minimum(column, width - 1)
    (origin,) = run_of_levels(source, middle, nearest, width, channels, 0, 1, FULL)
    interior = (left > 0) & (left + 4 * LANES + 3 <= width)

    zero = tl.zeros([LANES], tl.float32)
    sums = repeated(repeated(zero, 6), 5)
    squares = repeated(repeated(zero, 6), 5)
    centres = repeated(repeated(tl.zeros_like(origin), 3), 5)
    grey: tl.constexpr = 1 if FULL else GREY
    flat: tl.constexpr = FLAT if FULL else FLAT_HALF
    previous = repeated(zero, 5)
    absolute = zero
    square = zero
    left_sums = repeated(zero, 5)
    upper_sums = repeated(zero, 5)
    upper_left_sums = repeated(zero, 5)
    lower_left_sums = repeated(zero, 5)
    for step in range(tl.minimum(ROWS, height - top) + 7):
        entering = top - 4 + step
        # The branch is on scalars and encloses the whole row.
        if interior & within(entering, height):
            levels = run_of_levels(source, entering, column - 4, width, channels, origin, 11, FULL)
        else:
            levels = run_with_border(
                source, entering, column - 4, height, width, channels, origin, 11, FULL
            )
        powers = ()
        for k in tl.static_range(11):
            value = levels[k].to(tl.float32)
            powers = powers + (value * value,)
        bends = second_differences(levels, FULL)
        next_sums = ()
        next_squares = ()
        next_centres = ()
        differences = ()
        variances = ()
        # The row whose windows this row completes.
        row = top - 7 + step
        in_rows = (step >= 6) & (row >= 0)
        for p in tl.static_range(5):
            two_above, above, centre = centres[p][1], centres[p][2], levels[p + 3]
            difference, under_way = advanced_above_mean(
                sums[p],
                above_mean(bends, p, BENDS),
                second_difference(above - two_above, centre - above, FULL),
                WINDOW,
                BENDS,
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
        limit = tl.where(in_rows, width, 0)
        for p in tl.static_range(5):
            inside = within(column - 1, limit) if p == 0 else column < limit - (p - 1)
            # The square of an inverse root costs half of what a division does.
            gain = tl.rsqrt(tl.sqrt(variances[p]) + grey)
            coefficient = differences[p] * gain * gain
            coefficients = coefficients + (tl.where(inside, coefficient, 0.0),)
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
                store_edges(edges, coefficients, row, column, height, width, column >= 0)
        previous = coefficients

    partial = partials + tile.to(tl.int64) * 22
    totals = (absolute, square) + left_sums + upper_sums + upper_left_sums + lower_left_sums
    for k in tl.static_range(22):
        tl.store(partial + k, tl.sum(totals[k], axis=0).to(tl.float64))
