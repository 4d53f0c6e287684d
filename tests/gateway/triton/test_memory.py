"""Regions come when they are needed and go whatever happens, in Triton, too."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from tritonclient.grpc import InferenceServerClient

from gateway.http.problems import Problem
from gateway.triton.client import TritonClient
from gateway.triton.memory import Transport
from gateway.triton.messages import Tensor
from gateway.triton.shared_memory import DIRECTORY, PREFIX
from perf.ports import free_ports
from tests.conftest import RunningService

MEBIBYTE = 1 << 20
SHAPE = (1, 512, 1024, 3)  # whole pages, and more than a quarter of 4 MiB
SMALL = (1, 32, 32, 1)
SIZE = int(np.prod(SHAPE))
PATIENCE = 10


def names() -> set[str]:
    """Of the shared memory of this process."""
    return {f"/{path.name}" for path in DIRECTORY.glob(f"{PREFIX}{os.getpid()}-*")}


def mapped(service: RunningService) -> set[str]:
    """Of the shared memory of this process, what Triton maps."""
    regions = InferenceServerClient(service.grpc).get_system_shared_memory_status().regions
    return {key for key in regions if key.startswith(f"/{PREFIX}{os.getpid()}-")}


@asynccontextmanager
async def connected(
    address: str, transport: Transport = "shm", large: int = 2 * SIZE
) -> AsyncIterator[TritonClient]:
    client = TritonClient(address, transport, region_bytes=4 * MEBIBYTE, largest_slot=large)
    assert names() == set()  # nothing is reserved before it connects
    client.connect()
    try:
        yield client
    finally:
        await client.close()
    assert names() == set()


async def score(client: TritonClient, shape: tuple[int, ...] = SHAPE) -> float:
    """Score noise from a slot, and free it."""
    size = int(np.prod(shape))
    slot = await client.slot(size, PATIENCE)
    try:
        slot.memory[:size] = np.random.default_rng(1).integers(0, 256, size, np.uint8)
        tensors = [Tensor("IMAGE", shape, 0)]
        return float((await client.infer("brisque", tensors, slot, timeout=30))["SCORE"][0, 0])
    finally:
        slot.release()


async def gone(service: RunningService, kept: int = 1) -> None:
    """Wait until nothing but so many regions is left, here and in Triton."""
    async with asyncio.timeout(PATIENCE):
        while len(names()) > kept or len(mapped(service)) > kept:
            await asyncio.sleep(0.01)


async def test_a_large_request_has_shared_memory_of_its_own_for_as_long_as_it_takes(
    service: RunningService,
) -> None:
    async with connected(service.grpc, "grpc") as inline:
        expected = await score(inline)
        assert names() == set()
    async with connected(service.grpc) as client:
        (kept,) = names()
        slot = await client.slot(SIZE, PATIENCE)
        assert len(names()) == 2
        slot.release()
        assert await score(client) == expected
        await gone(service, kept=1)
        small = await client.slot(4096, PATIENCE)
        assert small.region.key == kept
        small.release()
    assert mapped(service) == set()


async def test_large_requests_hold_no_more_than_they_may(service: RunningService) -> None:
    async with connected(service.grpc, large=2 * SIZE) as client:
        first, second = [await client.slot(SIZE, PATIENCE) for _ in range(2)]
        with pytest.raises(TimeoutError):
            await client.slot(SIZE, patience=0.05)
        waiting = asyncio.ensure_future(client.slot(SIZE, PATIENCE))
        first.release()
        third = await waiting
        assert len(names()) <= 3
        second.release()
        third.release()
        await gone(service)


async def test_a_client_that_leaves_while_its_memory_is_made_leaves_none(
    service: RunningService,
) -> None:
    async with connected(service.grpc, large=SIZE) as client:
        for turns in range(4):
            waiting = asyncio.ensure_future(client.slot(SIZE, PATIENCE))
            for _ in range(turns):
                await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        (await client.slot(SIZE, PATIENCE)).release()  # there is room for it
        await gone(service)


async def test_without_more_shared_memory_a_large_picture_goes_inline(
    service: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(service.grpc) as client:
        expected = await score(client)
        await gone(service)

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "posix_fallocate", full)
        assert await score(client) == expected
        assert len(names()) == 1


async def test_without_any_shared_memory_all_goes_inline_unless_that_is_ruled_out(
    service: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(service.grpc) as sharing:
        expected = await score(sharing, SMALL)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    async with connected(service.grpc, "auto") as client:
        assert await score(client, SMALL) == expected
        assert names() == set()
        assert not client.shares_memory
    insisting = TritonClient(service.grpc, "shm", region_bytes=4 * MEBIBYTE, largest_slot=SIZE)
    with pytest.raises(OSError, match="No space left"):
        insisting.connect()


async def test_an_answer_that_is_not_known_costs_no_memory(service: RunningService) -> None:
    async with connected(service.grpc) as client:
        await score(client)
        await gone(service)
        before = names()
        slot = await client.slot(4096, PATIENCE)
        with pytest.raises(Problem, match="backend_unavailable"):  # there is no such model
            await client.infer("nonesuch", [Tensor("IMAGE", (1, 16, 16, 1), 0)], slot, timeout=1)
        slot.release()
        assert names() == before


class Relay:
    """Passes bytes on to Triton until it breaks all connections."""

    def __init__(self, target: str) -> None:
        self.address = f"127.0.0.1:{free_ports(1)[0]}"
        self._host, _, self._port = target.rpartition(":")
        self._writers: list[asyncio.StreamWriter] = []
        self._pumps: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Relay:
        host, _, port = self.address.rpartition(":")
        self._server = await asyncio.start_server(self._accept, host, int(port))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        self._server.close()
        await asyncio.gather(*self._pumps)

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._host, int(self._port))
        self._writers += [writer, far_writer]
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.ensure_future(self._pump(source, sink))
            self._pumps.add(task)
            task.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(1 << 16):
                sink.write(data)
        except ConnectionError:
            pass


async def test_a_region_whose_connection_broke_is_given_up_and_unregistered(
    service: RunningService,
) -> None:
    async with Relay(service.grpc) as relay, connected(relay.address) as client:
        expected = await score(client, SMALL)
        (first,) = names()
        assert mapped(service) == {first}
        call = asyncio.ensure_future(score(client, SMALL))
        await asyncio.sleep(0)  # it is on its way...
        relay.cut()  # ...and nobody knows what comes of it
        with pytest.raises(Problem, match="backend_unavailable"):
            await call
        (second,) = names()
        assert second != first
        async with asyncio.timeout(PATIENCE):
            while first in mapped(service):  # until gRPC has connected again
                with suppress(Problem):
                    assert await score(client, SMALL) == expected
        assert mapped(service) == {second}


LEAVE = """
import asyncio, sys
from gateway.triton.client import TritonClient
from gateway.triton.messages import Tensor

