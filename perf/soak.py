"""The long tests of what docs/reliability.md promises: growth, and faults again and again.

`python -m perf.soak --help` says what can be chosen. Prints the figures; ends with 1 where a
promise was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx

from perf import faults
from perf.contenders import contenders
from perf.exchanges import Exchange, mixed
from perf.footprint import Growth, Watch
from perf.processes import Server
from perf.traffic import Tally, Traffic

CLIENTS = 16
TIMEOUTS = (None,) * 19 + (0.005,)  # seconds; every twentieth request is given up early
START_TIMEOUT = 120.0  # seconds
MOST_GROWTH = 0.03  # of resident memory, between the second tenth of the requests and the last
RECOVERY = 10.0  # seconds
FREEZE = 10.0  # seconds

Fault = Callable[[int], Awaitable[float]]
"""Does something to the service of a launcher; the moment from which it may recover."""


async def _kill_stub(launcher: int) -> float:
    return faults.kill(launcher, "triton_python_backend_stub")


async def _kill_triton(launcher: int) -> float:
    return faults.kill(launcher, "tritonserver")


async def _kill_worker(launcher: int) -> float:
    return faults.kill(launcher, "uvicorn")


async def _freeze_triton(launcher: int) -> float:
    return await faults.suspend(launcher, "tritonserver", FREEZE)


FAULTS: dict[str, Fault] = {
    "kill -9 of a model's process": _kill_stub,
    "kill -9 of tritonserver": _kill_triton,
    "kill -9 of a gateway worker": _kill_worker,
    f"SIGSTOP of tritonserver for {FREEZE:g} s": _freeze_triton,
}


async def grow(server: Server, url: str, exchanges: Sequence[Exchange], requests: int) -> bool:
    """Send `requests`; whether nothing grew and no answer was wrong."""
    watch = Watch(server.pid)
    started = time.monotonic()
    async with watch, Traffic(url, exchanges, clients=CLIENTS, timeouts=TIMEOUTS) as traffic:
        while traffic.tally.total < requests:
            server.require_running()
            await asyncio.sleep(1)
    seconds = time.monotonic() - started
    print(f"{traffic.tally.total} requests in {seconds:.0f} s: {_sentence(traffic.tally)}")
    print(f"{'process':36}{'MB before':>10}{'after':>8}{'growth':>8}{'files':>12}{'threads':>12}")
    for growth in watch.growth():
        print(_row(growth))
    before, after = watch.shared_growth()
    print(f"shared memory {before / 1e6:.1f} MB, then {after / 1e6:.1f} MB")
    return _is_honest(traffic.tally) and after <= before and not any(map(_grows, watch.growth()))


async def hurt(server: Server, url: str, exchanges: Sequence[Exchange], rounds: int) -> bool:
    """Every fault under load, so many times; whether it recovered in time with no answer wrong."""
    fine = True
    for name, fault in FAULTS.items():
        recoveries = []
        async with Traffic(url, exchanges) as traffic:
            for _ in range(rounds):
                await traffic.more(2 * len(exchanges))
                recoveries.append(await traffic.recovery(await fault(server.pid)))
        worst = max(recoveries)
        times = ", ".join(f"{seconds:.1f}" for seconds in recoveries)
        print(f"{name}: well again after {times} s; {_sentence(traffic.tally)}", flush=True)
        fine = fine and _is_honest(traffic.tally) and worst <= RECOVERY
    return fine


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


def _await_start(server: Server, url: str) -> None:
    end = time.monotonic() + START_TIMEOUT
    while True:
        server.require_running()
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            if time.monotonic() > end:
                raise
        time.sleep(0.5)


async def _run(server: Server, url: str, requests: int, rounds: int) -> bool:
    exchanges = mixed()
    steady = await grow(server, url, exchanges, requests)
    recovers = await hurt(server, url, exchanges, rounds)
    return steady and recovers


def main() -> int:
    """Run it on a service of its own; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="perf.soak", description=__doc__)
    parser.add_argument("--requests", type=int, default=50_000, help="while growth is watched")
    parser.add_argument("--rounds", type=int, default=5, help="of every fault")
    parser.add_argument("--port", type=int, default=18000, help="the first of 4 ports")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no server is left behind
    service = contenders(options.port)[0]
    url = f"http://127.0.0.1:{service.port}"
    with ExitStack() as stack:
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="iqa-soak-")))
        server = Server(service.command, logs / "service.log")
        stack.callback(server.stop)
        _await_start(server, url)
        fine = asyncio.run(_run(server, url, options.requests, options.rounds))
    print("every promise was kept" if fine else "a promise was broken")
    return 0 if fine else 1


if __name__ == "__main__":
    raise SystemExit(main())
