"""What a service has to stand, each printed with its figures: growth, faults, overload, its end."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle

from iqa.catalogue import metric
from perf.load import faults
from perf.load.calls import TOLERANCE, calls, score
from perf.load.exchanges import Exchange, singles
from perf.load.generator import Meter, measure
from perf.load.pictures import picture_set
from perf.load.processes import Server
from perf.load.traffic import Tally, Traffic
from perf.soak.footprint import Growth, Watch
from perf.soak.overload import offer, times

CLIENTS, PEAK = 16, 64
TIMEOUTS = (None,) * 19 + (0.005,)  # seconds; every twentieth request is given up early
# Between the second tenth of the requests and the last.
MOST_GROWTH = 0.05  # of a process's own resident memory
MOST_SHARED_GROWTH = 0.1  # Triton keeps what it reserved for the largest batch so far
FIFTHS = 5  # of steady load, whose rates are compared...
MOST_SLOWING = 0.15  # ...the second's and the last's
RECOVERY = 10.0  # seconds
FREEZE = 10.0  # seconds
LEAVING = 100  # clients that hang up in a round
DRIPPING = 32  # clients that send a byte a second in a round
OFFERED = (0.5, 1, 2)  # requests, in parts of what the service can do...
WINDOW = 10.0  # ...for so many seconds each
FIRST = -15  # priority of whoever measures overload


@dataclass(frozen=True)
class Service:
    """A running service, and what it is asked."""

    server: Server
    port: int
    exchanges: Sequence[Exchange]

    @property
    def pid(self) -> int:
        """Of the launcher."""
        return self.server.pid

    @property
    def url(self) -> str:
        """Of the gateway."""
        return f"http://127.0.0.1:{self.port}"


async def grow(service: Service, requests: int) -> bool:
    """Send `requests`; whether nothing grew and no answer was wrong.

    A peak comes first: the memory that Triton reserves for one is kept, and is no growth.
    """
    async with Traffic(service.url, service.exchanges, clients=PEAK):
        await asyncio.sleep(WINDOW)
    watch = Watch(service.pid)
    started = time.monotonic()
    load = Traffic(service.url, service.exchanges, clients=CLIENTS, timeouts=TIMEOUTS)
    async with watch, load as traffic:
        while traffic.tally.total < requests:
            service.server.require_running()
            await asyncio.sleep(1)
    seconds = time.monotonic() - started
    _say(f"{traffic.tally.total} requests in {seconds:.0f} s: {_sentence(traffic.tally)}")
    _say(f"{'process':36}{'MB before':>10}{'after':>8}{'growth':>8}{'files':>12}{'threads':>12}")
    for growth in watch.growth():
        _say(_row(growth))
    before, after = watch.shared_growth()
    _say(f"shared memory {before / 1e6:.1f} MB, then {after / 1e6:.1f} MB")
    flat = after <= before * (1 + MOST_SHARED_GROWTH) and not any(map(_grows, watch.growth()))
    return flat and _is_honest(traffic.tally)


async def steady(service: Service, seconds: float) -> bool:
    """Mixed load for so long; whether the last fifth of the time is as fast as the second one.

    A Triton before release 26.08 gets slower for as long as it runs with a queue delay.
    """
    rates = []
    async with Traffic(service.url, service.exchanges, clients=CLIENTS) as traffic:
        for _ in range(FIFTHS):
            before = traffic.tally.right
            await asyncio.sleep(seconds / FIFTHS)
            service.server.require_running()
            rates.append((traffic.tally.right - before) / (seconds / FIFTHS))
    listed = ", ".join(f"{rate:.0f}" for rate in rates)
    _say(f"{seconds:.0f} s of steady load: {listed} right answers/s; {_sentence(traffic.tally)}")
    return _is_honest(traffic.tally) and rates[-1] > (1 - MOST_SLOWING) * rates[1]


async def _kill_stub(service: Service) -> float:
    return faults.kill(service.pid, "triton_python_backend_stub")


async def _kill_triton(service: Service) -> float:
    return faults.kill(service.pid, "tritonserver")


async def _kill_worker(service: Service) -> float:
    return faults.kill(service.pid, "uvicorn")


async def _freeze_triton(service: Service) -> float:
    return await faults.suspend(service.pid, "tritonserver", FREEZE)


async def _hang_up(service: Service) -> float:
    for number, exchange in zip(range(LEAVING), cycle(service.exchanges), strict=False):
        sent, patience = (0.5, 1.0)[number % 2], 0.004 * (number % 5)
        await faults.hang_up(service.port, exchange, sent=sent, patience=patience)
    return time.monotonic()


async def _drip(service: Service) -> float:
    start = faults.head(service.exchanges[0], 1 << 20)
    start = start.replace(b"Host:", b"X-Request-Timeout: 5\r\nHost:")
    starts = [start, b"POST / HTTP/1.1\r\nX: "] * (DRIPPING // 2)
    await asyncio.gather(*(faults.drip(service.port, each, bytes(60), 1) for each in starts))
    return time.monotonic()


FAULTS: dict[str, Callable[[Service], Awaitable[float]]] = {
    "kill -9 of a model's process": _kill_stub,
    "kill -9 of tritonserver": _kill_triton,
    "kill -9 of a gateway worker": _kill_worker,
    f"SIGSTOP of tritonserver for {FREEZE:g} s": _freeze_triton,
    f"{LEAVING} clients that hang up": _hang_up,
    f"{DRIPPING} clients that send a byte a second": _drip,
}


async def hurt(service: Service, rounds: int) -> bool:
    """Every fault under load, so many times; whether it recovered in time with no answer wrong."""
    fine = True
    for name, fault in FAULTS.items():
        recoveries = []
        async with Traffic(service.url, service.exchanges) as traffic:
            for _ in range(rounds):
                await traffic.more(2 * len(service.exchanges))
                recoveries.append(await traffic.recovery(await fault(service)))
        times = ", ".join(f"{seconds:.1f}" for seconds in recoveries)
        _say(f"{name}: well again after {times} s; {_sentence(traffic.tally)}")
        fine = fine and _is_honest(traffic.tally) and max(recoveries) <= RECOVERY
    return fine


async def stop(service: Service) -> bool:
    """SIGTERM under load; whether it ends well and leaves nothing."""
    family = faults.family(service.pid)
    async with Traffic(service.url, service.exchanges) as traffic:
        await traffic.more(2 * len(service.exchanges))
        started = time.monotonic()
        status = await asyncio.to_thread(service.server.stop)
        seconds = time.monotonic() - started
    left = faults.memory_of(family)
    _say(f"SIGTERM: exit status {status} after {seconds:.1f} s, {len(left)} regions left")
    return _is_honest(traffic.tally) and status == 0 and not left


async def press(service: Service) -> bool:
    """Offer more and more; whether what was admitted keeps its pace, and the rest hears it soon."""
    pairs = picture_set()
    pictures = list(singles(pairs))[::8]  # BRISQUE of JPEGs
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
    _say(f"{CLIENTS} clients: {capacity:.0f}/s answered in {times(steady.latencies)}")
    with suppress(PermissionError):  # clients would have machines of their own
        os.setpriority(os.PRIO_PROCESS, 0, FIRST)
    for part in OFFERED:
        waits = await offer(service.port, pictures, part * capacity, WINDOW)
        _say(f"offered {part * capacity:.0f}/s: {waits}")
    return set(waits.refused) == {"overloaded"} and len(waits.answered) > WINDOW * capacity / 2


def _is_honest(tally: Tally) -> bool:
    return not tally.wrong and not tally.lost


def _grows(growth: Growth) -> bool:
    before, after = growth.before, growth.after
    return (
        growth.memory > MOST_GROWTH or after.files > before.files or after.threads > before.threads
    )


def _row(growth: Growth) -> str:
    before, after = growth.before, growth.after
    return (
        f"{growth.name:36}{before.memory / 1e6:10.1f}{after.memory / 1e6:8.1f}{growth.memory:8.1%}"
        f"{before.files:6} ->{after.files:3}{before.threads:6} ->{after.threads:3}"
    )


def _sentence(tally: Tally) -> str:
    refused = ", ".join(f"{count} {code}" for code, count in sorted(tally.refused.items()))
    return (
        f"{tally.right} right, {len(tally.wrong)} wrong, {len(tally.lost)} lost, "
        f"{tally.broken.total()} connections broken, refused: {refused or 'none'}"
    )


def _say(line: str) -> None:
    print(line, flush=True)