async def main():
    client = TritonClient(sys.argv[1], "shm", region_bytes=1 << 22, largest_slot=1 << 22)
    client.connect()
    slot = await client.slot(2 << 20, 10)
    slot.memory[:256] = range(256)
    await client.infer("brisque", [Tensor("IMAGE", (1, 16, 16, 1), 0)], slot, timeout=5)
    print("done", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def worker(service: RunningService) -> Iterator[subprocess.Popen[bytes]]:
    """One that has a large request in work."""
    command = [sys.executable, "-c", LEAVE, service.grpc]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"done\n"
        yield process
        process.kill()
    for path in DIRECTORY.glob(f"{PREFIX}{process.pid}-*"):
        path.unlink()


async def test_the_next_worker_removes_what_a_killed_one_left(
    service: RunningService, worker: subprocess.Popen[bytes]
) -> None:
    def left() -> list[Path]:
        return list(DIRECTORY.glob(f"{PREFIX}{worker.pid}-*"))

    def left_in_triton() -> list[str]:
        regions = InferenceServerClient(service.grpc).get_system_shared_memory_status().regions
        return [key for key in regions if key.startswith(f"/{PREFIX}{worker.pid}-")]

    assert left()
    assert left_in_triton()
    worker.kill()
    worker.wait()
    async with connected(service.grpc) as client:
        assert left() == []
        await score(client)
        assert left_in_triton() == []


async def test_while_nobody_is_there_no_memory_is_given_up() -> None:
    async with connected("127.0.0.1:1") as client:
        before = names()
        for _ in range(3):
            with pytest.raises(Problem, match="backend_unavailable"):
                await client.reach("brisque")
            with pytest.raises(Problem, match="backend_unavailable"):
                await score(client, SMALL)
        assert names() == before
