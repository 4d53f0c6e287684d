"""Triton device functions that read a plane: uint8 grey or RGB, or a half-size plane.

A half-size plane holds the grey levels minus 128 as float32, exactly where both sides of the
picture are even.
"""

import triton
import triton.language as tl

BLACK = tl.constexpr(-128.0)


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
def run_of_pixels(
    source, row, column, width, channels, origin, COUNT: tl.constexpr, FULL: tl.constexpr
):
    """Adjacent columns from `column` on, all in the plane, less `origin`: a tuple of float32."""
    at = source + row.to(tl.int64) * width * channels + column * channels
    if not FULL:
        greys = ()
        for k in tl.static_range(COUNT):
            greys = greys + (tl.load(at + k),)
    elif channels == 3:
        greys = run_of_luma(at, COUNT, 3)
    else:
        greys = run_of_luma(at, COUNT, 1)
    values = ()
    for k in tl.static_range(COUNT):
        values = values + (greys[k].to(tl.float32) - origin,)
    return values


@triton.jit
def run_with_border(
    source, row, column, height, width, channels, origin, COUNT: tl.constexpr, FULL: tl.constexpr
):
    """As `run_of_pixels`, black outside the plane."""
    at = source + row.to(tl.int64) * width * channels + column * channels
    values = ()
    for k in tl.static_range(COUNT):
        mask = within(column + k, width) & within(row, height)
        if FULL:
            grey = luma(at + k * channels, channels, mask, 0)
            value = tl.where(mask, grey.to(tl.float32) - origin, -origin)
        else:
            value = tl.where(mask, tl.load(at + k, mask=mask, other=0.0) - origin, BLACK - origin)
        values = values + (value,)
    return values


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
