"""What a service has to stand; each scene prints its figures, and raises where a promise broke."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import httpx

from iqa.catalogue import metric
from launcher.processes import is_living
from perf.load import faults
from perf.load.calls import TOLERANCE, calls, score
from perf.load.exchanges import Exchange, batch, single, singles
from perf.load.generator import Meter, measure
from perf.load.pictures import Pair, photograph, picture_set
from perf.load.processes import Server
from perf.load.traffic import Tally, Traffic
from perf.soak.footprint import SHARED, growth, watched
from perf.soak.overload import offer, times

CLIENTS, PEAK = 16, 64
TIMEOUTS = (None,) * 19 + (0.005,)  # seconds; every twentieth request is given up early
FIFTHS = 5  # of steady load, whose rates are compared...
MOST_SLOWING = 0.15  # ...the second's and the last's
MOST_GROWTH = 0.05  # of a process's own resident memory
MOST_SHARED_GROWTH = 0.1  # Triton keeps what it reserved for the largest batch so far
MOST_MORE_THREADS = 2  # pools start and end one now and then
ROUNDS = 3  # of each fault
RECOVERY = 10.0  # seconds
FREEZE = 10.0  # seconds
OFFERED = (0.5, 1, 2)  # requests, in parts of what the service can do...
WINDOW = 10.0  # ...for so many seconds each
FIRST = -15  # priority of whoever measures overload
POLL = 0.25  # seconds between an orchestrator's questions
CROWD = 45.0  # seconds
PHONE = (4000, 3000)  # width and height of a phone's photograph
LARGE = ((2000, 1500), PHONE, (6000, 4000), (8000, 6000))
STEEPEST = 1.3  # time per megapixel, in parts of that of the smallest of these
MOST_STALL = 0.3  # seconds that a small request may take more beside large ones


class BrokenPromiseError(Exception):
    """What the service promises was not so."""


def require(kept: bool, promise: str) -> None:
    """Do nothing where a promise was kept.

    Raises:
        BrokenPromiseError: it was not.
    """
    if not kept:
        raise BrokenPromiseError(promise)


@dataclass(frozen=True)
class Service:
    """A running service, what it prints, and what it has to stand: mixed requests, steady load."""

    server: Server
    port: int
    log: Path
    exchanges: Sequence[Exchange]
    minutes: float

    @property
    def url(self) -> str:
        """Of the gateway."""
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def busy(self, exchanges: Sequence[Exchange], clients: int) -> AsyncIterator[Traffic]:
        """Have clients send these while the block runs.

        Raises:
            BrokenPromiseError: an answer was neither right nor `overloaded`, `/readyz` was once not
                200, or Triton was killed.
        """
        polls: list[int] = []

        async def poll() -> None:
            async with httpx.AsyncClient(base_url=self.url, timeout=10) as client:
                while True:
                    polls.append((await client.get("/readyz")).status_code)
                    await asyncio.sleep(POLL)

        polling = asyncio.create_task(poll())
        async with Traffic(self.url, exchanges, clients=clients) as traffic:
            yield traffic
        polling.cancel()
        with suppress(asyncio.CancelledError):
            await polling
        say(f"{traffic.tally}; {polls.count(200)} of {len(polls)} polls found it ready")
        _require_honesty(traffic.tally)
        require(set(traffic.tally.refused) <= {"overloaded"}, "nothing is refused but overload")
        require(set(polls) == {200}, "busy is ready")
        require("killed" not in self.log.read_text(), "busy is not killed")


async def phones(service: Service, clients: int) -> None:
    """So many clients send 12-megapixel JPEGs for BRISQUE."""
    async with service.busy([single("brisque", photograph(*PHONE).original)], clients):
        await asyncio.sleep(CROWD)


async def batches(service: Service) -> None:
    """8 clients send batches of 60 pairs of 1000x872 for MS-SSIM."""
    pairs = islice(cycle(picture_set(width=1000, height=872)[::3]), 60)
    async with service.busy([batch("ms_ssim", [_files(pair) for pair in pairs])], 8):
        await asyncio.sleep(CROWD)


async def large(service: Service) -> None:
    """Pairs of 3 to 48 megapixels, one at a time; then a small picture beside the largest."""
    pairs = [single("ms_ssim", *_files(photograph(*size))) for size in LARGE]
    small = next(singles(picture_set()[:1]))
    costs = []
    for (width, height), pair in zip(LARGE, pairs, strict=True):
        seconds = min(await _waits(service, pair, 6.0))
        costs.append(seconds / (width * height / 1e6))
        say(f"pair of {width}x{height}: {seconds:.2f} s, {1e3 * costs[-1]:.0f} ms per megapixel")
    alone = await _waits(service, small, WINDOW)
    async with service.busy(pairs[-1:], 2) as traffic:
        await traffic.more(2)
        beside = await _waits(service, small, 2 * WINDOW)
    for name, waits in (("alone", alone), ("beside two clients of the largest", beside)):
        say(f"a small one {name}: {times(waits)}, longest {1e3 * max(waits):.0f} ms")
    require(max(costs) <= STEEPEST * costs[0], "there is no cliff")
    require(max(beside) <= max(alone) + MOST_STALL, "small ones do not wait for large ones")


async def steady(service: Service) -> None:
    """Mixed load, after a peak: nothing grows, and the end is as fast as the beginning.

    A Triton before release 26.08 gets slower for as long as it runs with a queue delay.
    """
    async with Traffic(service.url, service.exchanges, clients=PEAK):
        await asyncio.sleep(WINDOW)
    part = 60 * service.minutes / FIFTHS
    rates = []
    load = Traffic(service.url, service.exchanges, clients=CLIENTS, timeouts=TIMEOUTS)
    async with watched(service.server.pid) as samples, load as traffic:
        for _ in range(FIFTHS):
            before = traffic.tally.right
            await asyncio.sleep(part)
            service.server.require_running()
            rates.append((traffic.tally.right - before) / part)
        grown = []
        for owner, old, new in growth(samples):
            say(f"{owner:36}{old[0] / 1e6:8.1f} -> {new[0] / 1e6:.1f} MB, {old[1:]} -> {new[1:]}")
            most = MOST_SHARED_GROWTH if owner == SHARED else MOST_GROWTH
            allowed = (1 + most) * old[0], old[1], old[2] + MOST_MORE_THREADS
            if any(new > allowed):
                grown.append(owner)
    say(f"right answers/s in each fifth: {', '.join(f'{rate:.0f}' for rate in rates)}")
    say(f"{traffic.tally}")
    _require_honesty(traffic.tally)
    require(rates[-1] > (1 - MOST_SLOWING) * rates[1], "it stays as fast as it was")
    require(not grown, f"nothing grows, but did: {', '.join(grown)}")


async def hurt(service: Service) -> None:
    """Kill its processes or stop them, under load; it recovers by itself, in time."""
    launcher = service.server.pid

    async def kill(kind: faults.Member) -> float:
        return faults.kill(launcher, kind)

    for name, wound in {
        "kill -9 of a model's process": partial(kill, "triton_python_backend_stub"),
        "kill -9 of tritonserver": partial(kill, "tritonserver"),
        "kill -9 of a gateway worker": partial(kill, "uvicorn"),
        "SIGSTOP of tritonserver": partial(faults.suspend, launcher, "tritonserver", FREEZE),
    }.items():
        recoveries = []
        async with Traffic(service.url, service.exchanges) as traffic:
            for _ in range(ROUNDS):
                await traffic.more(2 * len(service.exchanges))
                old = set(faults.family(launcher))
                recoveries.append(await traffic.recovery(await wound()))
                left = old.difference(faults.family(launcher))
                require(not any(map(is_living, left)), "nothing outlives its parent")
        listed = ", ".join(f"{seconds:.1f}" for seconds in recoveries)
        say(f"{name}: well again after {listed} s; {traffic.tally}")
        _require_honesty(traffic.tally)
        require(max(recoveries) <= RECOVERY, "it recovers in time")


async def stop(service: Service) -> None:
    """SIGTERM under load: it ends well and leaves nothing."""
    family = faults.family(service.server.pid)
    async with Traffic(service.url, service.exchanges) as traffic:
        await traffic.more(2 * len(service.exchanges))
        started = time.monotonic()
        status = await asyncio.to_thread(service.server.stop)
        seconds = time.monotonic() - started
    left = faults.memory_of(family)
    say(f"exit status {status} after {seconds:.1f} s, {len(left)} regions left; {traffic.tally}")
    _require_honesty(traffic.tally)
    require(status == 0 and not left, "it ends well and leaves nothing")


async def press(service: Service) -> None:
    """More and more requests: those admitted keep their pace, and the rest hears it soon."""
    pairs = picture_set()
    steady = await asyncio.to_thread(
        measure,
        service.port,
        calls(metric("brisque"), pairs, score),
        Meter(service.server.cpu_seconds, service.server.memory),
        clients=CLIENTS,
        seconds=WINDOW,
        tolerance=TOLERANCE,
    )
    capacity = len(steady.latencies) / steady.seconds
    say(f"{CLIENTS} clients: {capacity:.0f}/s answered in {times(steady.latencies)}")
    pictures = list(singles(pairs))[::8]  # BRISQUE of JPEGs
    with suppress(PermissionError):  # clients would have machines of their own
        os.setpriority(os.PRIO_PROCESS, 0, FIRST)
    for part in OFFERED:
        waits = await offer(service.port, pictures, part * capacity, WINDOW)
        say(f"offered {part * capacity:.0f}/s: {waits}")
    require(set(waits.refused) == {"overloaded"}, "what is too much is refused")
    require(len(waits.answered) > WINDOW * capacity / 2, "those admitted keep their pace")


async def _waits(service: Service, exchange: Exchange, seconds: float) -> list[float]:
    """Seconds that each answer takes of a client that asks one after the other, for so long."""
    waits: list[float] = []
    headers = {"Content-Type": exchange.content_type}
    async with httpx.AsyncClient(base_url=service.url, timeout=60) as client:
        end = time.perf_counter() + seconds
        while (started := time.perf_counter()) < end:
            answer = await client.post(exchange.path, content=exchange.body, headers=headers)
            waits.append(time.perf_counter() - started)
            exchange.check(answer.status_code, answer.headers["content-type"], answer.content)
    return waits


def _files(pair: Pair) -> tuple[bytes, bytes]:
    return pair.original, pair.distorted


def _require_honesty(tally: Tally) -> None:
    require(not tally.wrong and not tally.lost, "no answer is wrong or lost")


def say(line: str) -> None:
    """Print a figure."""
    print(f"  {line}", flush=True)
