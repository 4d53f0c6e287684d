"""How planes are cut into strips that are swept on their own."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from iqa.ms_ssim.cpu.window import MARGIN
from iqa.ms_ssim.pooling import SCALES

Integers = NDArray[np.int64]

# Neighbouring strips both make what their windows have in common, which is more where strips are
# narrow; the rings of wider ones leave the second-level cache.
STRIP = 1536
COARSEST = 1 << (SCALES - 1)  # a strip begins where a sample of every scale does
MOST_COLUMNS = STRIP + (MARGIN + 1) * COARSEST


class Strip(NamedTuple):
    """Columns of a plane whose windows are summed together.

    Attributes:
        start: the first of them.
        columns: `[S]`, how many samples of each scale it takes.
        windows: `[S]`, how many windows begin in a row of each scale.
    """

    start: int
    columns: Integers
    windows: Integers


def halved(length: int, scales: int) -> Integers:
    """A side at each scale."""
    return np.array([-(-length >> scale) for scale in range(scales)])


class Layout(NamedTuple):
    """What the shape of a picture says.

    Attributes:
        rows: `[S]`, that there are at each scale.
        strips: of its planes, as equal as can be.
        windows: `[S, 1]`, of each scale.
    """

    rows: Integers
    strips: list[Strip]
    windows: Integers


@lru_cache(64)
def layout(height: int, width: int, scales: int) -> Layout:
    """Cut planes of this shape into strips."""
    count = -(-width // STRIP)
    cuts = [width * part // count // COARSEST * COARSEST for part in range(count)]
    strips = [_strip(width, scales, start, stop) for start, stop in pairwise([*cuts, width])]
    rows, columns = halved(height, scales), halved(width, scales)
    return Layout(rows, strips, ((rows - MARGIN) * (columns - MARGIN))[:, None])


def _strip(width: int, scales: int, start: int, stop: int) -> Strip:
    starts, ends = halved(start, scales), halved(stop, scales)
    if stop == width:
        ends -= MARGIN
    windows = ends - starts
    needed = max((int(count) + MARGIN) << scale for scale, count in enumerate(windows))
    return Strip(start, halved(min(needed, width - start), scales), windows)
