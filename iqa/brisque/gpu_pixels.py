"""Triton device functions that read a plane: uint8 grey or RGB, or a half-size float64 plane.

Values are grey levels minus 128, which is exact in float32 for uint8 and for the half-size plane of
an even-sided image.
"""

import triton
import triton.language as tl


@triton.jit
def luma(line, columns, channels, mask):
    """Grey of uint8 pixels of one row, int32, as Pillow's `convert("L")`; 0 where masked."""
    if channels == 3:
        red = tl.load(line + columns * 3, mask=mask, other=0).to(tl.int32)
        green = tl.load(line + columns * 3 + 1, mask=mask, other=0).to(tl.int32)
        blue = tl.load(line + columns * 3 + 2, mask=mask, other=0).to(tl.int32)
        grey = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16
    else:
        grey = tl.load(line + columns, mask=mask, other=0).to(tl.int32)
    return grey


@triton.jit
def pixel(source, row, columns, width, channels, mask, FULL: tl.constexpr):
    """One exact value per lane, int32 or (half-size) float64; -128, black, where masked."""
    line = source + row.to(tl.int64) * width * channels
    if FULL:
        return luma(line, columns, channels, mask) - 128
    else:  # noqa: RET505 - the compiler drops the branch not taken only in this form
        return tl.load(line + columns, mask=mask, other=-128.0)


@triton.jit
def all_luma(line, columns, masks, CHANNELS: tl.constexpr):
    """`luma` of a tuple of columns, a tuple."""
    values = ()
    for k in tl.static_range(len(columns)):
        values = values + (luma(line, columns[k], CHANNELS, masks[k]),)
    return values


@triton.jit
def row_of_pixels(
    source, row, columns, masks, width, channels, FULL: tl.constexpr, PRECISION: tl.constexpr
):
    """A tuple of columns of a row in `PRECISION`, a tuple; black where masked."""
    line = source + row.to(tl.int64) * width * channels
    values = ()
    if FULL:
        # One branch a row, not one a pixel.
        if channels == 3:
            greys = all_luma(line, columns, masks, 3)
        else:
            greys = all_luma(line, columns, masks, 1)
        for k in tl.static_range(len(columns)):
            values = values + ((greys[k] - 128).to(PRECISION),)
    else:
        for k in tl.static_range(len(columns)):
            value = tl.load(line + columns[k], mask=masks[k], other=-128.0)
            values = values + (value.to(PRECISION),)
    return values


@triton.jit
def mirrored(index, length):
    """The index reflected at both ends with the edge sample repeated, then kept in range."""
    index = tl.where(index < 0, -1 - index, index)
    index = tl.where(index >= length, 2 * length - 1 - index, index)
    return tl.maximum(index, 0)
