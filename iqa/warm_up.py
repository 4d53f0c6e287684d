"""Compiles every CPU kernel for this processor: `python -m iqa.warm_up`, at install or start.

What is compiled is kept (see `jit_cache`), so that a second run takes no longer than an import.
"""

from __future__ import annotations

import numpy as np

from iqa import luma
from iqa.catalogue import METRICS


def warm_up() -> None:
    """Score small images of every kind that has a kernel of its own."""
    random = np.random.default_rng(0)
    for metric in METRICS:
        for side in (metric.minimum_side, metric.minimum_side + 1):
            for channels in (1, 3):
                image = random.integers(0, 256, (side, side, channels), dtype=np.uint8)
                metric.score(*([image] for _ in metric.inputs), threads=1)
    luma.write_luma(image, image[:, :, :1].copy())


if __name__ == "__main__":
    warm_up()
