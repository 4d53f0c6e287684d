"""MS-SSIM's next scale in the Triton language: sums of 2x2 pixels from the top left."""

import triton
import triton.language as tl


@triton.jit
def halve_tile(
    source,  # of [height, width], `stride` apart
    half,  # uint16 [ceil(height / 2), ceil(width / 2)]
    height,
    width,
    stride,
    top,  # of the tile
    left,
    LANES: tl.constexpr,
    ROWS: tl.constexpr,
):
    """Sum the 2x2 blocks under a tile; an odd side's last row or column counts twice."""
    half_height = (height + 1) // 2
    half_width = (width + 1) // 2
    column = (left // 2 + tl.arange(0, LANES))[None, :]
    inside = column < half_width
    first = 2 * tl.minimum(column, half_width - 1)
    second = tl.minimum(first + 1, width - 1)
    for start in range(top // 2, tl.minimum((top + ROWS) // 2, half_height), 8):
        row = (start + tl.arange(0, 8))[:, None]
        mask = (row < half_height) & inside
        row = tl.minimum(row, half_height - 1)
        upper = source + (2 * row).to(tl.int64) * width * stride
        lower = source + tl.minimum(2 * row + 1, height - 1).to(tl.int64) * width * stride
        total = tl.load(upper + first * stride).to(tl.int32)
        total += tl.load(upper + second * stride).to(tl.int32)
        total += tl.load(lower + first * stride).to(tl.int32)
        total += tl.load(lower + second * stride).to(tl.int32)
        at = half + row.to(tl.int64) * half_width + column
        tl.store(at, total.to(tl.uint16), mask=mask)
