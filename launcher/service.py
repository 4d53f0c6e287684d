"""The running service: a Triton, the gateway's workers, and what keeps them up."""

from __future__ import annotations

import argparse
import logging
import re
import secrets
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from prometheus_client import multiprocess

from gateway.observability import tracing
from gateway.triton import key as triton_key
from launcher import tritonserver
from launcher.addresses import LOOPBACK, answers_ok, listen, reachable
from launcher.child import Child
from launcher.failure import LaunchError
from launcher.triton_memory import TritonMemory
from launcher.tritonserver import Endpoints
from launcher.watchdog import Watchdog

logger = logging.getLogger(__name__)

POLL = 0.2  # seconds between looks at the children
START_PATIENCE = 300  # seconds until everything answers, a first compilation of kernels included
BACKLOG = 1024
EVERYTHING = re.compile("")
# Pixels of one request after another: glibc would return their memory to the system each time, and
# clearing and mapping it again would cost as much as the gateway's own work on a request.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(128 << 20)}
# As glog marks them, but for the one that says that there is no GPU.
TRITON_ERRORS = re.compile(r"[EF]\d{4} (?!.*CudaDriverHelper)")


class Service:
    """Starts, watches and ends all processes of the service."""

    def __init__(self, options: argparse.Namespace, workspace: Path) -> None:
        """Prepare in `workspace`, an empty folder that nobody else uses.

        Raises:
            LaunchError: something that is needed is missing.
        """
        self._options = options
        self._triton_memory = TritonMemory()
        self._triton_access: dict[str, str] = {}  # what the workers need to know
        self._triton = None if options.triton_url else self._triton_child(workspace)
        self._metrics_folder = workspace / "metrics"
        self._metrics_folder.mkdir()
        # One socket for each worker: the kernel spreads connections over them.
        self._sockets = [listen(options.host, options.port) for _ in range(options.workers)]
        self._workers = [
            self._worker(number, listener) for number, listener in enumerate(self._sockets)
        ]
        self._url = f"http://{reachable(options.host, options.port)}"

    def run(self) -> None:
        """Serve until an exception, such as that of a signal, comes; then drain and end.

        Raises:
            LaunchError: the service does not come up.
        """
        try:
            self._start()
            self._watch()
        finally:
            self._end()

    def _start(self) -> None:
        if self._triton:
            self._triton_memory.claim()
            self._triton.start()
            self._wait_for(self._triton_is_ready, self._triton)
        for worker in self._workers:
            worker.start()
        self._wait_for(self._is_ready, *self._workers)
        print(f"Ready at {self._url} (API documentation; Ctrl-C stops)")
        print(f"Try: curl -F image=@photo.jpg {self._url}/api/v1/iqa/nr/brisque/", flush=True)

    def _watch(self) -> None:
        watchdog = Watchdog(self._triton, self._is_ready) if self._triton else None
        while True:
            time.sleep(POLL)
            for worker in self._workers:
                pid = worker.pid
                if worker.restart_when_due():
                    multiprocess.mark_process_dead(pid, str(self._metrics_folder))  # type: ignore[no-untyped-call]  # untyped there
            if self._triton and watchdog:
                watchdog.look()
                if not self._triton.is_alive():
                    self._triton_memory.remove()
                if self._triton.restart_when_due():
                    watchdog.reset()

    def _end(self) -> None:
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            worker.wait(self._options.drain_seconds + 5)
        if self._triton:
            self._triton.terminate()
            self._triton.wait(10)
            self._triton_memory.release()
        for listener in self._sockets:
            listener.close()

    def _wait_for(self, is_ready: Callable[[], bool], *children: Child) -> None:
        end = time.monotonic() + START_PATIENCE
        while not is_ready():
            for child in children:
                if not child.is_alive():
                    raise LaunchError(_reason(child))
            if time.monotonic() > end:
                raise LaunchError(f"No answer from the models in {START_PATIENCE} seconds.")
            time.sleep(POLL)

    def _triton_is_ready(self) -> bool:
        address = reachable(self._options.triton_host, self._options.triton_http_port)
        return answers_ok(f"http://{address}/v2/health/ready")

    def _is_ready(self) -> bool:
        return answers_ok(f"{self._url}/readyz")

    def _triton_child(self, workspace: Path) -> Child:
        options = self._options
        if not options.model_repository.is_dir():
            raise LaunchError(f"There is no model repository at {options.model_repository}.")
        server = tritonserver.find(workspace)
        endpoints = Endpoints(
            options.triton_host,
            options.triton_http_port,
            options.triton_grpc_port,
            options.triton_metrics_port,
        )
        command = server.command(
            options.model_repository,
            endpoints,
            self._triton_memory.prefix,
            options.model_config_name,
        )
        if options.triton_host not in LOOPBACK:
            command += self._lock_triton(workspace / "triton-key")
        command += tracing.triton_options()
        echo = EVERYTHING if options.log_level == "debug" else TRITON_ERRORS
        return Child("Triton", command, KEEP_MEMORY | server.environment, echo=echo)

    def _lock_triton(self, file: Path) -> list[str]:
        """What makes Triton ask for a key that only the workers know."""
        logger.warning(
            "Triton itself is open to %s: whoever reaches it may use the models, see SECURITY.md",
            self._options.triton_host,
        )
        key = secrets.token_hex(16)
        file.touch(0o600)
        file.write_text(key)
        self._triton_access = {"IQA_TRITON_KEY_FILE": str(file)}
        return triton_key.options(key)

    def _worker(self, number: int, listener: socket.socket) -> Child:
        options = self._options
        command = [
            *(sys.executable, "-m", "uvicorn", "gateway.app:app"),
            f"--fd={listener.fileno()}",
            f"--timeout-graceful-shutdown={options.drain_seconds}",
            f"--backlog={BACKLOG}",
            *("--loop=uvloop", "--http=gateway.http.protocol:OneWriteProtocol", "--lifespan=on"),
            *("--no-access-log", "--no-server-header", "--no-proxy-headers"),
        ]
        environment = {
            **KEEP_MEMORY,
            **self._triton_access,
            "IQA_TRITON_URL": options.triton_url
            or reachable(options.triton_host, options.triton_grpc_port),
            "IQA_LOG_LEVEL": options.log_level,
            "PROMETHEUS_MULTIPROC_DIR": str(self._metrics_folder),
        }
        name = f"gateway worker {number + 1}"
        return Child(name, command, environment, sockets=[listener.fileno()], echo=EVERYTHING)


def _reason(child: Child) -> str:
    """One sentence on why a child ended during the start."""
    lines = list(child.log)
    failure = tritonserver.load_failure(lines)
    return failure or f"{child.name} ended at once: {lines[-1] if lines else 'no output'}"
