"""Headers have limited time and bytes; work learns that its client left; offers are ignored."""

import asyncio
import inspect

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from gateway.deadline import HUNG_UP
from gateway.http.protocol import HEADER_TIMEOUT, BoundedProtocol

HEAD = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class RecordingTransport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.paused = False
        self.end = asyncio.Event()

    @property
    def closed(self) -> bool:
        return self.end.is_set()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.end.set()

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


def connect(
    app: ASGIApp, *, header_timeout: float = 10
) -> tuple[BoundedProtocol, RecordingTransport]:
    config = Config(app, http=BoundedProtocol)
    config.load()
    transport = RecordingTransport()
    protocol = BoundedProtocol(config, ServerState(), {HEADER_TIMEOUT: header_timeout})
    protocol.connection_made(transport)
    return protocol, transport


async def answer(_: Scope, __: Receive, send: Send) -> None:
    await send(HEAD)
    await send({"type": "http.response.body", "body": b"ok"})


OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
UPLOAD = b"POST /a?b HTTP/1.1\r\nHost: a\r\n" + OFFER + b"Content-Length: 10\r\nX: y\r\n\r\n"


@pytest.mark.parametrize("framing", [b"Content-Length: 10", b"Transfer-Encoding: chunked"])
@pytest.mark.parametrize("size", [1, 7, 1000], ids=lambda size: f"by {size}")
async def test_an_offer_of_another_protocol_is_ignored(framing: bytes, size: int) -> None:
    """As every stock Java client and `curl --http2` make one with an upload."""
    seen: list[tuple[str, bytes, bytes, int, bytes]] = []

    async def read(scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while (message := await receive()).get("more_body"):
            body += message["body"]
        body += message["body"]
        headers = dict(scope["headers"])
        seen.append((scope["path"], scope["query_string"], headers[b"x"], len(headers), body))
        await answer(scope, receive, send)

    protocol, transport = connect(read)
    body = b"0123456789" if b"Length" in framing else b"a\r\n0123456789\r\n0\r\n\r\n"
    data = UPLOAD.replace(b"Content-Length: 10", framing) + body
    for _ in range(2):  # the connection stays usable
        for start in range(0, len(data), size):
            protocol.data_received(data[start : start + size])
        while not protocol.cycle.response_complete:
            await asyncio.sleep(0)
    assert seen == [("/a", b"b", b"y", 3, b"0123456789")] * 2
    assert sum(write.startswith(b"HTTP/1.1 200 OK") for write in transport.writes) == 2
    protocol.connection_lost(None)


@pytest.mark.parametrize(
    ("data", "more"),
    [
        (b"", b""),
        (REQUEST[:-2], b"a"),
        (REQUEST + b"GET /", b"a"),
        (b"POST / HTTP/1.1\r\ncontent-length: 90000\r\n\r\n1", b"2"),
    ],
    ids=["nothing", "headers", "second headers", "body after the answer"],
)
async def test_a_client_that_does_not_get_on_is_hung_up_on(data: bytes, more: bytes) -> None:
    loop = asyncio.get_running_loop()
    start = loop.time()
    protocol, transport = connect(answer, header_timeout=0.2)
    for byte in data:
        protocol.data_received(bytes([byte]))
    async with asyncio.timeout(20):
        while not transport.closed:  # what comes byte by byte gives it no more time
            protocol.data_received(more)
            await asyncio.sleep(0.02)
    assert loop.time() - start > 0.19


async def test_a_request_that_waits_for_its_answer_is_not_hung_up_on() -> None:
    late = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await late.wait()
        await answer(scope, receive, send)

    protocol, transport = connect(slow, header_timeout=0.05)
    protocol.data_received(REQUEST)
    await asyncio.sleep(0.2)
    assert not transport.closed
    late.set()
    while not protocol.cycle.response_complete:
        await asyncio.sleep(0)
    assert b"".join(transport.writes).endswith(b"\r\n\r\nok")


@pytest.mark.parametrize("answered", [False, True])
async def test_work_learns_that_its_client_hung_up(answered: bool) -> None:
    states = []

    async def work(scope: Scope, receive: Receive, send: Send) -> None:
        states.append(scope["state"])
        if not answered:
            await asyncio.Event().wait()
        await answer(scope, receive, send)

    protocol, _ = connect(work)
    protocol.data_received(REQUEST)
    await asyncio.sleep(0)
    protocol.connection_lost(ConnectionError())
    assert (HUNG_UP in states[0]) is not answered


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"GET /", b"a" * 10_000),
        (b"GET / HTTP/1.1\r\nA: ", b"a" * 10_000),
        (b"GET / HTTP/1.1\r\n", b"A: b\r\n" * 1_650),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1;", b"a" * 10_000),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n" * 1_650),
    ],
    ids=["address", "one header", "headers", "chunk extension", "trailers"],
)
async def test_headers_have_an_end(start: bytes, more: bytes) -> None:
    async def read(_: Scope, receive: Receive, __: Send) -> None:
        while (await receive()).get("more_body"):
            pass

    protocol, transport = connect(read)
    protocol.data_received(start)
    for _ in range(6):
        protocol.data_received(more)
        await asyncio.sleep(0)
    assert not transport.closed
    protocol.data_received(more)
    assert transport.closed
    assert transport.writes[-1].startswith(b"HTTP/1.1 400 ")
    protocol.connection_lost(None)


@pytest.mark.parametrize("framing", ["Content-Length: 10000000", "Transfer-Encoding: chunked"])
async def test_a_body_is_no_header(framing: str) -> None:
    received = 0

    async def count(_: Scope, receive: Receive, send: Send) -> None:
        nonlocal received
        while (message := await receive()).get("more_body"):
            received += len(message["body"])
        received += len(message["body"])
        await answer({}, receive, send)

    protocol, transport = connect(count)
    protocol.data_received(f"POST / HTTP/1.1\r\n{framing}\r\n\r\n".encode())
    piece = b"a" * 100_000
    for _ in range(100):
        chunked = b"186a0\r\n" + piece + b"\r\n"
        protocol.data_received(chunked if "chunked" in framing else piece)
        await asyncio.sleep(0)
    if "chunked" in framing:
        protocol.data_received(b"0\r\n\r\n")
    while not protocol.cycle.response_complete:
        await asyncio.sleep(0)
    assert received == 10_000_000
    assert transport.writes[0].startswith(b"HTTP/1.1 200 OK\r\n")


def test_uvicorn_has_the_parts_that_the_protocol_builds_on() -> None:
    """Each name is private to uvicorn: where one goes, so does what the protocol does with it."""
    for name in ("data_received", "on_body", "on_message_complete", "send_400_response"):
        assert callable(getattr(HttpToolsProtocol, name)), f"no limit of header bytes: {name}"
    source = inspect.getsource(HttpToolsProtocol)
    assert "if self._should_upgrade():\n                self.handle_websocket_upgrade()" in source
    for name in ("app_state", "cycle", "headers", "loop", "parser", "scope", "transport", "url"):
        assert f"self.{name}" in source
