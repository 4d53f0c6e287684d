"""uvicorn's HTTP protocol, but for one thing: an answer leaves in one piece.

uvicorn writes the headers of an answer, then its body; each write is a system call and a packet.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADERS_END = b"\r\n\r\n"


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

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        joining = _JoiningTransport(cast(asyncio.Transport, transport))
        super().connection_made(cast(asyncio.Transport, joining))
