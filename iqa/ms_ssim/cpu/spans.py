"""How an image is cut into blocks that each make all five scales on their own."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from iqa.ms_ssim.pooling import SCALES, WINDOW

Integers = NDArray[np.int64]

MARGIN = len(WINDOW) - 1
COARSEST = 2 ** (SCALES - 1)


class Span(NamedTuple):
    """A stretch of one axis.

    The last rows and columns that the smaller scales repeat are unfolded into repeated ones of the
    full scale, so that each scale is made of the samples 2 i and 2 i + 1 of the last.

    Attributes:
        source: the pixel that each of the block's samples is.
        regular: so many of them are consecutive.
        windows: `[5, 2]` first and last (exclusive) window of each scale, by their first sample.
    """

    source: Integers
    regular: int
    windows: Integers


def spans(length: int, limit: int) -> list[Span]:
    """Cut an axis into stretches as equal as can be that own at most `limit` or so pixels each."""
    count = -(-length // limit)
    cuts = [length * part // count // COARSEST * COARSEST for part in range(count)]
    return [_span(length, start, stop) for start, stop in pairwise([*cuts, length])]


def _span(length: int, start: int, stop: int) -> Span:
    lengths = [-(-length >> scale) for scale in range(SCALES)]
    windows = np.zeros((SCALES, 2), dtype=np.int64)
    for scale in range(SCALES):
        last = lengths[scale] - MARGIN if stop == length else stop >> scale
        windows[scale, 1] = last - (start >> scale)

    needed = max((int(windows[scale, 1]) + MARGIN) << scale for scale in range(SCALES))
    sample = start + np.arange(needed)
    source = sample // COARSEST
    for scale in reversed(range(SCALES - 1)):
        source = np.minimum(2 * source + (sample >> scale) % 2, lengths[scale] - 1)
    return Span(source, min(needed, length - start), windows)
