"""Triton device functions that read a plane: uint8 grey or RGB, or a half-size plane.

A half-size plane is int32, grey minus 128 in units of a `GREY`th: exact where both sides of the
picture are even, rounded where one is odd. Differences of its levels have nothing to round.
"""

import triton
import triton.language as tl

# A grey level of a half-size plane. Even pictures need multiples of 2^16; more is room for a black
# border below the second difference that overflows, 682 levels, as `imresize` overshoots.
GREY = tl.constexpr(48 << 16)
BLACK = tl.constexpr(-128 * (48 << 16))


@triton.jit
def luma(at, channels, mask=None, other=None):
    """Grey of the uint8 pixels that start at `at`, int32, as `convert("L")`."""
    grey = tl.load(at, mask=mask, other=other).to(tl.int32)
    if channels == 3:
        green = tl.load(at + 1, mask=mask, other=other).to(tl.int32)
        blue = tl.load(at + 2, mask=mask, other=other).to(tl.int32)
        grey = (19595 * grey + 38470 * green + 7471 * blue + 32768) >> 16
    return grey


@triton.jit
def within(index, length):
    """0 <= index < length, in one comparison."""
    return index.to(tl.uint32, bitcast=True) < length.to(tl.uint32, bitcast=True)


@triton.jit
def run_of_luma(at, COUNT: tl.constexpr, CHANNELS: tl.constexpr):
    """`luma` of `COUNT` adjacent pixels, a tuple."""
    values = ()
    for k in tl.static_range(COUNT):
        values = values + (luma(at + k * CHANNELS, CHANNELS),)
    return values


@triton.jit
def run_of_levels(
    source, row, column, width, channels, origin, COUNT: tl.constexpr, FULL: tl.constexpr
):
    """Levels less `origin` of adjacent columns from `column` on, all in the plane.

    A tuple, of float32 if the plane is `FULL`, else of int32: differences are exact in both.
    """
    at = source + row.to(tl.int64) * width * channels + column * channels
    if not FULL:
        read = ()
        for k in tl.static_range(COUNT):
            read = read + (tl.load(at + k),)
    elif channels == 3:
        read = run_of_luma(at, COUNT, 3)
    else:
        read = run_of_luma(at, COUNT, 1)
    levels = ()
    for k in tl.static_range(COUNT):
        level = read[k].to(tl.float32) if FULL else read[k]
        levels = levels + (level - origin,)
    return levels


@triton.jit
def run_with_border(
    source, row, column, height, width, channels, origin, COUNT: tl.constexpr, FULL: tl.constexpr
):
    """As `run_of_levels`, black outside the plane."""
    at = source + row.to(tl.int64) * width * channels + column * channels
    levels = ()
    for k in tl.static_range(COUNT):
        mask = within(column + k, width) & within(row, height)
        if FULL:
            grey = luma(at + k * channels, channels, mask, 0)
            level = tl.where(mask, grey.to(tl.float32) - origin, -origin)
        else:
            level = tl.load(at + k, mask=mask, other=BLACK) - origin
        levels = levels + (level,)
    return levels


@triton.jit
def mirrored_luma(line, column, width, COUNT: tl.constexpr, CHANNELS: tl.constexpr):
    """`luma` of `COUNT` columns of a row, reflected at its ends, a tuple."""
    values = ()
    for k in tl.static_range(COUNT):
        values = values + (luma(line + mirrored(column + k, width) * CHANNELS, CHANNELS),)
    return values


@triton.jit
def mirrored(index, length):
    """The index reflected at both ends with the edge sample repeated, then kept in range."""
    index = tl.where(index < 0, -1 - index, index)
    index = tl.where(index >= length, 2 * length - 1 - index, index)
    return tl.maximum(index, 0)
