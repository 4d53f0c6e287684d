"""Spans of OpenTelemetry: a request, its stages, and its calls of Triton, which gets the trace.

Names and attributes are those of the semantic conventions for HTTP servers and RPC clients.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points, version
from typing import Any

import grpc
from opentelemetry import propagate, trace
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode, format_trace_id
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.observability import tracing
from gateway.observability.telemetry import PROBES, Stage
from gateway.triton.client import INFER

PACKAGE = "iqa-service"
EXPORTERS = "opentelemetry_traces_exporter"  # entry points of what is installed
OTLP_EXPORTERS = {tracing.HTTP: "otlp_proto_http", tracing.GRPC: "otlp_proto_grpc"}


class Spans:
    """Makes spans and exports them, from a thread of its own."""

    def __init__(self) -> None:
        """Read the `OTEL_*` variables.

        Raises:
            ValueError: they ask for an exporter that is not installed.
        """
        name = {"service.name": "iqa-gateway", "service.version": version(PACKAGE)}
        asked = OTELResourceDetector().detect().attributes
        self._provider = TracerProvider(resource=Resource.create({**name, **asked}))
        for exporter in _exporters():
            self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("iqa.gateway", version(PACKAGE))

    def close(self) -> None:
        """Export what is left."""
        self._provider.shutdown()

    def of_requests(self, app: ASGIApp) -> ASGIApp:
        """The application with a span around each request but the probes'."""
        return _RequestSpans(app, self._tracer)

    def of_stage(self, stage: Stage) -> None:
        """Have a span around a stage whenever it is timed."""
        untraced = stage.time

        @contextmanager
        def traced(images: int) -> Iterator[None]:
            with self._tracer.start_as_current_span(stage.name), untraced(images):
                yield

        stage.time = traced

    def of_inferences(self, server: str) -> grpc.aio.UnaryUnaryClientInterceptor:
        """Puts a span around each inference, and hands the trace on with it."""
        return _InferenceSpans(self._tracer, server)


class _RequestSpans:
    def __init__(self, app: ASGIApp, tracer: trace.Tracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        with self._tracer.start_as_current_span(
            method,
            context=propagate.extract(Headers(scope=scope)),
            kind=SpanKind.SERVER,
            attributes=_request_attributes(scope),
        ) as span:
            state = scope.setdefault("state", {})
            state["trace_id"] = format_trace_id(span.get_span_context().trace_id)

            async def send_and_note(message: Message) -> None:
                if message["type"] == "http.response.start":
                    status = message["status"]
                    span.set_attribute("http.response.status_code", status)
                    if status >= 500:
                        span.set_attribute("error.type", state.get("problem", str(status)))
                        span.set_status(Status(StatusCode.ERROR))
                await send(message)

            try:
                await self._app(scope, receive, send_and_note)
            finally:
                span.set_attribute("http.response.header.x-request-id", [state["request_id"]])
                if route := getattr(scope.get("route"), "path", None):
                    span.update_name(f"{method} {route}")
                    span.set_attribute("http.route", route)


class _InferenceSpans(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc]  # untyped
    def __init__(self, tracer: trace.Tracer, server: str) -> None:
        self._tracer = tracer
        address, _, port = server.rpartition(":")
        self._attributes: dict[str, str | int] = {"rpc.system.name": "grpc", "rpc.method": INFER}
        if port.isdecimal():
            self._attributes |= {"server.address": address, "server.port": int(port)}

    async def intercept_unary_unary(self, proceed: Any, details: Any, request: Any) -> Any:
        # Triton traces whatever is handed on, sampled or not; and probes belong to no trace.
        if not trace.get_current_span().is_recording() or details.method != f"/{INFER}".encode():
            return await proceed(details, request)
        with self._tracer.start_as_current_span(
            INFER, kind=SpanKind.CLIENT, attributes=self._attributes, record_exception=False
        ) as span:
            handed_on: dict[str, str] = {}
            propagate.inject(handed_on)
            metadata = grpc.aio.Metadata(*(details.metadata or ()), *handed_on.items())
            call = await proceed(details._replace(metadata=metadata), request)
            code = (await call.code()).name
            span.set_attribute("rpc.response.status_code", code)
            if code != "OK":
                span.set_attribute("error.type", code)
                span.set_status(Status(StatusCode.ERROR))
            return call


def _request_attributes(scope: Scope) -> dict[str, str | int]:
    attributes = {
        "http.request.method": scope["method"],
        "url.path": scope["path"],
        "url.scheme": scope["scheme"],
        "network.protocol.version": scope["http_version"],
    }
    address, port = scope.get("server") or (None, None)
    if address is not None and port is not None:
        attributes |= {"server.address": address, "server.port": port}
    return attributes


def _exporters() -> Iterable[SpanExporter]:
    for name in tracing.exporters():
        name = OTLP_EXPORTERS.get(tracing.protocol(), "") if name == "otlp" else name
        found = entry_points(group=EXPORTERS, name=name)
        if not found:
            raise ValueError("OTEL_* variables ask for an exporter that is not installed")
        yield next(iter(found)).load()()
