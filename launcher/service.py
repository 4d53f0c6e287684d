"""The running service: a Triton, the gateway's workers, and what keeps them up."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, multiprocess, start_http_server

from gateway.observability import tracing
from gateway.triton import shared_memory
from launcher import family, tritonserver
from launcher.addresses import answers_ok, listen, reachable
from launcher.child import Child
from launcher.failure import LaunchError
from launcher.janitor import Janitor
from launcher.options import Options
from launcher.reporting import progress
from launcher.triton_memory import TritonMemory
from launcher.watchdog import Watchdog

logger = logging.getLogger(__name__)

POLL = 0.2  # seconds between looks at the children
START_POLL = 0.05  # the same while they start
START_PATIENCE = 300  # seconds until everything answers, a first compilation of kernels included
STARTS = 3  # of a Triton that crashes on the way, as 2.51 does now and then on a busy machine


class Service:
    """Starts, watches and ends all processes of the service."""

    def __init__(self, options: Options, workspace: Path) -> None:
        """Prepare in `workspace`, an empty folder that nobody else uses.

        Raises:
            LaunchError: something that is needed is missing.
        """
        self._options = options
        self._triton_memory = TritonMemory()
        self._janitor = Janitor()
        self._triton: Child | None = None
        self._metrics_folder = workspace / "metrics"
        self._metrics_folder.mkdir()
        environment = {"PROMETHEUS_MULTIPROC_DIR": str(self._metrics_folder)}
        if not options.triton_url:
            prefix = self._triton_memory.prefix
            self._triton, access = family.triton(options, workspace, prefix)
            environment |= access
        # One socket for each worker: the kernel spreads connections over them.
        self._sockets = [listen(options.host, options.port) for _ in range(options.workers)]
        self._workers = [
            family.worker(options, number, listener, environment)
            for number, listener in enumerate(self._sockets, start=1)
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
            progress.info("Starting Triton")
            self._triton_memory.claim()
            self._triton.start()
        progress.info("Starting the gateway")
        if self._options.metrics_port:
            self._serve_metrics()
        for worker in self._workers:
            worker.start()
        self._tell_janitor()
        if self._triton:
            self._wait_for(self._triton_is_ready)
            for sentence in tritonserver.devices(list(self._triton.log)):
                progress.info("%s", sentence)
        # A Triton elsewhere comes and goes by itself, and the gateway waits for it.
        self._wait_for(self._is_ready if self._triton else self._is_alive)
        if not self._is_ready():
            logger.warning("Triton at %s does not answer yet.", self._options.triton_url)
        progress.info("Ready at %s (API documentation; Ctrl-C stops)", self._url)
        progress.info("Try: curl -F image=@photo.jpg %s/api/v1/iqa/nr/brisque/", self._url)

    def _serve_metrics(self) -> None:
        """All workers' metrics, for a Prometheus that has no key."""
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry, str(self._metrics_folder))  # type: ignore[no-untyped-call]  # untyped there
        start_http_server(self._options.metrics_port, self._options.host, registry)

    def _watch(self) -> None:
        watchdog = (
            Watchdog(self._triton, self._triton_metrics(), self._is_ready) if self._triton else None
        )
        while True:
            time.sleep(POLL)
            for worker in self._workers:
                pid = worker.pid
                if not worker.is_alive():
                    shared_memory.remove_leftovers()
                if worker.restart_when_due():
                    multiprocess.mark_process_dead(pid, str(self._metrics_folder))  # type: ignore[no-untyped-call]  # untyped there
            if self._triton and watchdog:
                watchdog.look()
                if not self._triton.is_alive():
                    self._triton_memory.remove()
                if self._triton.restart_when_due():
                    watchdog.reset()
            self._tell_janitor()

    def _end(self) -> None:
        progress.info("Stopping")
        for worker in self._workers:
            worker.terminate()
        for listener in self._sockets:
            # The workers have copies of it: closed here alone, it would let clients in that nobody
            # answers any more.
            with suppress(OSError):  # a worker that did not get to listening
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for worker in self._workers:
            worker.wait(self._options.drain_seconds + 5)
        if self._triton:
            self._end_triton(self._triton)
            self._triton_memory.release()
        self._tell_janitor()
        self._janitor.dismiss()

    def _children(self) -> list[Child]:
        return [*self._workers, *([self._triton] if self._triton else [])]

    def _tell_janitor(self) -> None:
        alive = {child.pid for child in self._children() if child.pid and child.is_alive()}
        self._janitor.watch(alive)

    def _end_triton(self, triton: Child) -> None:
        """Let it answer what it has; to unload its models would take it four seconds more."""
        triton.terminate()
        if tracing.triton_options():  # it sends traces at its very end, all models unloaded
            triton.wait(30)
        else:
            triton.wait(10, enough=tritonserver.ANSWERED_ALL)
        time.sleep(POLL)  # its last answer is on the way
        triton.kill()

    def _wait_for(self, is_ready: Callable[[], bool]) -> None:
        end, starts = time.monotonic() + START_PATIENCE, 1
        while not is_ready():
            for child in self._children():
                if child.is_alive():
                    continue
                if child is not self._triton or not child.crashed or starts == STARTS:
                    raise LaunchError(_reason(child))
                self._triton_memory.remove()
                starts += child.restart_when_due()
                self._tell_janitor()
            if time.monotonic() > end:
                raise LaunchError(f"No answer from the models in {START_PATIENCE} seconds.")
            time.sleep(START_POLL)

    def _triton_is_ready(self) -> bool:
        address = reachable(self._options.triton_host, self._options.triton_http_port)
        return answers_ok(f"http://{address}/v2/health/ready")

    def _triton_metrics(self) -> str:
        address = reachable(self._options.triton_host, self._options.triton_metrics_port)
        return f"http://{address}/metrics"

    def _is_alive(self) -> bool:
        return answers_ok(f"{self._url}/healthz")

    def _is_ready(self) -> bool:
        return answers_ok(f"{self._url}/readyz")


def _reason(child: Child) -> str:
    """One sentence on why a child ended during the start."""
    lines = list(child.log)
    failure = tritonserver.load_failure(lines)
    return failure or f"{child.name} ended at once: {lines[-1] if lines else 'no output'}"
