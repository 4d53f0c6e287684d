"""Which addresses a Triton URL means, and that a refused request is not asked again and again."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from gateway.triton.client import TritonClient
from gateway.triton.endpoints import SPREAD_OPTIONS, is_spread, target

METHOD = "/inference.GRPCInferenceService/ModelInfer"


@pytest.mark.parametrize("url", ["triton:8101", "10.0.0.5:8101", "unix:/run/triton", "[::1]:8101"])
def test_one_address_is_left_as_it_is(url: str) -> None:
    assert not is_spread(url)
    assert target(url) == url


def test_a_name_that_is_looked_up_again_is_left_to_grpc() -> None:
    assert is_spread("dns:///triton:8101")
    assert target("dns:///triton:8101") == "dns:///triton:8101"


def test_a_list_becomes_addresses() -> None:
    url = "10.0.0.5:8101, localhost:8201"
    assert is_spread(url)
    assert target(url) == "ipv4:10.0.0.5:8101,127.0.0.1:8201"


@pytest.mark.parametrize("url", ["10.0.0.5,10.0.0.6", "10.0.0.5:8101,", "a:b,c:d", ":8101,:8102"])
def test_an_entry_without_host_or_port_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not host:port"):
        target(url)


def test_several_tritons_cannot_be_made_to_share_memory() -> None:
    with pytest.raises(ValueError, match="cannot share memory"):
        TritonClient("dns:///triton:8101", "shm", region_bytes=1 << 20, largest_slot=1 << 20)


def test_refusals_do_not_multiply_load() -> None:
    """Two servers that refuse everything see hardly more attempts than there are requests."""
    requests = 400
    attempts = 0

    async def refuse(_request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        nonlocal attempts
        attempts += 1
        await context.abort(grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size")
        raise AssertionError("abort raises")

    async def scenario() -> None:
        handlers = grpc.method_handlers_generic_handler(
            "inference.GRPCInferenceService",
            {"ModelInfer": grpc.unary_unary_rpc_method_handler(refuse)},
        )
        servers = [grpc.aio.server(), grpc.aio.server()]
        ports = []
        for server in servers:
            server.add_generic_rpc_handlers((handlers,))
            ports.append(server.add_insecure_port("127.0.0.1:0"))
            await server.start()
        url = ",".join(f"127.0.0.1:{port}" for port in ports)
        async with grpc.aio.insecure_channel(target(url), options=SPREAD_OPTIONS) as channel:
            infer = channel.unary_unary(METHOD)
            for _ in range(requests):
                with pytest.raises(grpc.aio.AioRpcError) as refusal:
                    await infer(b"")
                assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
        for server in servers:
            await server.stop(None)

    asyncio.run(scenario())
    assert requests < attempts <= 1.15 * requests
