"""From the sums of SSIM's tiles to the terms of planes, and the scores, in the Triton language."""

import triton
import triton.language as tl


@triton.jit
def reduce_kernel(
    planes,  # int64 [scales * P, ENTRIES], see `layout`
    partials,  # float64 [T]
    terms,  # float64 [scales * P]
    MARGIN: tl.constexpr,
    ENTRIES: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Each plane's mean term, its tiles added in their order; grid: the planes of all scales."""
    plane = planes + tl.program_id(0) * ENTRIES
    first, count = tl.load(plane + 6), tl.load(plane + 7)
    total = tl.zeros([BLOCK], tl.float64)
    for start in range(0, count, BLOCK):
        index = start + tl.arange(0, BLOCK)
        total += tl.load(partials + first + index, mask=index < count, other=0.0)
    pixels = (tl.load(plane + 3) - MARGIN) * (tl.load(plane + 4) - MARGIN)
    mean = tl.sum(total, axis=0) / pixels.to(tl.float64)
    tl.store(terms + tl.program_id(0), 1.0 - mean)


@triton.jit(do_not_specialize=["count"])
def pool_kernel(
    pairs,  # int64 [N, 2]: first plane and number of channels of each pair
    terms,  # float64 [SCALES, count]
    exponents,  # float64 [SCALES]
    results,  # float64 [N, 1 + SCALES]: the score, the terms' means over channels
    count,  # planes of a scale
    SCALES: tl.constexpr,
):
    """`pooling.pool` of each pair; grid: the pairs."""
    pair = tl.program_id(0)
    first = tl.load(pairs + 2 * pair)
    channels = tl.load(pairs + 2 * pair + 1)
    scale = tl.arange(0, 8)
    channel = tl.arange(0, 4)
    mask = (scale < SCALES)[:, None] & (channel < channels)[None, :]
    at = scale[:, None] * count + first + channel[None, :]
    term = tl.load(terms + at, mask=mask, other=1.0)
    exponent = tl.load(exponents + scale, mask=scale < SCALES, other=0.0)[:, None]
    products = tl.exp(tl.sum(exponent * tl.log(tl.maximum(term, 0.0)), axis=0))
    products = tl.where(channel < channels, products, 0.0)
    row = results + pair * (SCALES + 1)
    tl.store(row, tl.sum(products, axis=0) / channels.to(tl.float64))
    means = tl.sum(tl.where(mask, term, 0.0), axis=1) / channels.to(tl.float64)
    tl.store(row + 1 + scale, means, mask=scale < SCALES)
