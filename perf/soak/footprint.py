"""What the processes of a service hold over time, and whether it grows."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from perf.load.faults import family, memory_of

INTERVAL = 1.0  # seconds between two samples
TENTH = 10  # the first is warm-up; medians over the second and over the last are compared
SHARED = "shared memory"
Samples = dict[psutil.Process | str, list[tuple[int, int, int]]]
"""Of each process its own resident bytes, open files and threads; of SHARED the bytes alone."""


@asynccontextmanager
async def watched(launcher: int) -> AsyncIterator[Samples]:
    """Sample a launcher and all that it started while the block runs."""
    root = psutil.Process(launcher)
    samples: Samples = defaultdict(list)

    async def sample() -> None:
        while True:
            for process in [root, *root.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess), process.oneshot():
                    memory = process.memory_info()
                    held = memory.rss - memory.shared, process.num_fds(), process.num_threads()
                    samples[process].append(held)
            regions = memory_of(family(launcher))
            samples[SHARED].append((sum(path.stat().st_size for path in regions), 0, 0))
            await asyncio.sleep(INTERVAL)

    sampling = asyncio.create_task(sample())
    try:
        yield samples
    finally:
        sampling.cancel()


def growth(samples: Samples) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.int64]]]:
    """Name, and what was held after the warm-up and at the end; of what was there all the time."""
    most = len(samples[SHARED])
    size = max(most // TENTH, 1)
    for owner, held in samples.items():
        if len(held) == most:
            before, after = (
                np.median(part, axis=0).astype(np.int64)
                for part in (held[size : 2 * size] or held, held[-size:])
            )
            yield owner if isinstance(owner, str) else _name(owner), before, after


def _name(process: psutil.Process) -> str:
    command = process.cmdline()
    if command[0].endswith("triton_python_backend_stub"):
        return Path(command[1]).parts[-3]  # the model's: NAME/1/model.py
    kinds = ("tritonserver", "launcher.janitor", "uvicorn")
    return next((kind for kind in kinds if kind in " ".join(command)), "launcher")
