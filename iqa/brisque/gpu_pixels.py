"""Triton device functions that read a plane: uint8 grey or RGB, or a half-size float64 plane.

Values are grey levels minus 128, which is exact in float32 for uint8 and for the half-size plane of
an even-sided image.
"""

import triton
import triton.language as tl

from iqa.streaming import repeated


@triton.jit
def luma(at, channels, mask):
    """Grey of the uint8 pixels that start at `at`, int32, as `convert("L")`; 0 where masked."""
    if channels == 3:
        red = tl.load(at, mask=mask, other=0).to(tl.int32)
        green = tl.load(at + 1, mask=mask, other=0).to(tl.int32)
        blue = tl.load(at + 2, mask=mask, other=0).to(tl.int32)
        grey = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16
    else:
        grey = tl.load(at, mask=mask, other=0).to(tl.int32)
    return grey


@triton.jit
def pixel(source, row, column, width, channels, mask, FULL: tl.constexpr):
    """One exact value per lane, int32 or (half-size) float64; -128, black, where masked."""
    at = source + (row.to(tl.int64) * width + column) * channels
    if FULL:
        return luma(at, channels, mask) - 128
    else:  # noqa: RET505 - the compiler drops the branch not taken only in this form
        return tl.load(at, mask=mask, other=-128.0)


@triton.jit
def within(index, length):
    """0 <= index < length, in one comparison."""
    return index.to(tl.uint32, bitcast=True) < length.to(tl.uint32, bitcast=True)


@triton.jit
def run_of_luma(at, column, width, COUNT: tl.constexpr, CHANNELS: tl.constexpr):
    """Shifted grey of `COUNT` adjacent pixels, a tuple of float32; black beside the plane."""
    values = ()
    for k in tl.static_range(COUNT):
        mask = within(column + k, width)
        if CHANNELS == 1:
            grey = tl.load(at + k, mask=mask, other=0)
        else:
            grey = luma(at + k * CHANNELS, CHANNELS, mask)
        values = values + (grey.to(tl.float32) - 128.0,)
    return values


@triton.jit
def run_of_pixels(
    source, row, column, height, width, channels, COUNT: tl.constexpr, FULL: tl.constexpr
):
    """`pixel` of adjacent columns from `column` on, a tuple of float32; black outside the plane."""
    at = source + (row.to(tl.int64) * width + column) * channels
    # The branches are on scalars and enclose the whole row.
    if not within(row, height):
        values = repeated((column * 0 - 128).to(tl.float32), COUNT)
    elif FULL:
        if channels == 3:
            values = run_of_luma(at, column, width, COUNT, 3)
        else:
            values = run_of_luma(at, column, width, COUNT, 1)
    else:
        values = run_of_halves(at, column, width, COUNT)
    return values


@triton.jit
def run_of_halves(at, column, width, COUNT: tl.constexpr):
    """`COUNT` adjacent pixels of a half-size plane, a tuple of float32; black beside the plane."""
    values = ()
    for k in tl.static_range(COUNT):
        value = tl.load(at + k, mask=within(column + k, width), other=-128.0)
        values = values + (value.to(tl.float32),)
    return values


@triton.jit
def luma_at(line, columns, mask, CHANNELS: tl.constexpr):
    """`luma` of a tuple of columns of a row, a tuple."""
    values = ()
    for k in tl.static_range(len(columns)):
        values = values + (luma(line + columns[k] * CHANNELS, CHANNELS, mask),)
    return values


@triton.jit
def mirrored(index, length):
    """The index reflected at both ends with the edge sample repeated, then kept in range."""
    index = tl.where(index < 0, -1 - index, index)
    index = tl.where(index >= length, 2 * length - 1 - index, index)
    return tl.maximum(index, 0)
