"""The 22 sums of `features` in the Triton language: of a lane, of a tile's edges, of a plane.

A plane wraps around, so that its outermost coefficients have neighbours on the opposite edge. The
sweep keeps these coefficients, and `reduce_kernel` adds their products.
"""

import triton
import triton.language as tl


@triton.jit
def with_product(sums, product):
    """The five sums of one direction, of each lane, with a product added."""
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
def store_edges(edges, coefficients, row, column, height, width):
    """Keep the plane's outermost coefficients.

    Layout: top row, bottom row (`width` each), left column, right column (`height` each).
    """
    for p in tl.static_range(1, 5):
        at = column + p - 1
        mask = at < width
        value = coefficients[p]
        tl.store(edges + at, value, mask=mask & (row == 0))
        tl.store(edges + width + at, value, mask=mask & (row == height - 1))
        tl.store(edges + 2 * width + row + 0 * at, value, mask=mask & (at == 0))
        tl.store(edges + 2 * width + height + row + 0 * at, value, mask=mask & (at == width - 1))


@triton.jit
def product_sums(product):
    """The five sums of float64 products `[B]`."""
    negative = tl.minimum(product, 0.0)
    positive = tl.maximum(product, 0.0)
    return (
        tl.sum((product < 0).to(tl.float64), axis=0),
        tl.sum((product > 0).to(tl.float64), axis=0),
        tl.sum(tl.abs(product), axis=0),
        tl.sum(negative * negative, axis=0),
        tl.sum(positive * positive, axis=0),
    )


@triton.jit
def with_products(total, slot, one, other, FIRST: tl.constexpr):
    """The moments `total` with the products of two float64 vectors added from slot `FIRST` on."""
    entries = product_sums(one * other)
    for k in tl.static_range(5):
        total += tl.where(slot == FIRST + k, entries[k], 0.0)
    return total


@triton.jit
def edge(at, mask):
    """Coefficients of an edge, float64, 0 outside."""
    return tl.load(at, mask=mask, other=0.0).to(tl.float64)


@triton.jit
def reduce_kernel(
    planes,  # int64 [P, ENTRIES], see `layout`
    edges,  # float32, see `store_edges`
    partials,  # float64 [T, 22]
    moments,  # float64 [P, 22]
    ENTRIES: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Sum a plane's tiles in their order and add the products that wrap around; grid: planes."""
    plane = planes + tl.program_id(0) * ENTRIES
    height = tl.load(plane + 1).to(tl.int32)
    width = tl.load(plane + 2).to(tl.int32)
    first = tl.load(plane + 4)
    tiles = tl.load(plane + 5).to(tl.int32)
    edges += tl.load(plane + 6)
    slot = tl.arange(0, 32)
    index = tl.arange(0, BLOCK)
    total = tl.zeros([32], tl.float64)
    for start in range(0, tiles, BLOCK):
        at = (first + start + index)[:, None] * 22 + slot[None, :]
        mask = (start + index < tiles)[:, None] & (slot < 22)[None, :]
        total += tl.sum(tl.load(partials + at, mask=mask, other=0.0), axis=0)

    bottom = edges + width
    for start in range(0, width, BLOCK):
        column = start + index
        mask = column < width
        before = tl.where(column == 0, width - 1, column - 1)
        centre, centre_left = edge(edges + column, mask), edge(edges + before, mask)
        upper, upper_left = edge(bottom + column, mask), edge(bottom + before, mask)
        total = with_products(total, slot, centre, upper, 7)
        total = with_products(total, slot, centre, upper_left, 12)
        total = with_products(total, slot, upper, centre_left, 17)

    left = edges + 2 * width
    right = left + height
    for start in range(0, height, BLOCK):
        row = start + index
        mask = row < height
        on_left, on_right = edge(left + row, mask), edge(right + row, mask)
        below = row + 1 < height
        left_below, right_below = edge(left + row + 1, below), edge(right + row + 1, below)
        total = with_products(total, slot, on_left, on_right, 2)
        total = with_products(total, slot, left_below, on_right, 12)
        total = with_products(total, slot, on_left, right_below, 17)
    tl.store(moments + tl.program_id(0) * 22 + slot, total, mask=slot < 22)
