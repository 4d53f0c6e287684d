"""As much of an HTTP/2 client as unary gRPC calls need (RFC 9113): requests at once, whole answers.

What is sent in one turn of the event loop leaves in one write.
"""

from __future__ import annotations

import asyncio
from typing import cast

from hpack.exceptions import HPACKError

from gateway.triton.frames import (
    DEFAULT_FRAME,
    DEFAULT_WINDOW,
    HEAD,
    LARGEST_WINDOW,
    LAST_STREAM,
    NUMBER,
    PREFACE,
    SETTING,
    Code,
    Flag,
    Kind,
    Setting,
    frame,
    header_fields,
    unpadded,
)

REFILL = 1 << 30  # bytes received until the connection's window is filled up again


class StreamEndedError(Exception):
    """There will be no answer.

    Attributes:
        code: the server's reason; None where the connection is gone.
    """

    def __init__(self, code: int | None, message: str) -> None:
        super().__init__(message)
        self.code = code


class Exchange:
    """A request and its answer.

    Attributes:
        stream: its number.
        done: set once the answer is complete; fails with `StreamEndedError`.
        headers: of the answer, trailers included.
        body: of the answer.
    """

    def __init__(self, stream: int, body: bytes, window: int) -> None:
        self.stream = stream
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.unsent = memoryview(body)
        self.window = window  # bytes that the server takes of this stream

    def fail(self, error: StreamEndedError) -> None:
        """There will be no answer."""
        if not self.done.done():
            self.done.set_exception(error)


