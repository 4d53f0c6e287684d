"""How an image is cut into blocks that each make all five scales on their own."""

from __future__ import annotations

from collections.abc import Sequence
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

    The rows and columns that the smaller scales replicate are unfolded into repeated ones of the
    full scale, so that each scale is made of the samples 2 i and 2 i + 1 of the last.

    Attributes:
        source: the pixel that each of the block's samples is.
        regular: the first sample of the consecutive ones; the 16th at most.
        windows: `[5, 2]` first and last (exclusive) window of each scale, by their first sample.
    """

    source: Integers
    regular: int
    windows: Integers


def padding(height: int, width: int) -> list[int]:
    """How many rows and columns (0 or 1) each scale is padded by before it is halved."""
    pads = []
    for _ in range(SCALES):
        pads.append(max(height % 2, width % 2))
        height, width = (height + pads[-1]) // 2, (width + pads[-1]) // 2
    return pads


def spans(length: int, pads: Sequence[int], limit: int) -> list[Span]:
    """Cut an axis into stretches as equal as can be that own at most `limit` or so pixels each."""
    lengths = [length]
    for pad in pads[:-1]:
        lengths.append((lengths[-1] + pad) // 2)
    count = -(-length // limit)
    cuts = [length * part // count // COARSEST * COARSEST for part in range(count)]
    return [_span(lengths, pads, start, stop) for start, stop in pairwise([*cuts, length])]


def _span(lengths: Sequence[int], pads: Sequence[int], start: int, stop: int) -> Span:
    windows = np.empty((SCALES, 2), dtype=np.int64)
    offset = start // COARSEST
    for scale in reversed(range(SCALES)):
        if scale < SCALES - 1:
            offset = 2 * offset - pads[scale]
        last = lengths[scale] - MARGIN if stop == lengths[0] else stop >> scale
        windows[scale] = (start >> scale) - offset, last - offset

    needed = max((int(windows[scale, 1]) + MARGIN) << scale for scale in range(SCALES))
    sample = np.arange(needed)
    source = start // COARSEST + sample // COARSEST
    for scale in reversed(range(SCALES - 1)):
        source = np.maximum(2 * source - pads[scale] + (sample >> scale) % 2, 0)
    repeats = np.flatnonzero(np.diff(source) != 1)
    regular = int(repeats[-1]) + 1 if len(repeats) else 0
    return Span(np.minimum(source, lengths[0] - 1), regular, windows)
