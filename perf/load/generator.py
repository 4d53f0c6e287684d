"""A load generator that costs little: prebuilt requests over raw keep-alive connections.

Each client sends its next request as soon as its last is answered (a closed loop), and every answer
is checked. Where client and server share two cores, a heavier client would measure itself.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
import uvloop
from numpy.typing import NDArray

from perf.load.calls import Call
from perf.load.exchanges import RefusedError, WrongAnswerError

SHORTEST_WARM_UP = 1.0  # seconds
PATIENCE = 120.0  # seconds for an answer

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


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


async def converse(connection: Connection, request: bytes) -> tuple[int, str, bytes]:
    """Send a whole HTTP/1.1 request; status, content type and body of the answer.

    Raises:
        OSError: the service hung up; TimeoutError, it does not answer.
    """
    reader, writer = connection
    writer.write(request)
    try:
        async with asyncio.timeout(PATIENCE):
            lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
            body = await reader.readexactly(int(headers["content-length"]))
    except asyncio.IncompleteReadError as error:
        raise ConnectionError("the service hung up") from error
    return int(lines[0].split()[1]), headers.get("content-type", ""), body


def ask(port: int, call: Call, tolerance: float) -> None:
    """Send one call to a service on this machine and check its answer.

    Raises:
        RefusedError, WrongAnswerError: it was not the expected score.
        OSError: the service is not there, or hung up; TimeoutError, it does not answer.
    """

    async def run() -> None:
        connection = await asyncio.open_connection("127.0.0.1", port)
        status, _, body = await converse(connection, call.http())
        connection[1].close()
        _check(status, body, call.expected, tolerance)

    uvloop.run(run())


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
        OSError: the service is not there, or hung up; TimeoutError, it stopped answering.
    """
    requests = cycle([(call.http(), call.expected) for call in calls])
    latencies: list[list[float]] = [[] for _ in range(clients)]
    is_over = False

    async def client(mine: list[float]) -> None:
        connection = await asyncio.open_connection("127.0.0.1", port)
        try:
            while not is_over:
                request, expected = next(requests)
                sent = time.perf_counter()
                status, _, body = await converse(connection, request)
                mine.append(time.perf_counter() - sent)
                _check(status, body, expected, tolerance)
        finally:
            connection[1].close()

    async def window() -> Measurement:
        nonlocal is_over
        await asyncio.sleep(SHORTEST_WARM_UP)
        await _until_all(latencies)
        start, server_cpu = time.perf_counter(), meter.cpu_seconds()
        client_cpu = time.process_time()
        for mine in latencies:
            mine.clear()
        await asyncio.sleep(seconds)
        await _until_all(latencies)
        measured = Measurement(
            clients,
            time.perf_counter() - start,
            np.concatenate(latencies),
            meter.cpu_seconds() - server_cpu,
            time.process_time() - client_cpu,
            meter.memory(),
        )
        is_over = True
        return measured

    async def run() -> Measurement:
        try:
            async with asyncio.TaskGroup() as group:
                for mine in latencies:
                    group.create_task(client(mine))
                return await window()
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    return uvloop.run(run())


async def _until_all(latencies: Sequence[list[float]]) -> None:
    while not all(latencies):
        await asyncio.sleep(0.02)


def _check(status: int, body: bytes, expected: float, tolerance: float) -> None:
    if status != 200:
        raise RefusedError(f"{status} {body.decode(errors='replace')}")
    score = json.loads(body)["score"]
    if not abs(score - expected) <= tolerance:  # nan is no score
        raise WrongAnswerError(f"score {score}, expected {expected}")
