"""A load generator that costs little: prebuilt requests over raw keep-alive connections.

Each client sends its next request as soon as its last is answered (a closed loop), and every answer
is checked. Where client and server share two cores, a heavier client would measure itself.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
import uvloop
from numpy.typing import NDArray

from perf.load.calls import Call

SHORTEST_WARM_UP = 1.0  # seconds
PATIENCE = 120.0  # seconds within which every client must have its first answer, or its last
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class RefusedError(Exception):
    """A service answered with another status than 200."""


class WrongAnswerError(Exception):
    """A service gave a wrong score, so that its speed means nothing."""


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


def ask(port: int, call: Call, tolerance: float) -> None:
    """Send one call to a service on this machine and check its answer.

    Raises:
        RefusedError, WrongAnswerError: it was not the expected score.
        OSError: the service is not there, or hung up.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.sendall(call.http())
        answer = b""
        while (body := _body(answer)) is None:
            data = connection.recv(1 << 16)
            if not data:
                raise ConnectionError("the service hung up")
            answer += data
    _check(answer, body, call.expected, tolerance)


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
        seconds: least length of the window, in which every client gets an answer.
        tolerance: largest accepted deviation from the expected score.

    Raises:
        RefusedError, WrongAnswerError: an answer was not the expected score.
        OSError: the service is not there, or hung up.
        TimeoutError: it stopped answering.
    """
    requests = cycle([(call.http(), call.expected) for call in calls])

    async def run() -> Measurement:
        connected = await asyncio.gather(
            *(_Client.connect(port, requests, tolerance) for _ in range(clients))
        )
        try:
            return await _measure(connected, meter, seconds)
        finally:
            for client in connected:
                client.close()

    return uvloop.run(run())


async def _measure(clients: Sequence[_Client], meter: Meter, seconds: float) -> Measurement:
    warm_up = asyncio.create_task(asyncio.sleep(SHORTEST_WARM_UP))
    await _all(client.first_answer for client in clients)
    await warm_up

    start, server_cpu, client_cpu = time.perf_counter(), meter.cpu_seconds(), time.process_time()
    for client in clients:
        client.latencies.clear()
    await asyncio.sleep(seconds)
    while not all(client.latencies or client.last_answer.done() for client in clients):
        await asyncio.sleep(0.02)
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

    _transport: asyncio.Transport

    @classmethod
    async def connect(
        cls, port: int, requests: Iterator[tuple[bytes, float]], tolerance: float
    ) -> _Client:
        """Connect to `port` on this machine and send the first request."""
        client = cls(requests, tolerance)
        loop = asyncio.get_running_loop()
        client._transport, _ = await loop.create_connection(lambda: client, "127.0.0.1", port)
        client._send()
        return client

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

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if (body := _body(self._answer)) is None:
            return
        self.latencies.append(time.perf_counter() - self._sent)
        try:
            _check(self._answer, body, self._expected, self._tolerance)
        except (RefusedError, WrongAnswerError) as fault:
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
        self._transport.close()

    def _send(self) -> None:
        request, self._expected = next(self._requests)
        self._answer = b""
        self._sent = time.perf_counter()
        self._transport.write(request)

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


def _check(answer: bytes, body: bytes, expected: float, tolerance: float) -> None:
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise RefusedError(answer.decode(errors="replace"))
    score = json.loads(body)["score"]
    if abs(score - expected) > tolerance:
        raise WrongAnswerError(f"score {score}, expected {expected}")
