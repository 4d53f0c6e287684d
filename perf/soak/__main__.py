"""What docs/reliability.md promises, tried for long on services of their own.

Prints the figures of each scene; ends with 1 where a promise was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx

from perf.bench import contenders
from perf.load.exchanges import Exchange, mixed
from perf.load.processes import Server
from perf.soak import scenes

START_TIMEOUT = 120.0  # seconds
ADMITTED = "6"  # megapixels in work per worker where overload is tried

SCENES: dict[str, Callable[[scenes.Service], Coroutine[None, None, None]]] = {
    "phones": partial(scenes.phones, clients=64),
    "crowd": partial(scenes.phones, clients=100),
    "batches": scenes.batches,
    "large": scenes.large,
    "faults": scenes.hurt,
    "steady": scenes.steady,
    "stop": scenes.stop,
    "overload": scenes.press,
}


@contextmanager
def running(
    options: argparse.Namespace, exchanges: Sequence[Exchange], **environment: str
) -> Iterator[scenes.Service]:
    """A service while the block runs."""
    port = options.port
    with tempfile.TemporaryDirectory(prefix="iqa-soak-") as folder:
        log = Path(folder) / "service.log"
        server = Server(contenders.service(port).command, log, environment)
        try:
            _await_start(server, f"http://127.0.0.1:{port}")
            yield scenes.Service(server, port, log, exchanges, options.minutes)
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
    """Play the scenes; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="perf.soak", description=__doc__)
    parser.add_argument("--scene", choices=SCENES, nargs="+", default=list(SCENES))
    parser.add_argument("--minutes", type=float, default=20, help="of steady load")
    parser.add_argument("--port", type=int, default=18000, help="the first of 4 ports")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no server is left behind
    exchanges = mixed()
    broken = []
    for name in options.scene:
        print(f"{name}:", flush=True)
        environment = {"IQA_MAX_MEGAPIXELS": ADMITTED} if name == "overload" else {}
        with running(options, exchanges, **environment) as service:
            try:
                asyncio.run(SCENES[name](service))
            except scenes.BrokenPromiseError as error:
                broken.append(f"{name}: {error}")
    print(
        "\n".join(broken and ["These promises were broken:", *broken]) or "every promise was kept"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
