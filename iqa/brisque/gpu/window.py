"""In the Triton language: a pixel less its window's mean, from second differences of neighbours.

They are exact, so that float32 gives exactly 0 where the picture is flat or a straight slope.
"""

import numpy as np
import triton
import triton.language as tl
from numpy.typing import NDArray

Array = NDArray[np.float64]


def bend_weights(window: Array) -> tuple[float, ...]:
    """The weights of the second differences `2 b - a - c` under a symmetric window.

    So weighted and summed, they make the middle pixel less the window's mean. They are one fewer
    than the window's pixels at each end, and half of them, from the end to the middle, is given.
    """
    return tuple(map(float, np.cumsum(np.cumsum(window[: len(window) // 2]))))


@triton.jit
def second_differences(levels):
    """Second differences `2 b - a - c` of adjacent levels, a tuple of float32."""
    values = ()
    for k in tl.static_range(len(levels) - 2):
        step, next_step = levels[k + 1] - levels[k], levels[k + 2] - levels[k + 1]
        values = values + ((step - next_step).to(tl.float32),)
    return values


@triton.jit
def above_mean(bends, first, WEIGHTS: tl.constexpr):
    """A pixel less the mean of its row's window, under which `bends` from `first` on lie."""
    middle: tl.constexpr = len(WEIGHTS) - 1
    total = WEIGHTS[middle] * bends[first + middle]
    for k in tl.static_range(middle):
        total += WEIGHTS[k] * (bends[first + k] + bends[first + 2 * middle - k])
    return total


@triton.jit
def advanced_above_mean(sums, across, down, WINDOW: tl.constexpr, WEIGHTS: tl.constexpr):
    """As `iqa.gpu.window.advanced`, for pixels less the means of their two-dimensional windows.

    `across` is `above_mean` of the row that enters, `down` the second difference around the row
    above it.
    """
    middle: tl.constexpr = len(WEIGHTS) - 1
    complete = sums[0] + WINDOW[0] * across + WEIGHTS[0] * down
    under_way = ()
    for k in tl.static_range(1, len(WINDOW) - 1):
        value = sums[k] + WINDOW[k] * across
        if k <= 2 * middle:
            value += WEIGHTS[k if k <= middle else 2 * middle - k] * down
        under_way = under_way + (value,)
    return complete, under_way + (WINDOW[0] * across,)
