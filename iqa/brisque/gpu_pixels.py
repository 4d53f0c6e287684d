"""Triton device functions that read a plane: uint8 grey or RGB, or a half-size float64 plane.

Values are grey levels minus 128, which is exact in float32 for uint8 and for the half-size plane of
an even-sided image.
"""

import triton
import triton.language as tl


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
def luma_run(at, masks, CHANNELS: tl.constexpr):
    """`luma` of as many adjacent pixels as there are masks, a tuple."""
    values = ()
    for k in tl.static_range(len(masks)):
        values = values + (luma(at + k * CHANNELS, CHANNELS, masks[k]),)
    return values


@triton.jit
def pixel_run(source, row, column, width, channels, masks, FULL: tl.constexpr):
    """`pixel` of adjacent columns from `column` on, a tuple of float32."""
    at = source + (row.to(tl.int64) * width + column) * channels
    values = ()
    if FULL:
        # One branch a row, not one a pixel.
        if channels == 3:
            greys = luma_run(at, masks, 3)
        else:
            greys = luma_run(at, masks, 1)
        for k in tl.static_range(len(masks)):
            values = values + ((greys[k] - 128).to(tl.float32),)
    else:
        for k in tl.static_range(len(masks)):
            values = values + (tl.load(at + k, mask=masks[k], other=-128.0).to(tl.float32),)
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
