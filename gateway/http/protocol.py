"""uvicorn's HTTP protocol, but for five things.

An answer leaves in one piece: uvicorn writes its headers, then its body, and each write is a system
call and a packet. A client has limited time for the headers of a request, and for the rest of a
body that was answered already, and limited bytes: uvicorn's has forever, and as much of the memory
as it likes. Work learns that its client hung up. And an ordinary upload is read without a stop:
uvicorn's stops after 64 KiB until the application has taken them.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.admission import HUNG_UP
from gateway.settings import Settings

HEADERS_END = b"\r\n\r\n"
HEADER_TIMEOUT = Settings().header_timeout
HEADER_BYTES = 64 << 10  # most between two pieces of body: address, headers, trailers
# Bytes that wait for the application to take them.
httptools_impl.HIGH_WATER_LIMIT = 1 << 20  # type: ignore[attr-defined]


class _JoiningTransport:
    """Holds headers back until the body comes, or for a turn of the event loop."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._held = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._held and data.endswith(HEADERS_END):
            self._held = data
            self._loop.call_soon(self._flush)
        else:
            self._transport.write(self._held + data)
            self._held = b""

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._held:
            self._transport.write(self._held)
            self._held = b""


class OneWriteProtocol(HttpToolsProtocol):
    """For uvicorn's option `--http`."""

    _deadline: asyncio.TimerHandle | None = None
    _header_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        joining = _JoiningTransport(cast(asyncio.Transport, transport))
        super().connection_made(cast(asyncio.Transport, joining))
        self._await_headers()

    def data_received(self, data: bytes) -> None:
        """Bytes of a request; they count as headers while no request waits for its answer."""
        self._header_bytes += len(data)
        super().data_received(data)
        if self._header_bytes > HEADER_BYTES:
            self.send_400_response("Too many header bytes.")
        if self.cycle is None or self.cycle.response_complete:
            self._await_headers()
        else:
            self._await_no_headers()

    def on_body(self, body: bytes) -> None:
        """A piece of a body."""
        self._header_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The end of a request."""
        self._header_bytes = 0
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._await_no_headers()
        if self.cycle and not self.cycle.response_complete:
            self.cycle.scope["state"][HUNG_UP] = True
        super().connection_lost(exc)

    def _await_headers(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEADER_TIMEOUT, self.transport.close)

    def _await_no_headers(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
