"""BRISQUE's 22 sums in float64, for the few images of which float32 leaves two fits tied.

Plain where the sweep is fast: each coefficient is made from its 49 pixels, and each is made four
times, for itself and for three of the neighbours that it is multiplied by.
"""

import triton
import triton.language as tl

from iqa.brisque.gpu.load import GREY, luma, within
from iqa.brisque.gpu.sums import product_sums


@triton.jit
def coefficient(
    source, row, column, height, width, window, flat, CHANNELS: tl.constexpr, FULL: tl.constexpr
):
    """`reference.mscn` of the pixels at `row` and `column`, float64 `[BLOCK]`."""
    mean = tl.zeros(row.shape, tl.float64)
    power = tl.zeros(row.shape, tl.float64)
    centre = tl.zeros(row.shape, tl.float64)
    for tap in range(49):
        y, x = row + tap // 7 - 3, column + tap % 7 - 3
        mask = within(y, height) & within(x, width)
        at = source + (y.to(tl.int64) * width + x) * CHANNELS
        if FULL:
            level = luma(at, CHANNELS, mask, 0).to(tl.float64)
        else:
            level = tl.load(at, mask=mask, other=0).to(tl.float64) / GREY + 128
            level = tl.where(mask, level, 0.0)
        weight = tl.load(window + tap // 7) * tl.load(window + tap % 7)
        mean += weight * level
        power += weight * level * level
        centre = tl.where(tap == 24, level, centre)
    difference = centre - mean
    difference = tl.where(tl.abs(difference) < flat, 0.0, difference)
    return difference / (tl.sqrt(tl.abs(power - mean * mean)) + 1.0)


@triton.jit
def part_of_plane(
    source, height, width, window, flat, out,
    CHANNELS: tl.constexpr, FULL: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Store the sums of every so many-th block of a plane's pixels at `out`."""
    slot = tl.arange(0, 32)
    total = tl.zeros([32], tl.float64)
    pixels = height.to(tl.int64) * width
    first = tl.program_id(1).to(tl.int64) * BLOCK
    for start in range(first, pixels, tl.num_programs(1) * BLOCK):
        pixel = start + tl.arange(0, BLOCK)
        mask = pixel < pixels
        pixel = tl.minimum(pixel, pixels - 1)
        row, column = (pixel // width).to(tl.int32), (pixel % width).to(tl.int32)
        above = tl.where(row == 0, height, row) - 1
        before = tl.where(column == 0, width, column) - 1
        centre = coefficient(source, row, column, height, width, window, flat, CHANNELS, FULL)
        left = coefficient(source, row, before, height, width, window, flat, CHANNELS, FULL)
        upper = coefficient(source, above, column, height, width, window, flat, CHANNELS, FULL)
        upper_left = coefficient(source, above, before, height, width, window, flat, CHANNELS, FULL)
        products = (centre * left, centre * upper, centre * upper_left, upper * left)
        sums = (
            tl.sum(tl.where(mask, tl.abs(centre), 0.0), axis=0),
            tl.sum(tl.where(mask, centre * centre, 0.0), axis=0),
        )
        for k in tl.static_range(4):
            sums = sums + product_sums(tl.where(mask, products[k], 0.0))
        for k in tl.static_range(22):
            total += tl.where(slot == k, sums[k], 0.0)
    tl.store(out + slot, total, mask=slot < 22)


@triton.jit
def exact_kernel(
    chosen,  # int64 [M], rows of `planes`
    planes,  # int64 [P, ENTRIES], see `layout`
    addresses,  # int64 [N], of the images' first bytes
    halves,  # int32, the half-size planes, see `load`
    window,  # float64 [7]
    partials,  # float64 [M, parts, 22]
    flat,  # differences from the mean below it are 0
    FULL: tl.constexpr,
    ENTRIES: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Sum a part of a plane of one scale; grid: the chosen planes, parts of each."""
    index = tl.program_id(0)
    plane = planes + tl.load(chosen + index) * ENTRIES
    height = tl.load(plane + 1).to(tl.int32)
    width = tl.load(plane + 2).to(tl.int32)
    out = partials + (index * tl.num_programs(1) + tl.program_id(1)).to(tl.int64) * 22
    if FULL:
        source = tl.load(addresses + tl.load(plane)).to(tl.pointer_type(tl.uint8))
        if tl.load(plane + 3) == 3:
            part_of_plane(source, height, width, window, flat, out, 3, FULL, BLOCK)
        else:
            part_of_plane(source, height, width, window, flat, out, 1, FULL, BLOCK)
    else:
        source = halves + tl.load(plane)
        part_of_plane(source, height, width, window, flat, out, 1, FULL, BLOCK)
