"""An answer leaves in one write; headers have limited time; work learns that its client left."""

import asyncio

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway.admission import HUNG_UP
from gateway.http import protocol as connection
from gateway.http.protocol import OneWriteProtocol

HEAD = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class RecordingTransport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = self.paused = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


def connect(app: ASGIApp) -> tuple[OneWriteProtocol, RecordingTransport]:
    config = Config(app, http=OneWriteProtocol)
    config.load()
    transport = RecordingTransport()
    protocol = OneWriteProtocol(config, ServerState(), {})
    protocol.connection_made(transport)
    return protocol, transport


async def answer(_: Scope, __: Receive, send: Send) -> None:
    await send(HEAD)
    await send({"type": "http.response.body", "body": b"ok"})


async def test_each_answer_is_one_write() -> None:
    protocol, transport = connect(answer)
    for number in (1, 2):
        protocol.data_received(REQUEST)
        await asyncio.sleep(0.01)
        assert len(transport.writes) == number
        assert transport.writes[-1].startswith(b"HTTP/1.1 200 OK\r\n")
        assert transport.writes[-1].endswith(b"\r\n\r\nok")


async def test_reading_stops_only_when_an_application_leaves_much_lying() -> None:
    taking = asyncio.Event()

    async def slow(_: Scope, receive: Receive, send: Send) -> None:
        await taking.wait()
        while (await receive())["more_body"]:
            pass
        await answer(_, receive, send)

    protocol, transport = connect(slow)
    protocol.data_received(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1200000\r\n\r\n")
    for received in range(0, 1_200_000, 100_000):
        assert transport.paused is (received > 1 << 20)
        protocol.data_received(bytes(100_000))
    taking.set()
    await asyncio.sleep(0.01)
    assert not transport.paused
    assert transport.writes


async def test_headers_do_not_wait_for_a_late_body() -> None:
    late = asyncio.Event()

    async def stream(_: Scope, __: Receive, send: Send) -> None:
        await send(HEAD)
        await late.wait()
        await send({"type": "http.response.body", "body": b"ok"})

    protocol, transport = connect(stream)
    protocol.data_received(REQUEST)
    await asyncio.sleep(0.01)
    assert len(transport.writes) == 1
    assert transport.writes[0].endswith(b"\r\n\r\n")
    late.set()
    await asyncio.sleep(0.01)
    assert transport.writes[1:] == [b"ok"]


@pytest.mark.parametrize("data", [b"nonsense\r\n\r\n", REQUEST.replace(b"1.1", b"1.0")])
async def test_what_is_held_back_leaves_before_the_connection_is_closed(data: bytes) -> None:
    protocol, transport = connect(answer)
    protocol.data_received(data)
    await asyncio.sleep(0.01)
    assert transport.closed
    assert len(transport.writes) == 1
    assert transport.writes[0].startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize(
    "data",
    [b"", REQUEST[:-2], REQUEST + REQUEST[:10], b"POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\n1"],
    ids=["nothing", "headers", "second headers", "body after the answer"],
)
async def test_a_client_that_does_not_get_on_is_hung_up_on(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEADER_TIMEOUT", 0.2)
    protocol, transport = connect(answer)
    for byte in data:  # one by one, which does not give it more time
        protocol.data_received(bytes([byte]))
    await asyncio.sleep(0.05)
    protocol.data_received(b"2" if data.endswith(b"1") else b"")
    assert not transport.closed
    await asyncio.sleep(0.5)
    assert transport.closed


async def test_a_request_that_waits_for_its_answer_is_not_hung_up_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "HEADER_TIMEOUT", 0.05)
    late = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await late.wait()
        await answer(scope, receive, send)

    protocol, transport = connect(slow)
    protocol.data_received(REQUEST)
    await asyncio.sleep(0.2)
    assert not transport.closed
    late.set()
    await asyncio.sleep(0.02)
    assert transport.writes[0].endswith(b"\r\n\r\nok")


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
    await asyncio.sleep(0.01)
    assert received == 10_000_000
    assert transport.writes[-1].startswith(b"HTTP/1.1 200 OK\r\n")
