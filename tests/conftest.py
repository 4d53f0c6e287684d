"""The running service, started as a user would, for every test that needs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from coverage import Coverage

from perf.ports import free_ports
from tests.turn import turn_to_start

START_PATIENCE = 240  # seconds; a first start compiles the kernels
READY = "Try:"  # what the launcher prints as soon as everything answers


@dataclass(frozen=True)
class RunningService:
    """A launcher process and where what it started listens.

    Attributes:
        url: of the gateway.
        grpc, http, metrics: `host:port` of Triton.
        process: the launcher.
        log: the file that it writes to.
    """

    url: str
    grpc: str
    http: str
    metrics: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def port(self) -> int:
        """Of the gateway."""
        return int(self.url.rpartition(":")[2])


def start(
    log: Path, *options: str, wrapper: Sequence[str] = (), prelude: str = "", **environment: str
) -> RunningService:
    """Run `iqa-serve` on free ports until everything answers, or until it has ended.

    Args:
        log: gets what it prints.
        options: of the command.
        wrapper: a command that runs it.
        prelude: Python that its process runs first.
        environment: variables in addition to ours.
    """
    gateway, http, grpc, metrics = free_ports(4)
    code = f"{prelude}\nimport sys; from launcher.main import main; sys.exit(main())"
    command = [sys.executable, "-c", code]
    command += [f"--port={gateway}", "--host=127.0.0.1", f"--triton-http-port={http}"]
    command += [f"--triton-grpc-port={grpc}", f"--triton-metrics-port={metrics}", *options]
    with turn_to_start(), log.open("wb") as output:
        process = subprocess.Popen(
            [*wrapper, *command],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), **environment},
        )
        end = time.monotonic() + START_PATIENCE
        while READY not in log.read_text() and process.poll() is None:
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
    addresses = (f"127.0.0.1:{port}" for port in (grpc, http, metrics))
    return RunningService(f"http://127.0.0.1:{gateway}", *addresses, process, log)


def launch(log: Path, *options: str, **settings: Any) -> RunningService:
    """A service that answers, see `start`."""
    service = start(log, *options, **settings)
    assert READY in log.read_text(), log.read_text()
    return service


def stop(service: RunningService) -> int:
    """Send Ctrl-C's signal and wait for the end; returns the exit status."""
    service.process.send_signal(signal.SIGINT)
    return service.process.wait(60)


@contextmanager
def running(log: Path, *options: str, **settings: Any) -> Iterator[RunningService]:
    """A service while the block runs, see `start`; it must end well."""
    service = launch(log, *options, **settings)
    try:
        yield service
    finally:
        assert stop(service) == 0


# Read when the Triton language is imported, as tests of several folders do, so it is set before any
# test is. Between collection and the tests of `iqa` are others, whose servers may use a real GPU.
os.environ["TRITON_INTERPRET"] = "1"

CLIENTS = frozenset({"integration", "reliability", "ui"})  # folders of tests that ask servers
UNMEASURED = frozenset({"deploy", "hostile", "iqa", "perf"})  # folders that coverage leaves out
SERVERS = frozenset({"service", "triton", "cluster", "bucket"})  # fixtures


def pytest_sessionstart(session: pytest.Session) -> None:
    """Have the kernels on disk first, once for all processes that run tests."""
    if not hasattr(session.config, "workerinput"):
        warm_up = [sys.executable, "-m", "iqa.warm_up"]
        subprocess.run(warm_up, check=True, cwd=Path(__file__).parents[1])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts servers, and put what is best begun early first."""
    for item in items:
        if _folder(item) in CLIENTS or SERVERS & set(getattr(item, "fixturenames", ())):
            item.add_marker("server")
    items.sort(key=_turn)


def _folder(item: pytest.Item | pytest.FixtureRequest) -> str:
    return item.path.relative_to(Path(__file__).parent).parts[0]


def _turn(item: pytest.Item) -> int:
    """Files with servers mostly wait, those of the kernels take long; the rest fills the end."""
    if item.get_closest_marker("server"):
        return 0
    return 1 if _folder(item) == "iqa" else 2


def pytest_collection_finish() -> None:
    """Leave the environment as it was."""
    del os.environ["TRITON_INTERPRET"]


@pytest.fixture(scope="module", autouse=True)
def measured(request: pytest.FixtureRequest) -> Iterator[None]:
    """Coverage is of the packages' own tests and of servers: it makes Python half as fast."""
    folder, stopped = _folder(request), []
    while folder in CLIENTS | UNMEASURED and (measuring := Coverage.current()):
        measuring.stop()
        stopped.append(measuring)
    with pytest.MonkeyPatch.context() as monkeypatch:
        if folder in UNMEASURED:
            monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # of what it starts
        yield
    for measuring in reversed(stopped):
        measuring.start()


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """The whole service, shared by all tests that only use it."""
    log = tmp_path_factory.mktemp("service") / "log"
    with running(log, "--workers=2", "--log-level=info") as shared:
        yield shared
