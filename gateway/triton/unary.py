"""A gRPC channel for unary calls to one server, and nothing else: the way that every picture takes.

grpc.aio serves streams, interceptors and several servers, too, by a thread of its own: a call costs
more than twice as much of the processor there, and a lone client waits while threads are woken.

Source: "gRPC over HTTP2", grpc/doc/PROTOCOL-HTTP2.md.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NoReturn
from urllib.parse import unquote

import grpc
from hpack import Encoder

from gateway.triton.frames import Code
from gateway.triton.http2 import Connection, Exchange, StreamEndedError

Metadata = Sequence[tuple[str, str]]

PREFIX = struct.Struct(">BI")  # of a message: whether it is compressed, its length
CONNECT_TIMEOUT = 5  # seconds
STATUS = {str(status.value[0]): status for status in grpc.StatusCode}
RESET_STATUS: dict[int | None, grpc.StatusCode] = {
    None: grpc.StatusCode.UNAVAILABLE,
    Code.REFUSED_STREAM: grpc.StatusCode.UNAVAILABLE,
    Code.CANCEL: grpc.StatusCode.CANCELLED,
    Code.ENHANCE_YOUR_CALM: grpc.StatusCode.RESOURCE_EXHAUSTED,
}


class UnaryChannel:
    """What generated stubs need of a `grpc.aio.Channel`, over one connection to one server.

    It connects with the first call, and again with the first one after the connection broke.
    Nothing is retried. Calls raise `grpc.aio.AioRpcError` as those of grpc.aio do.
    """

    def __init__(self, target: str) -> None:
        """Take the server's `host:port`.

        Raises:
            ValueError: it is something else.
        """
        host, _, port = target.rpartition(":")
        if not host or not port.isdecimal():
            raise ValueError(f"not host:port: {target!r}")
        self._host, self._port = host.strip("[]"), int(port)
        self._authority = target
        self._connection: Connection | None = None
        self._connecting = asyncio.Lock()

    def unary_unary(
        self,
        method: str,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        **_: object,
    ) -> Callable[..., Awaitable[Any]]:
        """The call of a method; serialisers of None leave bytes alone."""
        fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", method),
            (":authority", self._authority),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        ]
        block = _encoded(fields)

        async def call(
            request: Any, *, timeout: float | None = None, metadata: Metadata = ()
        ) -> Any:
            headers = block
            if metadata:
                headers += _encoded(metadata)
            if timeout is not None:
                headers += _encoded([("grpc-timeout", f"{max(int(timeout * 1000), 1)}m")])
            message = request_serializer(request) if request_serializer else request
            answer = await self._answer(headers, message, timeout)
            return response_deserializer(answer) if response_deserializer else answer

        return call

    def stream_stream(self, method: str, *_: object, **__: object) -> None:
        """Streams are not served; generated stubs ask for them when they are made."""

    async def close(self) -> None:
        """Close the connection; calls under way fail."""
        if self._connection:
            self._connection.close()

    async def _answer(self, headers: bytes, message: bytes, timeout: float | None) -> bytes:
        connection = await self.connect()
        exchange = connection.start(headers, PREFIX.pack(0, len(message)) + message)
        try:
            if timeout is None:
                await exchange.done
            else:
                await asyncio.wait_for(exchange.done, timeout)
        except TimeoutError:
            _fail(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
        except StreamEndedError as error:
            _fail(RESET_STATUS.get(error.code, grpc.StatusCode.INTERNAL), str(error))
        finally:
            connection.abandon(exchange)  # does nothing once it has ended
        return _message(exchange)

    async def connect(self) -> Connection:
        """The connection, made first where there is none.

        Raises:
            AioRpcError: `UNAVAILABLE`, nobody is there.
        """
        if self._connection and self._connection.usable:
            return self._connection
        async with self._connecting:
            if self._connection is None or not self._connection.usable:
                create = asyncio.get_running_loop().create_connection
                try:
                    async with asyncio.timeout(CONNECT_TIMEOUT):
                        _, self._connection = await create(Connection, self._host, self._port)
                except (OSError, TimeoutError) as error:
                    _fail(grpc.StatusCode.UNAVAILABLE, str(error))
            return self._connection


def _encoded(fields: Metadata) -> bytes:
    """Header fields in a form that leaves no trace at the server, so that it can be kept."""
    return Encoder().encode([(name, value, True) for name, value in fields])


def _message(exchange: Exchange) -> bytes:
    """What the server answered.

    Raises:
        AioRpcError: an error.
    """
    headers, body = exchange.headers, exchange.body
    status = STATUS.get(headers.get("grpc-status", ""), grpc.StatusCode.UNKNOWN)
    if status is not grpc.StatusCode.OK:
        _fail(status, unquote(headers.get("grpc-message", "")))
    if len(body) < PREFIX.size or PREFIX.unpack_from(body) != (0, len(body) - PREFIX.size):
        _fail(grpc.StatusCode.INTERNAL, "malformed message")
    return bytes(memoryview(body)[PREFIX.size :])


def _fail(status: grpc.StatusCode, details: str) -> NoReturn:
    nothing = grpc.aio.Metadata()
    raise grpc.aio.AioRpcError(status, nothing, nothing, details)
