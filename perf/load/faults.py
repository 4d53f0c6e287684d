"""What is done to a running service: its processes killed or stopped, its clients unkind."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import psutil

from perf.load.exchanges import Exchange

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  (where POSIX shared memory lives on Linux)
Member = Literal["uvicorn", "tritonserver", "triton_python_backend_stub", "launcher.janitor"]


def members(launcher: int, kind: Member | None = None) -> list[psutil.Process]:
    """Living processes that a launcher has started, of one kind or all."""
    return [
        process
        for process in psutil.Process(launcher).children(recursive=True)
        if kind is None or kind in _command(process)
    ]


def family(launcher: int) -> list[int]:
    """Process ids of a launcher and of all that it has started."""
    return [launcher, *(member.pid for member in members(launcher))]


def memory_of(pids: Iterable[int]) -> list[Path]:
    """The shared memory that processes with these ids have made."""
    return [path for pid in pids for path in SHARED_MEMORY.glob(f"iqa-*-{pid}-*")]


def kill(launcher: int, kind: Member) -> float:
    """Kill -9 one of a kind; the moment, of `time.monotonic`."""
    victim = members(launcher, kind)[0]
    victim.kill()
    return time.monotonic()


async def suspend(launcher: int, kind: Member, seconds: float) -> float:
    """SIGSTOP all of a kind for so long; the moment of SIGCONT, of `time.monotonic`."""
    victims = members(launcher, kind)
    for victim in victims:
        victim.send_signal(signal.SIGSTOP)
    await asyncio.sleep(seconds)
    for victim in victims:
        victim.send_signal(signal.SIGCONT)
    return time.monotonic()


async def hang_up(port: int, exchange: Exchange, *, sent: float, patience: float = 0.0) -> None:
    """Send that part of a request, wait, and break the connection without a word.

    Cancelled, it breaks the connection at once.
    """
    request = head(exchange, len(exchange.body)) + exchange.body
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request[: round(sent * len(request))])
        with suppress(ConnectionError):
            await writer.drain()
            await asyncio.sleep(patience)
    finally:
        connection = writer.get_extra_info("socket")
        linger = bytes([1, 0, 0, 0, 0, 0, 0, 0])
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
    del reader


async def drip(port: int, start: bytes, drops: bytes, pause: float) -> tuple[float, bytes]:
    """Send `start`, then one byte of `drops` after each pause, until the service hangs up.

    Returns:
        seconds until it hung up, and what it answered.

    Raises:
        TimeoutError: it did not, however often `drops` would have been sent.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    started = time.monotonic()
    answer = asyncio.ensure_future(_read_to_end(reader))
    try:
        writer.write(start)
        for drop in drops:
            done, _ = await asyncio.wait({answer}, timeout=pause)
            if done:
                return time.monotonic() - started, answer.result()
            writer.write(bytes([drop]))
        raise TimeoutError("the service still listens to a client that drips")
    finally:
        answer.cancel()
        writer.transport.abort()


def head(exchange: Exchange, length: int) -> bytes:
    """Head of a request whose body has that many bytes."""
    return (
        f"POST {exchange.path} HTTP/1.1\r\nHost: service\r\nContent-Length: {length}\r\n"
        f"Content-Type: {exchange.content_type}\r\n\r\n"
    ).encode()


async def _read_to_end(reader: asyncio.StreamReader) -> bytes:
    received = b""
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            received += data
    return received


def _command(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        if process.status() != psutil.STATUS_ZOMBIE:
            return " ".join(process.cmdline())
    return ""
