"""What operators see: a log line and metrics for every request, and its id."""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from secrets import token_hex

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
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger("gateway.requests")

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
    """A part of an image's way through the service.

    Attributes:
        name: of the part.
        time: makes what takes the time of a block, in which so many images are.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.time: Callable[[int], AbstractContextManager[None]] = self._time
        self._seconds = STAGE_SECONDS.labels(name)
        self._image_seconds = IMAGE_SECONDS.labels(name)

    @contextmanager
    def _time(self, images: int) -> Iterator[None]:
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

PROBES = frozenset({"/healthz", "/readyz", "/metrics"})  # asked all the time
REQUEST_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)


def exposition() -> bytes:
    """All workers' metrics in Prometheus text format."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(PROCESS_REGISTRY)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # untyped there
    return generate_latest(registry)


class RequestTelemetry:
    """ASGI middleware: gives each request an id, one log line and its place in the metrics."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._worker = token_hex(6)
        self._serial = count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":  # the server's start and stop
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        given = Headers(scope=scope).get("x-request-id", "")
        own_id = f"{self._worker}-{next(self._serial)}"
        request_id = given if REQUEST_ID.fullmatch(given) else own_id
        scope.setdefault("state", {})["request_id"] = request_id
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            seconds = time.perf_counter() - start
            route = getattr(scope.get("route"), "path", "unmatched")
            REQUEST_SECONDS.labels(route, scope["method"], status).observe(seconds)
            level = logging.DEBUG if route in PROBES else logging.INFO
            logger.log(
                level if status < 500 else logging.WARNING,
                "%s %s %d",
                scope["method"],
                route,
                status,
                extra={
                    "request_id": request_id,
                    "status": status,
                    "duration_ms": round(seconds * 1000, 2),
                    "code": scope["state"].get("problem"),
                    "trace_id": scope["state"].get("trace_id"),
                },
            )


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    FIELDS = ("request_id", "status", "duration_ms", "code", "trace_id")

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON; request fields where it has them."""
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03}",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {
            name: value
            for name in self.FIELDS
            if (value := getattr(record, name, None)) is not None
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure_logging(level: str) -> None:
    """Send every logger's lines, uvicorn's included, as JSON to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
        logging.getLogger(name).setLevel(logging.NOTSET)
    logging.getLogger("uvicorn.access").propagate = False  # `RequestTelemetry` logs requests
