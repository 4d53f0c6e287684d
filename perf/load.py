"""A load generator that costs little: prebuilt requests over raw keep-alive connections.

Each client sends its next request as soon as its last is answered (a closed loop), and every answer
is checked. Where client and server share two cores, a heavier client would measure itself.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import cast

import numpy as np
import uvloop
from numpy.typing import NDArray

from perf.calls import Call

SHORTEST_WARM_UP = 1.0  # seconds
PATIENCE = 120.0  # seconds within which every client must have its first answer, or its last
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class WrongAnswerError(Exception):
    """A service refused a request or gave a wrong score, so that its speed means nothing."""


@dataclass(frozen=True)
class Meter:
    """How the server under load is watched.

    Attributes:
        cpu_seconds: what its processes have used so far.
        memory: bytes that they hold now.
    """

    cpu_seconds: Callable[[], float]
    memory: Callable[[], int]


@dataclass(frozen=True)
class Measurement:
    """What a window of steady load showed.

    Attributes:
        clients: connections, each with a request on its way all the time.
        seconds: length of the window.
        latencies: `[N]` seconds from request to answer, of the answers within the window.
        server_cpu: seconds that the server's processes computed in the window.
        client_cpu: seconds that this generator computed in the window.
        memory: bytes that the server's processes held at the end of the window.
    """

    clients: int
    seconds: float
    latencies: NDArray[np.float64]
    server_cpu: float
    client_cpu: float
    memory: int


def measure(
    port: int,
    calls: Sequence[Call],
    meter: Meter,
    *,
    clients: int,
    seconds: float,
    tolerance: float,
) -> Measurement:
    """Put a service on this machine under load; measure it once every client has had an answer.

    Returns after the last answer, so that no work is left over for whoever is measured next.

    Args:
        port: of the service.
        calls: sent in rotation.
        meter: watches the service's processes.
        clients: concurrent connections.
        seconds: length of the window.
        tolerance: largest accepted deviation from the expected score.

    Raises:
        WrongAnswerError: an answer was not the expected score.
        OSError: the service is not there, or hung up.
        TimeoutError: it stopped answering.
    """
    requests = cycle([(call.http(), call.expected) for call in calls])

    async def run() -> Measurement:
        everyone = [_Client(requests, tolerance) for _ in range(clients)]
        try:
            return await _measure(port, everyone, meter, seconds)
        finally:
            for client in everyone:
                client.close()

    return uvloop.run(run())


async def _measure(
    port: int, clients: Sequence[_Client], meter: Meter, seconds: float
) -> Measurement:
    loop = asyncio.get_running_loop()
    warm_up = loop.create_task(asyncio.sleep(SHORTEST_WARM_UP))
    for client in clients:
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)
    await _all(client.first_answer for client in clients)
    await warm_up

    start, server_cpu, client_cpu = time.perf_counter(), meter.cpu_seconds(), time.process_time()
    for client in clients:
        client.latencies.clear()
    await asyncio.sleep(seconds)
    latencies = np.concatenate([client.latencies for client in clients])
    elapsed = time.perf_counter() - start
    server_cpu, client_cpu = meter.cpu_seconds() - server_cpu, time.process_time() - client_cpu
    memory = meter.memory()

    for client in clients:
        client.stopping = True
    await _all(client.last_answer for client in clients)
    return Measurement(len(clients), elapsed, latencies, server_cpu, client_cpu, memory)


async def _all(answers: Iterable[asyncio.Future[None]]) -> None:
    await asyncio.wait_for(asyncio.gather(*answers), PATIENCE)


class _Client(asyncio.Protocol):
    """One connection; when told to stop it still waits for the answer that is due.

    Attributes:
        latencies: seconds that each answer took.
        first_answer: done once the first answer was right.
        last_answer: done once nothing is due any more, or something went wrong.
        stopping: send no more requests.
    """

    def __init__(self, requests: Iterator[tuple[bytes, float]], tolerance: float) -> None:
        loop = asyncio.get_running_loop()
        self.latencies: list[float] = []
        self.first_answer: asyncio.Future[None] = loop.create_future()
        self.last_answer: asyncio.Future[None] = loop.create_future()
        self.stopping = False
        self._requests = requests
        self._tolerance = tolerance
        self._answer = b""
        self._expected = self._sent = 0.0
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is no subclass
        self._send()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if (body := _body(self._answer)) is None:
            return
        self.latencies.append(time.perf_counter() - self._sent)
        if (fault := self._fault(body)) is not None:
            self._end(fault)
            return
        if not self.first_answer.done():
            self.first_answer.set_result(None)
        if self.stopping:
            self._end(None)
        else:
            self._send()

    def connection_lost(self, error: Exception | None) -> None:
        self._end(error or ConnectionError("the service hung up"))

    def close(self) -> None:
        """Hang up."""
        if self._transport:
            self._transport.close()

    def _send(self) -> None:
        request, self._expected = next(self._requests)
        self._answer = b""
        self._sent = time.perf_counter()
        self._transport.write(request)

    def _fault(self, body: bytes) -> WrongAnswerError | None:
        if not self._answer.startswith(b"HTTP/1.1 200 "):
            return WrongAnswerError(self._answer.decode(errors="replace"))
        score = json.loads(body)["score"]
        if abs(score - self._expected) <= self._tolerance:
            return None
        return WrongAnswerError(f"score {score}, expected {self._expected}")

    def _end(self, fault: Exception | None) -> None:
        for future in (self.first_answer, self.last_answer):
            if future.done():
                continue
            if fault is None:
                future.set_result(None)
            else:
                future.set_exception(fault)
                future.exception()  # seen, even where nobody asks


def _body(answer: bytes) -> bytes | None:
    """The body of an HTTP answer, None until all of it is there."""
    head, separator, body = answer.partition(b"\r\n\r\n")
    length = CONTENT_LENGTH.search(head)
    if not separator or length is None or len(body) < int(length[1]):
        return None
    return body
