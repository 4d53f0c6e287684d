"""Triton device functions for the pixels whose flatness float32 cannot tell: float64 statistics."""

import triton
import triton.language as tl

from iqa.brisque.gpu_pixels import exact_pixel, within

# In float32 x - mu is off by less than 1e-4 and the variance by at most about 5e-3. Where they are
# smaller than these, the pixel is computed again in float64, so that what is flat is seen to be.
DIFFERENCE_DOUBT = tl.constexpr(2.5e-4)
VARIANCE_DOUBT = tl.constexpr(1e-2)
FLAT = tl.constexpr(1e-9)


@triton.jit
def certainty(difference, variance):
    """Below `VARIANCE_DOUBT` if float32's rounding may matter to this pixel's coefficient."""
    return tl.minimum(tl.abs(difference) * (VARIANCE_DOUBT / DIFFERENCE_DOUBT), variance)


@triton.jit
def exact_statistics(
    source, row, column, height, width, channels, window, taps, mask, FULL: tl.constexpr
):
    """`x - mu` and the variance of the masked pixels in float64, from differences to the pixel.

    A constant neighbourhood gives exactly 0 whatever the window's rounding.
    """
    centre = exact_pixel(source, row, column, height, width, channels, mask, FULL)
    first = tl.zeros_like(centre)
    second = tl.zeros_like(centre)
    for tap in range(taps):
        tap_row = row + tap // 7 - 3
        tap_column = column + tap % 7 - 3
        inside = mask & within(tap_row, height) & within(tap_column, width)
        value = exact_pixel(source, tap_row, tap_column, height, width, channels, inside, FULL)
        weight = tl.load(window + tap)
        first += weight * (value - centre)
        second += weight * (value - centre) * (value - centre)
    variance = tl.abs(second - first * first)
    return tl.where(tl.abs(first) < FLAT, 0.0, -first).to(tl.float32), variance.to(tl.float32)
