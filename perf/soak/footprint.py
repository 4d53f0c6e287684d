"""What the processes of a service hold over time, and whether it grows."""

from __future__ import annotations

import asyncio
import statistics
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import psutil

from perf.load.faults import family, memory_of

T = TypeVar("T")

INTERVAL = 1.0  # seconds between two samples
SHARE = 10  # the first tenth is warm-up; the second and the last are compared


@dataclass(frozen=True)
class Sample:
    """What one process holds.

    Attributes:
        memory: resident bytes of its own; what it maps of shared memory counts apart.
        files, threads: open descriptors and threads.
    """

    memory: int
    files: int
    threads: int


@dataclass(frozen=True)
class Growth:
    """A process after its warm-up and at the end.

    Attributes:
        name: of the process.
        before, after: medians over a tenth of the time.
    """

    name: str
    before: Sample
    after: Sample

    @property
    def memory(self) -> float:
        """Share by which its memory has grown."""
        return self.after.memory / self.before.memory - 1


class Watch:
    """Samples a launcher and all of its processes while the block runs.

    Attributes:
        shared: bytes in the service's shared memory, one entry for each sample.
    """

    def __init__(self, launcher: int) -> None:
        self.shared: list[int] = []
        self._launcher = psutil.Process(launcher)
        self._samples: dict[psutil.Process, list[Sample]] = defaultdict(list)

    async def __aenter__(self) -> Watch:
        """Start to sample."""
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    def growth(self) -> list[Growth]:
        """Of each process that lived all the time."""
        most = max(map(len, self._samples.values()))
        return [
            Growth(_name(process), _median(_part(samples, 1)), _median(_part(samples, SHARE - 1)))
            for process, samples in self._samples.items()
            if len(samples) == most and process.is_running()
        ]

    def shared_growth(self) -> tuple[float, float]:
        """Bytes of shared memory after the warm-up and at the end."""
        before, after = _part(self.shared, 1), _part(self.shared, SHARE - 1)
        return statistics.median(before), statistics.median(after)

    async def _run(self) -> None:
        while True:
            for process in [self._launcher, *self._launcher.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess), process.oneshot():
                    held = process.memory_info()
                    memory = held.rss - held.shared
                    sample = Sample(memory, process.num_fds(), process.num_threads())
                    self._samples[process].append(sample)
            regions = memory_of(family(self._launcher.pid))
            self.shared.append(sum(path.stat().st_size for path in regions))
            await asyncio.sleep(INTERVAL)


def _part(samples: Sequence[T], number: int) -> Sequence[T]:
    size = max(len(samples) // SHARE, 1)
    return samples[number * size : (number + 1) * size] or samples[-1:]


def _median(samples: Sequence[Sample]) -> Sample:
    columns = zip(*((s.memory, s.files, s.threads) for s in samples), strict=True)
    return Sample(*(int(statistics.median(column)) for column in columns))


def _name(process: psutil.Process) -> str:
    command = " ".join(process.cmdline())
    for name in ("triton_python_backend_stub", "tritonserver", "uvicorn"):
        if name in command:
            model = next((m for m in ("brisque", "ms_ssim") if f"/{m}/" in command), "")
            return f"{name} {model}".strip()
    return "launcher"
