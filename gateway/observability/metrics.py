"""What Prometheus sees: how long requests and their stages take, and what becomes of them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import REGISTRY as PROCESS_REGISTRY
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
    values,
)

if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
    # A worker never forks; to look for that costs a system call for each number that is counted.
    _pid = os.getpid()
    values.ValueClass = values.MultiProcessValue(lambda: _pid)  # type: ignore[no-untyped-call]

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
REQUEST_SECONDS = Histogram(
    "http_server_request_duration_seconds",
    "From the first byte of a request's headers to the end of its answer.",
    ["http_route", "http_request_method", "http_response_status_code"],
    buckets=BUCKETS,
)
STAGE_SECONDS = Histogram(
    "iqa_stage_duration_seconds",
    "Time that images which share a request spend waiting for memory, being decoded, at Triton.",
    ["stage"],
    buckets=BUCKETS,
)
IMAGE_SECONDS = Counter(
    "iqa_image_stage_seconds_total", "The same time, counted for each of the images.", ["stage"]
)


class Stage:
    """A part of an image's way through the service."""

    def __init__(self, name: str) -> None:
        self._seconds = STAGE_SECONDS.labels(name)
        self._image_seconds = IMAGE_SECONDS.labels(name)

    @contextmanager
    def time(self, images: int) -> Iterator[None]:
        """Take the time of a block in which so many images are."""
        start = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - start
            self._seconds.observe(seconds)
            self._image_seconds.inc(seconds * images)


WAIT, DECODE, INFERENCE = map(Stage, ("wait", "decode", "inference"))
PROBLEMS = Counter("iqa_problems_total", "Requests and batch items without a score.", ["code"])
IN_FLIGHT = Gauge("iqa_images_in_flight", "Images or pairs in work.", multiprocess_mode="livesum")
MEGAPIXELS = Gauge(
    "iqa_megapixels_in_flight", "Megapixels in work, as admitted.", multiprocess_mode="livesum"
)


def exposition() -> bytes:
    """All workers' metrics in Prometheus text format."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(PROCESS_REGISTRY)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # untyped there
    return generate_latest(registry)
