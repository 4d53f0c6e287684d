"""The channel against gRPC's own server, and against what a server may send at any moment."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import grpc
import pytest

from gateway.triton import http2
from gateway.triton.frames import HEAD, LAST_STREAM, NUMBER, SETTING, Code, Kind, Setting, frame
from gateway.triton.unary import UnaryChannel

METHOD = "/test.Echo/Call"
Handler = Callable[[bytes, grpc.aio.ServicerContext], Awaitable[bytes]]
LARGE = 40 << 20


async def echo(request: bytes, _: grpc.aio.ServicerContext) -> bytes:
    return request


@asynccontextmanager
async def served(handler: Handler, port: int = 0) -> AsyncIterator[tuple[grpc.aio.Server, int]]:
    server = grpc.aio.server(
        options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    )
    handlers = {"Call": grpc.unary_unary_rpc_method_handler(handler)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", handlers),))
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield server, port
    finally:
        await server.stop(0)


@asynccontextmanager
async def connected(handler: Handler) -> AsyncIterator[UnaryChannel]:
    async with served(handler) as (_, port):
        channel = UnaryChannel(f"127.0.0.1:{port}")
        yield channel
        await channel.close()


async def status_of(call: Awaitable[object]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call
    return failure.value.code(), failure.value.details() or ""


@pytest.mark.parametrize("size", [0, 1, 16379, 16380, 65535, LARGE])
async def test_messages_of_any_size_go_both_ways(size: int) -> None:
    message = bytes(range(256)) * (size // 256) + bytes(size % 256)
    async with connected(echo) as channel:
        assert await channel.unary_unary(METHOD)(message) == message


async def test_calls_at_once_get_their_own_answers() -> None:
    async def slow_when_small(request: bytes, _: grpc.aio.ServicerContext) -> bytes:
        await asyncio.sleep(0.05 / len(request))
        return request

    messages = [bytes([number]) * (1 + number * 5000) for number in range(100)]
    async with connected(slow_when_small) as channel:
        call = channel.unary_unary(METHOD)
        assert await asyncio.gather(*map(call, messages)) == messages


async def test_small_calls_pass_a_large_one_that_the_server_does_not_read_yet() -> None:
    async with connected(echo) as channel:
        call = channel.unary_unary(METHOD)
        large = asyncio.ensure_future(call(bytes(LARGE)))
        assert await call(b"small") == b"small"
        assert len(await large) == LARGE


async def test_serialisers_and_metadata() -> None:
    async def joined(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        return request + dict(context.invocation_metadata())["traceparent"].encode()

    async with connected(joined) as channel:
        call = channel.unary_unary(METHOD, str.encode, bytes.decode)
        assert await call("ä", metadata=[("traceparent", "00-ab")]) == "ä00-ab"


async def test_the_servers_errors_come_with_code_and_words() -> None:
    async def refuse(_: bytes, context: grpc.aio.ServicerContext) -> bytes:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "zu groß: 100 %")
        return b""

    async with connected(refuse) as channel:
        status = await status_of(channel.unary_unary(METHOD)(b""))
        assert status == (grpc.StatusCode.INVALID_ARGUMENT, "zu groß: 100 %")
        unknown, _ = await status_of(channel.unary_unary("/test.Echo/Other")(b""))
        assert unknown is grpc.StatusCode.UNIMPLEMENTED


async def test_a_deadline_ends_the_call_here_and_there() -> None:
    ended = asyncio.Event()

    async def late(request: bytes, _: grpc.aio.ServicerContext) -> bytes:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return request

    async with connected(late) as channel:
        status, _ = await status_of(channel.unary_unary(METHOD)(b"", timeout=0.05))
        assert status is grpc.StatusCode.DEADLINE_EXCEEDED
        await asyncio.wait_for(ended.wait(), 10)


async def test_a_cancelled_call_leaves_the_others_alone() -> None:
    async def slow(request: bytes, _: grpc.aio.ServicerContext) -> bytes:
        await asyncio.sleep(0.1)
        return request

    async with connected(slow) as channel:
        call = channel.unary_unary(METHOD)
        cancelled, other = asyncio.ensure_future(call(b"a")), asyncio.ensure_future(call(b"b"))
        await asyncio.sleep(0.02)
        cancelled.cancel()
        assert await other == b"b"


async def test_nobody_there_then_somebody_then_another() -> None:
    async with served(echo) as (_, port):
        pass
    channel = UnaryChannel(f"127.0.0.1:{port}")
    call = channel.unary_unary(METHOD)
    assert (await status_of(call(b"")))[0] is grpc.StatusCode.UNAVAILABLE
    assert (await status_of(channel.connect()))[0] is grpc.StatusCode.UNAVAILABLE
    for _ in range(2):
        async with served(echo, port):
            assert await call(b"there") == b"there"
    await channel.close()


async def test_a_server_that_stops_gracefully_answers_what_it_has() -> None:
    started = asyncio.Event()

    async def slow(request: bytes, _: grpc.aio.ServicerContext) -> bytes:
        started.set()
        await asyncio.sleep(0.2)
        return request

    async with served(slow) as (server, port):
        channel = UnaryChannel(f"127.0.0.1:{port}")
        call = channel.unary_unary(METHOD)
        under_way = asyncio.ensure_future(call(b"answer"))
        await started.wait()
        stopping = asyncio.ensure_future(server.stop(5))
        assert await under_way == b"answer"
        await stopping
        assert (await status_of(call(b"")))[0] is grpc.StatusCode.UNAVAILABLE


async def test_a_killed_server_fails_what_is_under_way() -> None:
    started = asyncio.Event()

    async def never(request: bytes, _: grpc.aio.ServicerContext) -> bytes:
        started.set()
        await asyncio.sleep(60)
        return request

    async with served(never) as (server, port):
        call = UnaryChannel(f"127.0.0.1:{port}").unary_unary(METHOD)
        under_way = asyncio.ensure_future(call(b""))
        await started.wait()
        await server.stop(0)
        status, _ = await status_of(under_way)
        assert status in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


@pytest.mark.parametrize("target", ["", "8101", "localhost", "localhost:", "localhost:grpc"])
def test_a_target_is_host_and_port(target: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        UnaryChannel(target)


class Recorder(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True


async def opened() -> tuple[http2.Connection, Recorder]:
    connection, transport = http2.Connection(), Recorder()
    connection.connection_made(transport)
    transport.written = b""
    return connection, transport


async def written(transport: Recorder) -> bytes:
    await asyncio.sleep(0)
    data, transport.written = transport.written, b""
    return data


async def test_a_body_waits_for_the_windows_of_stream_and_connection() -> None:
    connection, transport = await opened()
    settings = SETTING.pack(Setting.INITIAL_WINDOW_SIZE, 10)
    connection.data_received(frame(Kind.SETTINGS, settings))
    assert await written(transport) == frame(Kind.SETTINGS, b"", flags=1)
    connection.start(b"", bytes(25))
    assert await written(transport) == (
        frame(Kind.HEADERS, b"", flags=4, stream=1) + frame(Kind.DATA, bytes(10), stream=1)
    )
    connection.data_received(frame(Kind.WINDOW_UPDATE, NUMBER.pack(5), stream=1))
    assert await written(transport) == frame(Kind.DATA, bytes(5), stream=1)
    settings = SETTING.pack(Setting.INITIAL_WINDOW_SIZE, 12)  # of streams under way, too
    connection.data_received(frame(Kind.SETTINGS, settings))
    assert await written(transport) == (
        frame(Kind.SETTINGS, b"", flags=1) + frame(Kind.DATA, bytes(2), stream=1)
    )
    connection.data_received(frame(Kind.WINDOW_UPDATE, NUMBER.pack(100), stream=1))
    assert await written(transport) == frame(Kind.DATA, bytes(8), flags=1, stream=1)


async def test_frames_in_any_pieces_padded_and_continued() -> None:
    block = b"\x20" + http2_headers([("grpc-status", "0")])
    data = frame(Kind.DATA, b"\x03body\0\0\0", flags=8, stream=1)
    padded = b"\x02" + bytes(5) + block[:3] + bytes(2)  # and with a priority
    data += frame(Kind.HEADERS, padded, flags=1 | 8 | 32, stream=1)
    data += frame(Kind.CONTINUATION, block[3:], flags=4, stream=1)
    for size in (1, 2, 7, len(data)):
        connection, _ = await opened()
        exchange = connection.start(b"", b"")
        for start in range(0, len(data), size):
            connection.data_received(data[start : start + size])
        await exchange.done
        assert exchange.body == b"body"
        assert exchange.headers == {"grpc-status": "0"}


async def test_pings_are_answered_and_unknown_frames_ignored() -> None:
    connection, transport = await opened()
    connection.data_received(
        HEAD.pack(3 << 8 | 0xBE, 0, 0) + b"new" + frame(Kind.PING, b"12345678")
    )
    assert await written(transport) == frame(Kind.PING, b"12345678", flags=1)


async def test_a_server_that_goes_away_refuses_what_it_has_not_seen() -> None:
    connection, transport = await opened()
    first, second = connection.start(b"", b""), connection.start(b"", b"")
    connection.data_received(frame(Kind.GOAWAY, NUMBER.pack(first.stream) + NUMBER.pack(0)))
    assert not connection.usable
    with pytest.raises(http2.StreamEndedError) as refusal:
        await second.done
    assert refusal.value.code == Code.REFUSED_STREAM
    assert not transport.closed
    connection.data_received(frame(Kind.DATA, b"", flags=1, stream=first.stream))
    await first.done
    assert transport.closed


async def test_the_last_stream_number_retires_the_connection() -> None:
    connection, transport = await opened()
    connection._next_stream = LAST_STREAM
    exchange = connection.start(b"", b"")
    assert not connection.usable
    connection.data_received(frame(Kind.DATA, b"", flags=1, stream=exchange.stream))
    assert transport.closed


async def test_a_reset_and_damaged_headers_fail_one_exchange() -> None:
    connection, _ = await opened()
    reset, damaged, sound = (connection.start(b"", b"") for _ in range(3))
    connection.data_received(frame(Kind.RST_STREAM, NUMBER.pack(11), stream=reset.stream))
    connection.data_received(frame(Kind.HEADERS, b"\xff\xff", flags=4, stream=damaged.stream))
    connection.data_received(frame(Kind.DATA, b"", flags=1, stream=sound.stream))
    for exchange in (reset, damaged):
        with pytest.raises(http2.StreamEndedError):
            await exchange.done
    await sound.done


def http2_headers(fields: list[tuple[str, str]]) -> bytes:
    from hpack import Encoder

    return Encoder().encode([(name, value, True) for name, value in fields])
