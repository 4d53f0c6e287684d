"""Device functions in the Triton language for a separable window that streams down a plane.

A lane filters each row that it enters horizontally and adds the result to the vertical sums under
way, one for every output row that the window still covers. Sums are tuples, so they stay in
registers; windows are symmetric and have an odd number of taps.
"""

import triton
import triton.language as tl


@triton.jit
def windowed(values, first, WINDOW: tl.constexpr):
    """Horizontal sum of the tuple `values` under the window, from index `first` on."""
    middle: tl.constexpr = len(WINDOW) // 2
    total = WINDOW[middle] * values[first + middle]
    for k in tl.static_range(len(WINDOW) // 2):
        total += WINDOW[k] * (values[first + k] + values[first + len(WINDOW) - 1 - k])
    return total


@triton.jit
def advanced(sums, value, WINDOW: tl.constexpr):
    """Add a filtered row to the `len(WINDOW) - 1` vertical sums under way, oldest first.

    Returns the sum that it completes, and those under way after it.
    """
    complete = sums[0] + WINDOW[0] * value
    under_way = ()
    for k in tl.static_range(1, len(WINDOW) - 1):
        under_way = under_way + (sums[k] + WINDOW[k] * value,)
    return complete, under_way + (WINDOW[0] * value,)


@triton.jit
def repeated(value, COUNT: tl.constexpr):
    """A tuple of `COUNT` times the same value."""
    values = ()
    for _ in tl.static_range(COUNT):
        values = values + (value,)
    return values
