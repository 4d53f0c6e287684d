"""BRISQUE's small Triton kernels: from the tiles' sums to moments, 36 features and the score."""

import triton
import triton.language as tl


@triton.jit
def product_sums(one, other, mask):
    """The five float64 sums of the products of two float32 vectors, see `features`."""
    product = tl.where(mask, one.to(tl.float64) * other.to(tl.float64), 0.0)
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
def with_pairs(total, slot, one, other, mask, FIRST: tl.constexpr):
    """The moments `total` with the products of two vectors added from slot `FIRST` on."""
    entries = product_sums(one, other, mask)
    for k in tl.static_range(5):
        total += tl.where(slot == FIRST + k, entries[k], 0.0)
    return total


@triton.jit
def reduce_kernel(
    planes,  # int64 [P, ENTRIES], see `gpu_kernels`
    edges,  # float32, see `gpu_kernels.store_edges`
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
        upper = tl.load(bottom + column, mask=mask, other=0.0)
        upper_left = tl.load(bottom + before, mask=mask, other=0.0)
        centre = tl.load(edges + column, mask=mask, other=0.0)
        centre_left = tl.load(edges + before, mask=mask, other=0.0)
        total = with_pairs(total, slot, centre, upper, mask, 7)
        total = with_pairs(total, slot, centre, upper_left, mask, 12)
        total = with_pairs(total, slot, upper, centre_left, mask, 17)

    left = edges + 2 * width
    right = left + height
    for start in range(0, height, BLOCK):
        row = start + index
        mask = row < height
        below = row + 1 < height
        on_left = tl.load(left + row, mask=mask, other=0.0)
        on_right = tl.load(right + row, mask=mask, other=0.0)
        left_below = tl.load(left + row + 1, mask=below, other=0.0)
        right_below = tl.load(right + row + 1, mask=below, other=0.0)
        total = with_pairs(total, slot, on_left, on_right, mask, 2)
        total = with_pairs(total, slot, left_below, on_right, below, 12)
        total = with_pairs(total, slot, on_left, right_below, below, 17)
    tl.store(moments + tl.program_id(0) * 22 + slot, total, mask=slot < 22)


@triton.jit
def finite(value):
    """Whether it is a number; `value - value == 0` may be fused with how the value came about."""
    return tl.abs(value) < float("inf")


@triton.jit
def nearest(table, values, LENGTH: tl.constexpr):
    """`features.nearest` for values `[B]` in the ascending `table` of `LENGTH` entries."""
    low = tl.zeros(values.shape, tl.int32)
    high = low + LENGTH
    while tl.max(high - low, axis=0) > 0:
        middle = (low + high) // 2
        entry = tl.load(table + middle, mask=middle < LENGTH, other=0.0)
        smaller = (low < high) & (entry < values)
        high = tl.where(smaller, high, middle)
        low = tl.where(smaller, middle + 1, low)
    above = tl.minimum(tl.maximum(low, 1), LENGTH - 1)
    to_lower = values - tl.load(table + above - 1)
    to_upper = tl.load(table + above) - values
    return above - (to_lower <= to_upper).to(tl.int32)


@triton.jit(do_not_specialize=["images"])
def scores_kernel(
    planes,  # int64 [2 N, ENTRIES]
    moments,  # float64 [2 N, 22]
    fits,  # float64 [4, LENGTH]: ratios, inverse ratios (both ascending), shapes, spreads
    vectors,  # float64 [36, V], scaled to [-1, 1] as the features are
    coefficients,  # float64 [V]
    feature_gain,  # float64 [36]
    feature_offset,  # float64 [36]
    results,  # float64 [N, 37]: the features, the score
    images,
    gamma: tl.constexpr,
    rho: tl.constexpr,
    VECTORS: tl.constexpr,
    LENGTH: tl.constexpr,
    ENTRIES: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Fit an image's ten distributions side by side and regress; grid: images.

    Slots 0 to 3 of each scale are the four products, slot 4 is the coefficients themselves.
    """
    image = tl.program_id(0)
    slot = tl.arange(0, 16)
    direction = slot % 8
    symmetric = direction == 4
    fitted = direction <= 4
    plane = slot // 8 * images + image
    count = tl.load(planes + plane * ENTRIES + 1) * tl.load(planes + plane * ENTRIES + 2)
    count = count.to(tl.float64)

    sums = moments + plane * 22
    absolute = tl.load(sums) / count
    square = tl.load(sums + 1) / count
    inverse = square / (absolute * absolute)

    pairs = sums + 2 + 5 * tl.minimum(direction, 3)
    left_square = tl.load(pairs + 3)
    right_square = tl.load(pairs + 4)
    left = tl.sqrt(left_square / tl.load(pairs))
    right = tl.sqrt(right_square / tl.load(pairs + 1))
    skew = left / right
    pair_absolute = tl.load(pairs + 2) / count
    ratio = pair_absolute * pair_absolute / ((left_square + right_square) / count)
    skew_square = skew * skew + 1.0
    ratio *= (skew_square * skew - skew + 1.0) * (skew + 1.0) / (skew_square * skew_square)

    value = tl.where(symmetric, inverse, ratio)
    index = nearest(fits + tl.where(symmetric, LENGTH, 0), value, LENGTH)
    index = tl.where(symmetric, LENGTH - 1 - index, index)
    shape = tl.load(fits + 2 * LENGTH + index)
    spread = tl.load(fits + 3 * LENGTH + index)
    # The symmetric fit has two features, an asymmetric one four.
    features = (
        shape,
        tl.where(symmetric, square, (right - left) * spread),
        left * left,
        right * right,
    )
    first = slot // 8 * 18 + tl.where(symmetric, 0, 2 + 4 * direction)

    undefined = ~finite(value) | ~finite(inverse)
    undefined = undefined | (left_square == 0) | (right_square == 0)
    for k in tl.static_range(4):
        undefined = undefined | (~symmetric & ~finite(features[k]))
    undefined = tl.max((fitted & undefined).to(tl.int32), axis=0) > 0
    nan = float("nan")

    total = tl.zeros([BLOCK], tl.float64)
    for start in range(0, VECTORS, BLOCK):
        vector = start + tl.arange(0, BLOCK)
        distance = tl.zeros([16, BLOCK], tl.float64)
        for k in tl.static_range(4):
            used = fitted & ((k < 2) | ~symmetric)
            at = first + k
            gain = tl.load(feature_gain + at, mask=used, other=0.0)
            offset = tl.load(feature_offset + at, mask=used, other=0.0)
            scaled = tl.where(used, features[k] * gain + offset, 0.0)
            mask = used[:, None] & (vector < VECTORS)[None, :]
            entries = tl.load(
                vectors + at[:, None] * VECTORS + vector[None, :], mask=mask, other=0.0
            )
            difference = scaled[:, None] - entries
            distance += difference * difference
        kernel = tl.exp(-gamma * tl.sum(distance, axis=0))
        total += kernel * tl.load(coefficients + vector, mask=vector < VECTORS, other=0.0)
    score = tl.sum(total, axis=0) - rho
    row = results + image * 37
    tl.store(row + 36, tl.where(undefined, nan, score))
    for k in tl.static_range(4):
        used = fitted & ((k < 2) | ~symmetric)
        tl.store(row + first + k, tl.where(undefined, nan, features[k]), mask=used)
