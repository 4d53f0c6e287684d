"""The floor under any service: decode and kernel in a loop, in a process for every core."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import cycle
from multiprocessing import get_context

import numpy as np
import psutil
import simplejpeg

from perf.load.calls import TOLERANCE, Call, score
from perf.load.exchanges import WrongAnswerError
from perf.load.generator import Measurement
from perf.load.pictures import HEIGHT, WIDTH

HEAD_START = 0.5  # seconds for every process to get ready


class BareLoop:
    """Worker processes that score the files of calls without any server."""

    def __init__(self, processes: int) -> None:
        """Start them; each loads the kernels when it is first measured."""
        self._pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"))

    def measure(self, calls: Sequence[Call], *, processes: int, seconds: float) -> Measurement:
        """Run the loop in some of the processes at once.

        A loop counts as a client; what it computes counts as the server's.
        """
        start = time.time() + HEAD_START
        runs = [self._pool.submit(_loop, calls, start, seconds) for _ in range(processes)]
        latencies, cpu, memory = zip(*(run.result() for run in runs), strict=True)
        return Measurement(
            clients=processes,
            seconds=seconds,
            latencies=np.concatenate(latencies),
            server_cpu=sum(cpu),
            client_cpu=0.0,
            memory=sum(memory),
        )

    def stop(self) -> None:
        """End the processes."""
        self._pool.shutdown()


def _loop(calls: Sequence[Call], start: float, seconds: float) -> tuple[list[float], float, int]:
    """Seconds that each call took, seconds computed, bytes held."""
    model = calls[0].metric.name
    rotation = cycle(calls)
    # As in a slot, pixels land where others were before.
    buffers = [bytearray(WIDTH * HEIGHT * 3) for _ in calls[0].files]

    def run_one() -> None:
        call = next(rotation)
        images = [
            simplejpeg.decode_jpeg(file, "RGB", buffer=buffer)
            for file, buffer in zip(call.files, buffers, strict=True)
        ]
        if not abs(score(model, *images) - call.expected) <= TOLERANCE:
            raise WrongAnswerError(f"expected {call.expected}")

    run_one()
    time.sleep(max(start - time.time(), 0))
    latencies, cpu, begin = [], time.process_time(), time.perf_counter()
    while (now := time.perf_counter()) - begin < seconds:
        run_one()
        latencies.append(time.perf_counter() - now)
    memory = psutil.Process().memory_full_info().pss
    return latencies, time.process_time() - cpu, memory
