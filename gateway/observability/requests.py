"""Gives each request an id, one log line and its place in the metrics."""

from __future__ import annotations

import logging
import re
import time
from itertools import count
from secrets import token_hex

from opentelemetry.trace import format_trace_id, get_current_span
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.observability.metrics import REQUEST_SECONDS

logger = logging.getLogger("gateway.requests")

PROBES = frozenset({"/healthz", "/readyz", "/metrics"})  # asked all the time
REQUEST_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)


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
        request_id = Headers(scope=scope).get("x-request-id", "")
        if not REQUEST_ID.fullmatch(request_id):
            request_id = f"{self._worker}-{next(self._serial)}"
        scope.setdefault("state", {})["request_id"] = request_id
        status = 500
        span = get_current_span()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = (b"x-request-id", request_id.encode())
                message["headers"] = [*message["headers"], own]
                if span.is_recording():
                    span.update_name(f"{scope['method']} {_route(scope)}")
                    span.set_attribute("http.route", _route(scope))
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            seconds = time.perf_counter() - start
            route = _route(scope)
            REQUEST_SECONDS.labels(route, scope["method"], status).observe(seconds)
            level = logging.DEBUG if route in PROBES else logging.INFO
            level = level if status < 500 else logging.WARNING
            if logger.isEnabledFor(level):
                trace = span.get_span_context()
                extra = {
                    "request_id": request_id,
                    "status": status,
                    "duration_ms": round(seconds * 1000, 2),
                    "code": scope["state"].get("problem"),
                    "trace_id": format_trace_id(trace.trace_id) if trace.is_valid else None,
                }
                logger.log(level, "%s %s %d", scope["method"], route, status, extra=extra)


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", "unmatched")
