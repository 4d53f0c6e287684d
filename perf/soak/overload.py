"""Requests that come at a given rate, whether or not the service keeps up, and what each waits."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from perf.load.exchanges import Exchange, RefusedError
from perf.load.faults import head
from perf.load.generator import Connection, converse


@dataclass
class Waits:
    """Seconds that requests waited, by what became of them.

    Attributes:
        seconds: of the window in which they were sent.
        answered: those answered rightly.
        refused: those refused, by the problem's code.
    """

    seconds: float = 0
    answered: list[float] = field(default_factory=list)
    refused: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def __str__(self) -> str:
        """Rates and latencies, in a sentence."""
        parts = [f"{len(self.answered) / self.seconds:.0f}/s answered in {times(self.answered)}"]
        for code, waits in sorted(self.refused.items()):
            rate = len(waits) / self.seconds
            parts.append(f"{rate:.0f}/s refused ({code}) in {times(waits)}")
        return ", ".join(parts)


async def offer(port: int, exchanges: Sequence[Exchange], rate: float, seconds: float) -> Waits:
    """Send so many requests a second, for so long; returns when each has its answer.

    Raises:
        ExceptionGroup: of WrongAnswerError, an answer was neither right nor a clear refusal; or
            OSError, the service is not there, or hung up.
    """
    waits = Waits(seconds)
    idle: list[Connection] = []
    requests = [head(each, len(each.body)) + each.body for each in exchanges]

    async def send(number: int) -> None:
        started = time.perf_counter()
        while idle and idle[-1][0].at_eof():  # hung up on for its idleness
            idle.pop()[1].close()
        connection = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", port)
        answer = await converse(connection, requests[number % len(requests)])
        waited = time.perf_counter() - started
        idle.append(connection)
        try:
            exchanges[number % len(exchanges)].check(*answer)
        except RefusedError as refusal:
            waits.refused[str(refusal)].append(waited)
        else:
            waits.answered.append(waited)

    started = time.perf_counter()
    async with asyncio.TaskGroup() as sent:
        for number in range(round(rate * seconds)):
            await asyncio.sleep(started + number / rate - time.perf_counter())
            sent.create_task(send(number))
    for _, writer in idle:
        writer.close()
    return waits


def times(waits: Sequence[float] | NDArray[np.float64]) -> str:
    """Median and 99th percentile of seconds, in milliseconds."""
    if not len(waits):
        return "-"
    median, late = 1e3 * np.percentile(waits, [50, 99])
    return f"{median:.1f} ms (p99 {late:.1f})"
