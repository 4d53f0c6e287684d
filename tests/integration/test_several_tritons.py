"""Several Tritons behind one gateway: none that fails, hangs or leaves costs a request."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from perf.ports import free_ports
from tests.deploy.triton_metrics import TRITON_METRICS
from tests.integration.several_tritons import (
    Load,
    Triton,
    gateway,
    write_backend,
    write_repository,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tritons")
    write_repository(folder / "models")
    write_backend(folder / "backends")
    return folder


@contextmanager
def running(*tritons: Triton) -> Iterator[tuple[Triton, ...]]:
    try:
        for triton in tritons:
            triton.start()
        yield tritons
    finally:
        for triton in tritons:
            if hasattr(triton, "process"):
                triton.send(signal.SIGCONT)
                triton.stop(signal.SIGKILL)


@pytest.fixture(scope="module")
def pair(folder: Path) -> Iterator[tuple[Triton, ...]]:
    first = free_ports(6)[0]
    with running(Triton(folder, first), Triton(folder, first + 3)) as tritons:
        yield tritons


@pytest.fixture(scope="module")
def url(pair: tuple[Triton, ...], folder: Path) -> Iterator[str]:
    addresses = ",".join(triton.address for triton in pair)
    with gateway(addresses, free_ports(1)[0], folder / "gateway.log") as url:
        yield url


def test_requests_are_spread_evenly(pair: tuple[Triton, ...], url: str) -> None:
    async def scenario() -> Load:
        async with Load(url) as load:
            await load.more(200)
        return load

    load = asyncio.run(scenario())
    assert load.failures == []
    counts = [triton.served() for triton in pair]
    assert sum(counts) >= load.answered
    assert min(counts) >= 0.4 * sum(counts)


def test_a_triton_exports_what_the_dashboard_shows(pair: tuple[Triton, ...]) -> None:
    text = httpx.get(f"http://{pair[0].host}:{pair[0].port + 2}/metrics").text
    exported = set(re.findall(r"^\w+", text, re.MULTILINE))
    assert exported >= TRITON_METRICS


def test_a_triton_that_is_killed_costs_no_request_and_gets_its_share_back(
    pair: tuple[Triton, ...], url: str
) -> None:
    async def scenario() -> Load:
        async with Load(url) as load:
            for _ in range(2):
                await load.more(50)
                await asyncio.to_thread(pair[0].stop, signal.SIGKILL)
                await load.more(100)
                await asyncio.to_thread(pair[0].start)
                while pair[0].served() < 30:  # the readiness probes are fewer
                    await load.more(10)
        return load

    load = asyncio.run(scenario())
    assert load.failures == []


def test_a_triton_that_hangs_costs_no_request_and_holds_nobody_up(
    pair: tuple[Triton, ...], url: str
) -> None:
    async def scenario() -> Load:
        async with Load(url) as load:
            await load.more(50)
            pair[0].send(signal.SIGSTOP)
            await load.more(300)  # far more than could be stuck in the one that hangs
            pair[0].send(signal.SIGCONT)
            before = pair[0].served()
            while pair[0].served() < before + 30:
                await load.more(10)
        return load

    load = asyncio.run(scenario())
    assert load.failures == []


def test_large_pictures_and_readiness_outlive_a_triton(pair: tuple[Triton, ...], url: str) -> None:
    """They are large enough to need memory of their own, and travel inside the messages."""
    ready: list[int] = []

    async def poll() -> None:
        async with httpx.AsyncClient(base_url=url, timeout=10) as client:
            while True:
                ready.append((await client.get("/readyz")).status_code)
                await asyncio.sleep(0.1)

    async def scenario() -> tuple[Load, Load]:
        polling = asyncio.create_task(poll())
        async with Load(url, clients=2, size=(4000, 3000)) as large, Load(url, clients=2) as small:
            await large.more(4)
            await asyncio.to_thread(pair[0].stop, signal.SIGKILL)
            await large.more(6)
            await small.more(20)
            await asyncio.to_thread(pair[0].start)
            await large.more(4)
        polling.cancel()
        return large, small

    large, small = asyncio.run(scenario())
    assert large.failures == []
    assert small.failures == []
    assert set(ready) == {200}


class NameServer(threading.Thread):
    """A DNS server that answers every question for an IPv4 address with `addresses`."""

    def __init__(self, addresses: list[str]) -> None:
        super().__init__(daemon=True)
        self.addresses = addresses
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = "{}:{}".format(*self._socket.getsockname())

    def run(self) -> None:
        while True:
            query, client = self._socket.recvfrom(512)
            end = query.index(0, 12) + 5  # header, name, type and class
            wants_ipv4 = query[end - 4 : end - 2] == b"\0\1"
            found = self.addresses if wants_ipv4 else []
            answers = b"".join(  # each: the name asked for, IPv4, Internet, to be kept 1 second
                struct.pack(">HHHIH", 0xC00C, 1, 1, 1, 4) + socket.inet_aton(address)
                for address in found
            )
            header = query[:2] + struct.pack(">HHHHH", 0x8580, 1, len(found), 0, 0)
            self._socket.sendto(header + query[12:end] + answers, client)


def test_a_triton_is_upgraded_without_a_failed_request(folder: Path, tmp_path: Path) -> None:
    hosts = ["127.0.0.2", "127.0.0.3"]
    first = free_ports(3)[0]
    names = NameServer(hosts)
    names.start()
    target = f"dns://{names.address}/triton.test:{first + 1}"
    options = ("--grpc-max-connection-age=1000", "--grpc-max-connection-age-grace=30000")

    async def upgrade(leaving: Triton, staying: Triton, load: Load) -> None:
        await load.more(50)
        names.addresses = [staying.host]
        count = -1
        while leaving.served() > count:  # until it is left alone
            count = leaving.served()
            await load.more(200)
        await asyncio.to_thread(leaving.stop)
        await load.more(50)
        await asyncio.to_thread(leaving.start)
        names.addresses = hosts
        while leaving.served() < 30:
            await load.more(10)

    async def scenario(url: str, one: Triton, other: Triton) -> Load:
        async with Load(url) as load:
            await upgrade(one, other, load)
            await upgrade(other, one, load)
        return load

    tritons = [Triton(folder, first, host, options) for host in hosts]
    with (
        running(*tritons) as (one, other),
        gateway(target, free_ports(1)[0], tmp_path / "gateway.log") as url,
    ):
        load = asyncio.run(scenario(url, one, other))
    assert load.failures == []
