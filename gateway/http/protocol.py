"""uvicorn's HTTP protocol, but for three things that it has no options for.

A client has limited time and bytes for the headers of a request, and limited time for the rest of a
body that was answered already. Work learns that its client hung up. And an offer to go on in
another protocol is ignored: uvicorn's parser would take the rest of the connection for that one.
"""

from __future__ import annotations

import asyncio
import sys

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.deadline import HUNG_UP

HEADER_TIMEOUT = "header_timeout"  # seconds, in the state that the application's lifespan yields
HEADER_BYTES = 64 << 10  # most between two pieces of body: address, headers, trailers
OFFER = frozenset({b"connection", b"upgrade", b"http2-settings"})


class BoundedProtocol(HttpToolsProtocol):
    """For uvicorn's option `--http`."""

    _deadline: asyncio.TimerHandle | None = None
    _header_bytes = 0
    _data = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        self._await_headers()

    def data_received(self, data: bytes) -> None:
        """Bytes of a request; they count as headers while no request waits for its answer."""
        self._header_bytes += len(data)
        self._data = data
        super().data_received(data)
        self._data = b""
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

    def _should_upgrade(self) -> bool:
        """Have uvicorn call `handle_websocket_upgrade` for each offer, instead of the application.

        It does so once the parser has stopped behind the headers.
        """
        return True

    def handle_websocket_upgrade(self) -> None:
        """Read the request as if nothing had been offered."""
        stopped = sys.exception()
        assert isinstance(stopped, httptools.HttpParserUpgrade)
        rest = self._data[stopped.args[0] :]
        head = [self.scope["method"].encode(), b" ", self.url, b" HTTP/1.1\r\n"]
        for name, value in self.headers:
            if name not in OFFER:
                head += [name, b": ", value, b"\r\n"]
        self.parser = httptools.HttpRequestParser(self)
        super().data_received(b"".join([*head, b"\r\n", rest]))

    def _await_headers(self) -> None:
        if self._deadline is None:
            seconds = self.app_state[HEADER_TIMEOUT]
            self._deadline = self.loop.call_later(seconds, self.transport.close)

    def _await_no_headers(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
