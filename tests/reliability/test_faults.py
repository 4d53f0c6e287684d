"""Processes die, hang and are asked to stop under load: no answer is wrong, none is missing."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import httpx
import pytest

from perf.load import faults
from perf.load.exchanges import Exchange
from perf.load.faults import Member
from perf.load.traffic import Tally, Traffic
from tests.conftest import RunningService, launch
from tests.reliability.conftest import THEIR_METRICS

IN_FLIGHT = "iqa_images_in_flight"


def assert_honest(tally: Tally) -> None:
    """Every request was answered, rightly or with a clear error, or its connection broke."""
    assert tally.wrong == []
    assert tally.lost == []


@pytest.mark.parametrize("kind", ["uvicorn", "triton_python_backend_stub", "tritonserver"])
async def test_it_recovers_by_itself_from_a_kill(
    victim: RunningService, exchanges: list[Exchange], kind: Member
) -> None:
    async with Traffic(victim.url, exchanges) as traffic:
        await traffic.more(2 * len(exchanges))
        killed = faults.kill(victim.process.pid, kind)
        print(f"{kind}: {await traffic.recovery(killed):.1f} s")
    assert_honest(traffic.tally)
    if kind != "uvicorn":  # whose connections break
        assert traffic.tally.broken.total() == 0, traffic.tally
    assert set(traffic.tally.refused) <= {"backend_unavailable"}


async def test_where_triton_is_gone_a_body_is_not_waited_for(
    victim: RunningService, exchanges: list[Exchange]
) -> None:
    async with Traffic(victim.url, exchanges) as traffic:
        await traffic.more(2 * len(exchanges))
        killed = faults.kill(victim.process.pid, "tritonserver")
        while not traffic.tally.refused:
            await asyncio.sleep(0.01)
        head = faults.head(exchanges[0], len(exchanges[0].body))
        asked = [faults.drip(victim.port, head, bytes(10), 0.2) for _ in range(8)]
        # While the channel tries to connect again a body is read as ever: a drip is listened to.
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        await traffic.recovery(killed)
    refused = [end for end in outcomes if isinstance(end, tuple)]
    assert refused
    assert all(b"backend_unavailable" in answer for _, answer in refused)


async def test_a_triton_that_hangs_for_a_while_costs_no_request(
    victim: RunningService, exchanges: list[Exchange]
) -> None:
    async with Traffic(victim.url, exchanges) as traffic:
        await traffic.more(2 * len(exchanges))
        resumed = await faults.suspend(victim.process.pid, "tritonserver", 3)
        print(f"SIGSTOP: {await traffic.recovery(resumed):.1f} s")
    assert traffic.tally.right == traffic.tally.total, traffic.tally


async def test_clients_that_hang_up_are_not_noticed_by_others(
    victim: RunningService, exchanges: list[Exchange]
) -> None:
    async with Traffic(victim.url, exchanges) as traffic:
        for number in range(200):
            exchange = exchanges[number % len(exchanges)]
            sent = (0.5, 1.0)[number % 2]
            await faults.hang_up(victim.port, exchange, sent=sent, patience=0.004 * (number % 5))
        await traffic.more(len(exchanges))
    assert traffic.tally.right == traffic.tally.total, traffic.tally
    async with httpx.AsyncClient(base_url=victim.url) as client:
        await in_flight(client, 0)
        metrics = (await client.get("/metrics")).text
    assert 'http_response_status_code="499"' in metrics


async def test_clients_that_drip_are_hung_up_on_and_keep_nobody_out(
    victim: RunningService, exchanges: list[Exchange]
) -> None:
    """IQA_HEADER_TIMEOUT is 1 second; the body's deadline is the request's."""
    large = 250 << 20  # declared; a few of them are more than a worker may hold
    start = faults.head(exchanges[0], large).replace(b"Host:", b"X-Request-Timeout: 2\r\nHost:")
    start = start.replace(b"/brisque/", b"/brisque/batch/")
    bodies = [faults.drip(victim.port, start, bytes(100), 0.2) for _ in range(8)]
    headers = [
        faults.drip(victim.port, b"POST / HTTP/1.1\r\nX: ", b"x" * 100, 0.2) for _ in range(8)
    ]
    async with Traffic(victim.url, exchanges) as traffic:
        of_headers, of_bodies = await asyncio.gather(
            asyncio.gather(*headers), asyncio.gather(*bodies)
        )
    assert traffic.tally.right == traffic.tally.total, traffic.tally
    assert {answer for _, answer in of_headers} == {b""}
    assert all(b"deadline_exceeded" in answer for _, answer in of_bodies)
    print(f"headers {max(of_headers)[0]:.1f} s, bodies {max(of_bodies)[0]:.1f} s")


async def test_sigterm_lets_every_accepted_request_have_its_answer(
    tmp_path: Path, exchanges: list[Exchange]
) -> None:
    service = launch(tmp_path / "log", "--workers=2", THEIR_METRICS)
    family = faults.family(service.process.pid)
    assert faults.memory_of(family)
    singles = [exchange for exchange in exchanges if isinstance(exchange.expected, tuple)]
    triton = faults.members(service.process.pid, "tritonserver")[0]
    async with httpx.AsyncClient(base_url=service.url, timeout=60) as client:
        triton.suspend()  # so that they are all still waiting when it comes
        answers = [asyncio.create_task(post(client, exchange)) for exchange in singles]
        await in_flight(client, sum(len(exchange.expected) for exchange in singles))
        service.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        triton.resume()
        for exchange, answer in zip(singles, await asyncio.gather(*answers), strict=True):
            kind = answer.headers["content-type"]
            exchange.check(answer.status_code, kind, answer.content)
    assert service.process.wait(60) == 0
    assert faults.memory_of(family) == []


async def post(client: httpx.AsyncClient, exchange: Exchange) -> httpx.Response:
    headers = {"Content-Type": exchange.content_type}
    return await client.post(exchange.path, content=exchange.body, headers=headers)


async def in_flight(client: httpx.AsyncClient, wanted: int) -> None:
    """Wait until so many images are in work."""
    end = time.monotonic() + 30
    while True:
        lines = (await client.get("/metrics")).text.splitlines()
        now = next(float(line.split()[1]) for line in lines if line.startswith(f"{IN_FLIGHT} "))
        if now == wanted:
            return
        assert time.monotonic() < end, f"{now} images in flight, not {wanted}"
        await asyncio.sleep(0.05)
