"""Scores and sums have the same bits wherever the arrays of a kernel lie in memory.

A loop that adds into an array may be compiled in two ways, one of which runs where LLVM cannot rule
out by the addresses that arrays overlap: it adds in another order. Threads have heaps of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from iqa.brisque.cpu import score_whole
from iqa.brisque.cpu.join import BOTH
from iqa.brisque.features import FEATURES
from iqa.catalogue import METRICS
from iqa.metric import Metric

THREADS = 4


def results(call: Callable[[], bytes], times: int) -> set[bytes]:
    """What calls give while other arrays come and go."""

    def repeat(seed: int) -> set[bytes]:
        random = np.random.default_rng(seed)
        others: list[np.ndarray] = []
        found = set()
        for _ in range(times):
            others.append(np.empty(int(random.integers(1, 40_000)), np.uint8))
            if len(others) > 50:
                others.pop(int(random.integers(40)))
            found.add(call())
        return found

    with ThreadPoolExecutor(THREADS) as pool:
        return set().union(*pool.map(repeat, range(THREADS)))


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_scores(metric: Metric) -> None:
    random = np.random.default_rng(1)
    shape = (metric.minimum_side, metric.minimum_side + 9, 3)
    inputs = [random.integers(0, 256, shape, dtype=np.uint8) for _ in metric.inputs]

    def call() -> bytes:
        return metric.score(*([each] for each in inputs), threads=1).values.tobytes()

    assert len(results(call, 200)) == 1


def test_fits_in_float64() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, 64 * 176, dtype=np.uint8)
    pixels.setflags(write=False)

    def call() -> bytes:
        row = np.empty(1 + FEATURES)
        score_whole(pixels, (64, 176, 1), np.float64, BOTH, row)
        return row.tobytes()

    assert len(results(call, 2000)) == 1
