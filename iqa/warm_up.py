"""Compiles every CPU kernel for this processor: `python -m iqa.warm_up`, at install or start.

What is compiled is kept (see `jit_cache`), so that a second run takes no longer than an import.
"""

from __future__ import annotations

import numpy as np

from iqa import brisque, luma, ms_ssim


def warm_up() -> None:
    """Score small images of every kind that has a kernel of its own."""
    random = np.random.default_rng(0)
    for side in (ms_ssim.MINIMUM_SIDE + 1, ms_ssim.MINIMUM_SIDE):
        for channels in (1, 3):
            image = random.integers(0, 256, (side, side, channels), dtype=np.uint8)
            brisque.score([image], threads=1)
            if channels == 3:
                luma.write_luma(image, image[:, :, :1].copy())
            ms_ssim.score([image], [image])


if __name__ == "__main__":
    warm_up()
