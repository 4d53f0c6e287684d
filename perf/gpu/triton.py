"""Requests per second through the real tritonserver, pixels sent in one of three ways."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from export.model_configs import REPOSITORY
from iqa.catalogue import METRICS
from launcher import tritonserver
from launcher.addresses import answers_ok
from launcher.child import Child
from launcher.triton_memory import TritonMemory
from launcher.tritonserver import Endpoints
from perf.analyzer import Setup, analyze, input_data
from perf.gpu.report import Report, Row
from perf.load.pictures import picture_set
from perf.ports import free_ports

MEMORIES = ("none", "system", "cuda")
START_PATIENCE = 240  # seconds; a first start compiles the kernels
PICTURES = 12


@contextmanager
def running_triton(config_name: str | None) -> Iterator[str]:
    """A tritonserver that serves the models by that configuration; yields its gRPC address.

    Raises:
        RuntimeError: it does not become ready; with the end of what it printed.
    """
    with tempfile.TemporaryDirectory(prefix="iqa-perf-") as workspace:
        server = tritonserver.find(Path(workspace))
        endpoints = Endpoints("127.0.0.1", *free_ports(3))
        memory = TritonMemory()
        command = server.command(REPOSITORY, endpoints, memory.prefix, config_name)
        triton = Child("Triton", command, server.environment, echo=tritonserver.LOAD_FAILURE)
        memory.claim()
        triton.start()
        try:
            _wait_until_ready(triton, endpoints)
            yield f"127.0.0.1:{endpoints.grpc_port}"
        finally:
            triton.terminate()
            triton.wait(30)
            memory.release()


def measure(report: Report, url: str, program: str, concurrency: int, seconds: float) -> None:
    """Let perf_analyzer send grey pictures to BRISQUE and RGB pairs to MS-SSIM, over gRPC."""
    setup = Setup(program, {"grpc": url}, (concurrency,), seconds)
    pairs = picture_set()[:PICTURES]
    for metric in METRICS:
        with tempfile.NamedTemporaryFile("w", suffix=".json") as data:
            json.dump(input_data(metric, pairs, grey=len(metric.inputs) == 1), data)
            data.flush()
            for memory in MEMORIES:
                with report.attempt(f"perf_analyzer, {metric.name}, shared memory {memory}"):
                    (row,) = analyze(metric, setup, "grpc", memory, Path(data.name))
                    rate = float(row["inferences_per_second"])
                    report.rows.append(Row(metric.name, "Triton", memory, rate))


def _wait_until_ready(triton: Child, endpoints: Endpoints) -> None:
    end = time.monotonic() + START_PATIENCE
    url = f"http://{endpoints.host}:{endpoints.http_port}/v2/health/ready"
    while not answers_ok(url):
        if not triton.is_alive() or time.monotonic() > end:
            raise RuntimeError("Triton is not ready:\n" + "\n".join(list(triton.log)[-20:]))
        time.sleep(0.5)
