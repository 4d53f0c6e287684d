"""From BRISQUE's sums to its 36 features and the score, in the Triton language."""

import triton
import triton.language as tl


@triton.jit
def finite(value):
    """Whether it is a number; `value - value == 0` may be fused with how the value came about."""
    return tl.abs(value) < float("inf")


@triton.jit
def nearest(table, values, limit, LENGTH: tl.constexpr):
    """`features.nearest` for values `[B]` in the ascending `table` of `LENGTH` entries.

    Also returns whether two entries are tied, as in `features.is_tie`, but beyond the ends, too.
    """
    low = tl.zeros(values.shape, tl.int32)
    high = low + LENGTH
    while tl.max(high - low, axis=0) > 0:
        middle = (low + high) // 2
        entry = tl.load(table + middle, mask=middle < LENGTH, other=0.0)
        smaller = (low < high) & (entry < values)
        high = tl.where(smaller, high, middle)
        low = tl.where(smaller, middle + 1, low)
    above = tl.minimum(tl.maximum(low, 1), LENGTH - 1)
    lower, upper = tl.load(table + above - 1), tl.load(table + above)
    tied = tl.abs(values - (lower + upper) / 2) < limit * values
    return above - (values - lower <= upper - values).to(tl.int32), tied


@triton.jit(do_not_specialize=["images"])
def scores_kernel(
    planes,  # int64 [2 N, ENTRIES], see `layout`
    moments,  # float64 [2 N, 22]
    fits,  # float64 [4, LENGTH]: ratios, inverse ratios (both ascending), shapes, spreads
    vectors,  # float64 [36, V], scaled to [-1, 1] as the features are
    coefficients,  # float64 [V]
    feature_gain,  # float64 [36]
    feature_offset,  # float64 [36]
    results,  # float64 [N, 38]: the score, the features, 1 if two fits are tied else 0
    images,  # N
    limit,  # see `nearest`
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
    skew_square = skew * skew
    ratio *= (skew_square * skew + 1) * (skew + 1) / ((skew_square + 1) * (skew_square + 1))

    value = tl.where(symmetric, inverse, ratio)
    index, tied = nearest(fits + tl.where(symmetric, LENGTH, 0), value, limit, LENGTH)
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

    undefined = ~finite(value) | (left_square == 0) | (right_square == 0)
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
    row = results + image.to(tl.int64) * 38
    tl.store(row, tl.where(undefined, nan, score))
    tl.store(row + 37, tl.max((fitted & tied).to(tl.int32), axis=0).to(tl.float64))
    for k in tl.static_range(4):
        used = fitted & ((k < 2) | ~symmetric)
        tl.store(row + 1 + first + k, tl.where(undefined, nan, features[k]), mask=used)
