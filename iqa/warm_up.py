"""Compiles every CPU kernel: `python -m iqa.warm_up [--level v3,v4]`, at install or start.

What is compiled is kept (see `iqa.simd.cache`), so that a second run takes no longer than an
import. Without `--level` it is for the level that this process would use.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence

import numpy as np

from iqa import luma
from iqa.brisque.catalogue import BRISQUE
from iqa.brisque.cpu import score_whole
from iqa.brisque.cpu.join import BOTH
from iqa.brisque.features import FEATURES
from iqa.catalogue import METRICS
from iqa.images import row_major
from iqa.metric import Metric

TALL = 512  # rows, which threads share out


def warm_up(metrics: Sequence[Metric] = METRICS) -> None:
    """Score small images of every kind that has a kernel of its own."""
    random = np.random.default_rng(0)
    for metric in metrics:
        side = metric.minimum_side
        for height, width in ((side, side), (side + 1, side + 1), (TALL, side)):
            for channels in (1, 3):
                image = random.integers(0, 256, (height, width, channels), dtype=np.uint8)
                metric.score(*([image] for _ in metric.inputs), maps=True, threads=2)
    if BRISQUE in metrics:  # none of these has a tie
        out = np.empty(1 + FEATURES)
        score_whole(row_major(image), image.shape, np.float64, BOTH, out)
    luma.write_luma(image, image[:, :, :1].copy())


def main(arguments: list[str] | None = None) -> int:
    """Warm up; levels that are named each in a process of its own, as a process has but one."""
    parser = argparse.ArgumentParser(prog="python -m iqa.warm_up", description=__doc__)
    parser.add_argument("--level", help="levels such as v3,v4, which this machine must have")
    levels = parser.parse_args(arguments).level
    if levels is None:
        warm_up()
        return 0
    for level in levels.split(","):
        environment = {**os.environ, "IQA_SIMD_LEVEL": level}
        command = [sys.executable, "-m", "iqa.warm_up"]
        if subprocess.run(command, env=environment, check=False).returncode != 0:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