class Connection(asyncio.Protocol):
    """A connection and the exchanges on it.

    Attributes:
        usable: takes new exchanges.
    """

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self.usable = True
        self._exchanges: dict[int, Exchange] = {}
        self._next_stream = 1
        self._outgoing: list[bytes] = []
        self._window = self._initial_window = DEFAULT_WINDOW
        self._frame_size = DEFAULT_FRAME
        self._incomplete = b""  # frame
        self._consumed = 0
        self._block = b""  # header fields, of several frames
        self._block_flags = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say what the server may send: as much as it likes, and headers without a memory."""
        self._transport = cast(asyncio.Transport, transport)
        settings = (
            (Setting.HEADER_TABLE_SIZE, 0),
            (Setting.ENABLE_PUSH, 0),
            (Setting.INITIAL_WINDOW_SIZE, LARGEST_WINDOW),
        )
        transport_window = NUMBER.pack(LARGEST_WINDOW - DEFAULT_WINDOW)
        self._transport.write(
            PREFACE
            + frame(Kind.SETTINGS, b"".join(SETTING.pack(*setting) for setting in settings))
            + frame(Kind.WINDOW_UPDATE, transport_window)
        )

    def start(self, headers: bytes, body: bytes) -> Exchange:
        """Send a request with these encoded header fields."""
        exchange = Exchange(self._next_stream, body, self._initial_window)
        self._exchanges[exchange.stream] = exchange
        self._next_stream += 2
        self.usable = self._next_stream <= LAST_STREAM
        self._send(frame(Kind.HEADERS, headers, Flag.END_HEADERS, exchange.stream))
        self._send_body(exchange)
        return exchange

    def abandon(self, exchange: Exchange) -> None:
        """Nobody waits for the answer any more."""
        if self._exchanges.pop(exchange.stream, None):
            reason = NUMBER.pack(Code.CANCEL)
            self._send(frame(Kind.RST_STREAM, reason, 0, exchange.stream))
            self._close_if_done()

    def close(self) -> None:
        """End the connection; what is under way fails."""
        self._flush()
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self.usable = False
        for exchange in self._exchanges.values():
            exchange.fail(StreamEndedError(None, str(exc or "the connection was closed")))
        self._exchanges.clear()

    def data_received(self, data: bytes) -> None:
        """Bytes of the server's frames."""
        data = self._incomplete + data
        start = 0
        while len(data) - start >= HEAD.size:
            length_and_kind, flags, stream = HEAD.unpack_from(data, start)
            end = start + HEAD.size + (length_and_kind >> 8)
            if len(data) < end:
                break
            payload = data[start + HEAD.size : end]
            self._receive(length_and_kind & 0xFF, flags, stream & LAST_STREAM, payload)
            start = end
        self._incomplete = data[start:]

    def _receive(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        match kind:
            case Kind.DATA:
                self._receive_data(flags, stream, payload)
            case Kind.HEADERS:
                priority = 5 if flags & Flag.PRIORITY else 0
                self._block, self._block_flags = unpadded(flags, payload)[priority:], flags
            case Kind.CONTINUATION:
                self._block += payload
            case Kind.SETTINGS if not flags & Flag.ACK:
                # Before any data that only the new settings allow.
                self._send(frame(Kind.SETTINGS, b"", Flag.ACK))
                self._apply(payload)
            case Kind.PING if not flags & Flag.ACK:
                self._send(frame(Kind.PING, payload, Flag.ACK))
            case Kind.WINDOW_UPDATE:
                self._widen(stream, *NUMBER.unpack(payload))
            case Kind.RST_STREAM:
                (code,) = NUMBER.unpack(payload)
                self._end(stream, StreamEndedError(code, f"stream reset ({code})"))
            case Kind.GOAWAY:
                self._go_away(*NUMBER.unpack_from(payload))
        if kind in (Kind.HEADERS, Kind.CONTINUATION) and flags & Flag.END_HEADERS:
            self._receive_headers(stream)

    def _receive_headers(self, stream: int) -> None:
        exchange = self._exchanges.get(stream)
        if exchange is None:
            return
        try:
            exchange.headers |= header_fields(self._block)
        except HPACKError as error:
            self._end(stream, StreamEndedError(Code.INTERNAL_ERROR, str(error)))
            return
        if self._block_flags & Flag.END_STREAM:
            self._end(stream)

    def _receive_data(self, flags: int, stream: int, payload: bytes) -> None:
        self._consumed += len(payload)
        if self._consumed >= REFILL:
            self._send(frame(Kind.WINDOW_UPDATE, NUMBER.pack(self._consumed)))
            self._consumed = 0
        exchange = self._exchanges.get(stream)
        if exchange:
            exchange.body += unpadded(flags, payload)
            if flags & Flag.END_STREAM:
                self._end(stream)

    def _end(self, stream: int, error: StreamEndedError | None = None) -> None:
        exchange = self._exchanges.pop(stream, None)
        if exchange is None:
            return
        if error:
            exchange.fail(error)
        elif not exchange.done.done():
            exchange.done.set_result(None)
        self._close_if_done()

    def _go_away(self, last_stream: int) -> None:
        self.usable = False
        for stream in [number for number in self._exchanges if number > last_stream & LAST_STREAM]:
            self._end(stream, StreamEndedError(Code.REFUSED_STREAM, "the server is going away"))
        self._close_if_done()

    def _close_if_done(self) -> None:
        if not self.usable and not self._exchanges:
            self.close()

    def _apply(self, settings: bytes) -> None:
        for name, value in SETTING.iter_unpack(settings):
            if name == Setting.INITIAL_WINDOW_SIZE:
                for exchange in self._exchanges.values():
                    exchange.window += value - self._initial_window
                self._initial_window = value
            elif name == Setting.MAX_FRAME_SIZE:
                self._frame_size = value
        self._send_bodies()

    def _widen(self, stream: int, size: int) -> None:
        if stream == 0:
            self._window += size
        elif exchange := self._exchanges.get(stream):
            exchange.window += size
        self._send_bodies()

    def _send_bodies(self) -> None:
        for exchange in self._exchanges.values():
            if exchange.unsent:
                self._send_body(exchange)

    def _send_body(self, exchange: Exchange) -> None:
        """As much of a request's body as the server takes now."""
        while (rest := len(exchange.unsent)) > 0:
            size = min(rest, self._window, exchange.window, self._frame_size)
            if size <= 0:
                return
            part, exchange.unsent = exchange.unsent[:size], exchange.unsent[size:]
            self._window -= size
            exchange.window -= size
            flags = 0 if exchange.unsent else Flag.END_STREAM
            self._send(frame(Kind.DATA, bytes(part), flags, exchange.stream))

    def _send(self, data: bytes) -> None:
        if not self._outgoing:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outgoing.append(data)

    def _flush(self) -> None:
        if self._outgoing:
            self._transport.write(b"".join(self._outgoing))
            self._outgoing.clear()
