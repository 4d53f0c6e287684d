"""Device functions in the Triton language that read a plane of one of BRISQUE's two scales.

The full-size plane is the luma of uint8 pixels; the half-size plane is int32, grey minus 128 in
units of 1 / `GREY`. Both are exact, and so are the differences of their levels.
"""

import triton
import triton.language as tl

GREY = tl.constexpr(1 << 16)  # a grey level of a half-size plane: its weights are 2^-16 multiples
BLACK = tl.constexpr(-128 << 16)


@triton.jit
def luma(at, CHANNELS: tl.constexpr, mask=None, other=None):
    """Grey of the uint8 pixels that start at `at`, int32, as Pillow's `convert("L")`."""
    grey = tl.load(at, mask=mask, other=other).to(tl.int32)
    if CHANNELS == 3:
        green = tl.load(at + 1, mask=mask, other=other).to(tl.int32)
        blue = tl.load(at + 2, mask=mask, other=other).to(tl.int32)
        grey = (19595 * grey + 38470 * green + 7471 * blue + 32768) >> 16
    return grey


@triton.jit
def within(index, length):
    """0 <= index < length, in one comparison."""
    return index.to(tl.uint32, bitcast=True) < length.to(tl.uint32, bitcast=True)


@triton.jit
def run_of_levels(
    source,  # of the plane
    row,
    column,  # int32 [LANES], each lane's first
    height,
    width,
    origin,  # [LANES], subtracted
    COUNT: tl.constexpr,
    CHANNELS: tl.constexpr,
    FULL: tl.constexpr,
    INSIDE: tl.constexpr,
):
    """Levels less `origin` of `COUNT` adjacent columns, a tuple; black outside the plane.

    float32 if the plane is `FULL`, else int32.
    """
    at = source + row.to(tl.int64) * width * CHANNELS + column * CHANNELS
    levels = ()
    for k in tl.static_range(COUNT):
        mask = None if INSIDE else within(column + k, width) & within(row, height)
        if FULL:
            level = luma(at + k * CHANNELS, CHANNELS, mask, None if INSIDE else 0).to(tl.float32)
        else:
            level = tl.load(at + k, mask=mask, other=None if INSIDE else BLACK)
        levels = levels + (level - origin,)
    return levels


@triton.jit
def row_of_levels(
    source, row, column, height, width, channels, origin, inside,
    COUNT: tl.constexpr, FULL: tl.constexpr,
):  # fmt: skip
    """`run_of_levels` for a number of channels and a place that are known only when it runs."""
    # The branches are on scalars and enclose the whole row.
    if FULL and channels == 3:
        if inside:
            levels = run_of_levels(source, row, column, height, width, origin, COUNT, 3, FULL, True)
        else:
            levels = run_of_levels(
                source, row, column, height, width, origin, COUNT, 3, FULL, False
            )
    elif inside:
        levels = run_of_levels(source, row, column, height, width, origin, COUNT, 1, FULL, True)
    else:
        levels = run_of_levels(source, row, column, height, width, origin, COUNT, 1, FULL, False)
    return levels
