"""What a row of a pair of planes adds to SSIM's fields, in the Triton language."""

import triton
import triton.language as tl


@triton.jit
def difference_and_sum(
    x,  # addresses [LANES] of each lane's first pixel
    y,
    origin_u,  # int32 [LANES]
    origin_v,
    last_inside,  # bool [LANES], whether the last pixel lies in the row
    COUNT: tl.constexpr,
    STRIDE: tl.constexpr,
):
    """u and v of adjacent pixels relative to their origins, tuples of float32.

    Only the last of the `COUNT` pixels may lie outside the row, where 0 stands for it.
    """
    differences = ()
    sums = ()
    for k in tl.static_range(COUNT):
        if k < COUNT - 1:
            one = tl.load(x + k * STRIDE).to(tl.int32)
            other = tl.load(y + k * STRIDE).to(tl.int32)
        else:
            one = tl.load(x + k * STRIDE, mask=last_inside, other=0).to(tl.int32)
            other = tl.load(y + k * STRIDE, mask=last_inside, other=0).to(tl.int32)
        differences = differences + ((one - other - origin_u).to(tl.float32),)
        sums = sums + ((one + other - origin_v).to(tl.float32),)
    return differences, sums
