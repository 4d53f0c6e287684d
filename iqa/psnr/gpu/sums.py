"""Sums of squared errors in the Triton language, in integers, which are exact in any order."""

import triton
import triton.language as tl

BLOCK = 1024
BLOCKS_PER_PART = 16


@triton.jit(do_not_specialize=["count"])
def sums_kernel(
    part_pair,  # int32 [T], the pair of each part
    pairs,  # int64 [N, 3]: pixels, channels, first part
    addresses,  # int64 [2 N], of the references, then of the distorted images
    sums,  # int64 [N, 3], zeros; each channel's sum is added
    count,  # N
    BLOCK: tl.constexpr,  # pixels
    BLOCKS: tl.constexpr,  # of a part
):
    """Add the squared errors of a part of a pair to its sums; grid: the parts."""
    part = tl.program_id(0)
    pair = tl.load(part_pair + part).to(tl.int64)
    pixels = tl.load(pairs + pair * 3)
    channels = tl.load(pairs + pair * 3 + 1)
    first = (part - tl.load(pairs + pair * 3 + 2)) * (BLOCK * BLOCKS)
    x = tl.load(addresses + pair).to(tl.pointer_type(tl.uint8))
    y = tl.load(addresses + count + pair).to(tl.pointer_type(tl.uint8))
    for channel in tl.static_range(3):
        if channel < channels:
            # int32 holds 16 * 255^2 for each lane, and the sum of 1024 of them.
            total = tl.zeros([BLOCK], tl.int32)
            for block in range(BLOCKS):
                pixel = first + block * BLOCK + tl.arange(0, BLOCK)
                mask = pixel < pixels
                at = pixel * channels + channel
                one = tl.load(x + at, mask=mask, other=0).to(tl.int32)
                other = tl.load(y + at, mask=mask, other=0).to(tl.int32)
                total += (one - other) * (one - other)
            tl.atomic_add(sums + pair * 3 + channel, tl.sum(total, axis=0).to(tl.int64))
