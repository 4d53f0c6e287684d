"""What is reachable from outside: by default the gateway; of an opened Triton, inference alone."""

from __future__ import annotations

import ipaddress
import random
import socket
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import numpy as np
import psutil
import pytest
from tritonclient.grpc import service_pb2 as protocol
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

import iqa
from gateway.triton import key as triton_key
from gateway.triton.client import TritonClient
from gateway.triton.messages import Tensor
from perf.load.exchanges import Exchange
from perf.load.faults import members
from tests.conftest import RunningService, running
from tests.reliability.conftest import THEIR_METRICS

MEMORY = {"name": "stranger", "key": "/stranger", "offset": 0, "byte_size": 4096}
# Calls that change a Triton or tell of its memory; a model control that is off refuses otherwise.
GRPC_CALLS = [
    ("SystemSharedMemoryRegister", protocol.SystemSharedMemoryRegisterRequest(**MEMORY)),
    ("SystemSharedMemoryStatus", protocol.SystemSharedMemoryStatusRequest()),
    ("SystemSharedMemoryUnregister", protocol.SystemSharedMemoryUnregisterRequest()),
    ("CudaSharedMemoryRegister", protocol.CudaSharedMemoryRegisterRequest(name="stranger")),
    ("CudaSharedMemoryStatus", protocol.CudaSharedMemoryStatusRequest()),
    ("CudaSharedMemoryUnregister", protocol.CudaSharedMemoryUnregisterRequest()),
    ("RepositoryIndex", protocol.RepositoryIndexRequest()),
    ("RepositoryModelLoad", protocol.RepositoryModelLoadRequest(model_name="brisque")),
    ("RepositoryModelUnload", protocol.RepositoryModelUnloadRequest(model_name="brisque")),
    ("TraceSetting", protocol.TraceSettingRequest()),
    ("LogSettings", protocol.LogSettingsRequest()),
]
HTTP_CALLS = [
    ("GET", "systemsharedmemory/status"),
    ("POST", "systemsharedmemory/region/stranger/register"),
    ("POST", "systemsharedmemory/unregister"),
    ("GET", "cudasharedmemory/status"),
    ("POST", "cudasharedmemory/region/stranger/register"),
    ("POST", "cudasharedmemory/unregister"),
    ("POST", "repository/index"),
    ("POST", "repository/models/brisque/load"),
    ("POST", "repository/models/brisque/unload"),
    ("POST", "trace/setting"),
    ("POST", "logging"),
]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    log = tmp_path_factory.mktemp("opened") / "log"
    options = ("--workers=1", THEIR_METRICS, "--triton-host=0.0.0.0", "--log-level=info")
    with running(log, *options) as service:
        yield service


def outside(service: RunningService) -> dict[str, set[int]]:
    """By program, the ports on which it listens beyond loopback."""
    return {
        kind: {
            connection.laddr.port
            for process in members(service.process.pid, kind)
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN and not is_loopback(connection.laddr.ip)
        }
        for kind in ("uvicorn", "tritonserver", "triton_python_backend_stub")
    }


def is_loopback(ip: str) -> bool:
    address = ipaddress.ip_address(ip)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def port(address: str) -> int:
    return int(address.rpartition(":")[2])


def test_by_default_only_the_gateway_is_reachable_from_outside(service: RunningService) -> None:
    assert outside(service)["tritonserver"] == set()
    assert outside(service)["triton_python_backend_stub"] == set()


@pytest.mark.parametrize(
    "request_", [b"GET / HTTP/1.0\r\n\r\n", b"POST /nothing HTTP/1.0\r\n\r\n", b"nonsense\r\n\r\n"]
)
def test_no_answer_names_the_server(service: RunningService, request_: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port(service.url)), timeout=10) as connection:
        connection.sendall(request_)
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    head = answer.partition(b"\r\n\r\n")[0].lower()
    assert head.startswith(b"http/1.1 ")
    assert b"\r\nserver:" not in head
    assert b"uvicorn" not in answer.lower()


def test_triton_is_opened_by_an_option_alone_and_warns(opened: RunningService) -> None:
    ports = {port(address) for address in (opened.http, opened.grpc, opened.metrics)}
    assert outside(opened)["tritonserver"] == ports
    assert "Triton itself is open to 0.0.0.0" in opened.log.read_text()


@pytest.mark.parametrize(("name", "request_"), GRPC_CALLS, ids=[name for name, _ in GRPC_CALLS])
@pytest.mark.parametrize("key", [None, "wrong"])
def test_an_opened_triton_asks_for_a_key_by_grpc(
    opened: RunningService, name: str, request_: object, key: str | None
) -> None:
    metadata = [(triton_key.GRPC_PREFIX + triton_key.NAME, key)] if key else []
    with grpc.insecure_channel(opened.grpc) as channel:
        call = getattr(GRPCInferenceServiceStub(channel), name)
        with pytest.raises(grpc.RpcError, match="This protocol is restricted"):
            call(request_, metadata=metadata, timeout=10)


@pytest.mark.parametrize(("method", "path"), HTTP_CALLS, ids=[path for _, path in HTTP_CALLS])
@pytest.mark.parametrize("key", [None, "wrong"])
def test_an_opened_triton_asks_for_a_key_by_http(
    opened: RunningService, method: str, path: str, key: str | None
) -> None:
    headers = {triton_key.NAME: key} if key else {}
    answer = httpx.request(method, f"http://{opened.http}/v2/{path}", headers=headers, json={})
    assert answer.status_code == 403
    assert "This API is restricted" in answer.text


def test_the_gateway_of_an_opened_triton_has_the_key(
    opened: RunningService, exchanges: list[Exchange]
) -> None:
    for exchange in exchanges:
        headers = {"Content-Type": exchange.content_type}
        answer = httpx.post(opened.url + exchange.path, content=exchange.body, headers=headers)
        exchange.check(answer.status_code, answer.headers["content-type"], answer.content)
    assert "pixels go through shared memory" in opened.log.read_text()
    assert "pixels go inline" not in opened.log.read_text()


def test_inference_needs_no_key(opened: RunningService) -> None:
    pixels = {"name": "IMAGE", "datatype": "UINT8", "shape": [1, 32, 32, 1]}
    noise = random.Random(0).choices(range(256), k=1024)
    call = {"inputs": [pixels | {"data": noise}], "outputs": [{"name": "SCORE"}]}
    answer = httpx.post(f"http://{opened.http}/v2/models/brisque/infer", json=call)
    (score,) = iqa.brisque.score([np.array(noise, np.uint8).reshape(32, 32, 1)]).values
    assert answer.json()["outputs"][0]["data"] == [np.float32(score)]


async def test_a_gateway_without_the_key_sends_pixels_inline(
    opened: RunningService, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = TritonClient(
        opened.grpc, "auto", region_bytes=1 << 16, largest_slot=1 << 16, key_file=tmp_path / "none"
    )
    client.connect()
    try:
        slot = await client.slot(1024, 10)
        slot.memory[:1024] = noise = np.random.default_rng(0).integers(0, 256, 1024, np.uint8)
        tensors = [Tensor("IMAGE", (1, 32, 32, 1), 0)]
        found = (await client.infer("brisque", tensors, slot, timeout=30))["SCORE"][0, 0]
        slot.release()
        assert not client.shares_memory
    finally:
        await client.close()
    (score,) = iqa.brisque.score([noise.reshape(32, 32, 1)]).values
    assert found == np.float32(score)
    assert "no key for Triton's shared memory" in caplog.text
