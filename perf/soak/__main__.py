"""The long tests of what docs/reliability.md promises, on services of their own.

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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from perf.bench.contenders import service
from perf.load.exchanges import Exchange, mixed
from perf.load.processes import Server
from perf.soak import trials

START_TIMEOUT = 120.0  # seconds
ADMITTED = "6"  # megapixels in work per worker where overload is tried


@contextmanager
def running(
    port: int, exchanges: Sequence[Exchange], **environment: str
) -> Iterator[trials.Service]:
    """A service while the block runs; it takes `port` and the three that follow."""
    contender = service(port)
    with tempfile.TemporaryDirectory(prefix="iqa-soak-") as logs:
        server = Server(contender.command, Path(logs) / "service.log", environment)
        try:
            _await_start(server, f"http://127.0.0.1:{port}")
            yield trials.Service(server, port, exchanges)
        finally:
            server.stop()


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


def main() -> int:
    """Run them; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="perf.soak", description=__doc__)
    parser.add_argument(
        "--requests", type=int, default=50_000, help="while growth is watched; 0: it is not"
    )
    parser.add_argument(
        "--steady", type=float, default=1200, help="seconds of steady load; 0: none"
    )
    parser.add_argument("--rounds", type=int, default=5, help="of every fault; 0: none")
    parser.add_argument("--port", type=int, default=18000, help="the first of 4 ports")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no server is left behind
    exchanges = mixed()
    kept = []
    with running(options.port, exchanges) as service:
        if options.requests:
            kept.append(asyncio.run(trials.grow(service, options.requests)))
        if options.steady:
            kept.append(asyncio.run(trials.steady(service, options.steady)))
        if options.rounds:
            kept.append(asyncio.run(trials.hurt(service, options.rounds)))
        kept.append(asyncio.run(trials.stop(service)))
    with running(options.port, exchanges, IQA_MAX_MEGAPIXELS=ADMITTED) as service:
        kept.append(asyncio.run(trials.press(service)))
    print("every promise was kept" if all(kept) else "a promise was broken")
    return 0 if all(kept) else 1


if __name__ == "__main__":
    raise SystemExit(main())
