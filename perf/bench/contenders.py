"""The servers that the benchmark compares: this service, and the alternatives to it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from iqa.images import luma
from perf.baselines import piq_scores
from perf.load.calls import Score, score
from perf.load.pictures import Pixels

CORES = len(os.sched_getaffinity(0))
PORTS = 10  # that each contender may use


@dataclass(frozen=True)
class Contender:
    """A server under test.

    Attributes:
        name: in results.
        title: in tables and plots.
        port: where it takes uploads.
        command: what starts it.
        score: what its answers are checked against.
        triton_port: of its Triton's HTTP, None where it has none.
    """

    name: str
    title: str
    port: int
    command: list[str]
    score: Score
    triton_port: int | None = None


def contenders(first_port: int, folder: Path) -> list[Contender]:
    """All of them, each on ports of its own from `first_port` on; models are made in `folder`."""
    ports = [first_port + PORTS * index for index in range(4)]
    in_process = ["perf.baselines.in_process", "--workers", str(CORES)]
    piq_service = [
        "uvicorn",
        "perf.baselines.piq_service:app",
        "--no-access-log",
        "--log-level=warning",
    ]
    repository = ["--model-repository", str(folder)]
    return [
        service(ports[0]),
        _alone("in_process", "our kernels inside FastAPI", ports[1], in_process, score),
        _alone("piq_service", "FastAPI + piq", ports[2], piq_service, piq_scores.score),
        _with_triton("triton_piq", "Triton + piq", ports[3], repository, _piq_of_luma),
    ]


def service(port: int, options: Sequence[str] = ()) -> Contender:
    """This service, started with some options."""
    return _with_triton("service", "this service", port, options, score)


def _piq_of_luma(model: str, *images: Pixels) -> float:
    """piq's score of what the gateway sends it: of a single picture, the luma."""
    if len(images) == 1:
        images = (luma(images[0])[:, :, None],)
    return piq_scores.score(model, *images)


def _alone(
    name: str, title: str, port: int, module: Sequence[str], right_score: Score
) -> Contender:
    command = [sys.executable, "-m", *module, "--port", str(port)]
    return Contender(name, title, port, command, right_score)


def _with_triton(
    name: str, title: str, port: int, options: Sequence[str], right_score: Score
) -> Contender:
    http, grpc, metrics = port + 1, port + 2, port + 3
    start = "from launcher.main import main; raise SystemExit(main())"
    command = [sys.executable, "-c", start, "--host", "127.0.0.1", "--port", str(port)]
    command += ["--triton-http-port", str(http), "--triton-grpc-port", str(grpc)]
    command += ["--triton-metrics-port", str(metrics), *options]
    return Contender(name, title, port, command, right_score, http)
