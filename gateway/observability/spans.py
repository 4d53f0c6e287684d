"""Makes and exports spans with OpenTelemetry's packages for ASGI and gRPC; the extra `tracing`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.metadata import entry_points, version
from threading import Timer

from opentelemetry import trace
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.grpc import (
    GrpcAioInstrumentorClient,
    GrpcInstrumentorClient,
    filters,
)
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from starlette.types import ASGIApp, Scope

from gateway.observability import tracing
from gateway.observability.requests import PROBES

PATIENCE = 3.0  # seconds at the end for a collector that does not answer
EXPORTERS = "opentelemetry_traces_exporter"  # entry points of what is installed
OTLP_EXPORTERS = {tracing.HTTP: "otlp_proto_http", tracing.GRPC: "otlp_proto_grpc"}


class Spans:
    """Exports spans, from a thread of its own."""

    def __init__(self) -> None:
        """Read the `OTEL_*` variables; gRPC channels that are made from here on are traced.

        Raises:
            ValueError: the variables ask for an exporter that is not installed.
        """
        # The names of attributes that have become stable, not those of drafts.
        os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
        name = {"service.name": "iqa-gateway", "service.version": version("iqa-service")}
        asked = OTELResourceDetector().detect().attributes
        self._provider = TracerProvider(resource=Resource.create({**name, **asked}))
        self._exporters = list(_exporters())
        for exporter in self._exporters:
            self._provider.add_span_processor(BatchSpanProcessor(exporter))
        trace.set_tracer_provider(self._provider)
        calls = filters.all_of(filters.method_name("ModelInfer"), _belongs_to_a_trace)
        for instrumentor in (GrpcAioInstrumentorClient, GrpcInstrumentorClient):
            instrumentor(filter_=calls).instrument()

    def close(self) -> None:
        """Export what is left; the provider by itself would try for up to half a minute."""
        timers = [Timer(PATIENCE, exporter.shutdown) for exporter in self._exporters]
        for timer in timers:
            timer.start()
        self._provider.shutdown()
        for timer in timers:
            timer.cancel()

    def of_requests(self, app: ASGIApp) -> ASGIApp:
        """The application with a span around each request but the probes'."""
        return OpenTelemetryMiddleware(
            app,
            excluded_urls=",".join(f"{probe}$" for probe in PROBES),
            default_span_details=_name,
            http_capture_headers_server_response=["x-request-id"],
            exclude_spans=["receive", "send"],
        )


def _name(scope: Scope) -> tuple[str, dict[str, str]]:
    return str(scope.get("method", "")), {}


def _belongs_to_a_trace(_: object) -> bool:
    """Triton traces whatever is handed on, sampled or not; and probes belong to no trace."""
    return trace.get_current_span().is_recording()


def _exporters() -> Iterable[SpanExporter]:
    for name in tracing.exporters():
        name = OTLP_EXPORTERS.get(tracing.protocol(), "") if name == "otlp" else name
        found = entry_points(group=EXPORTERS, name=name)
        if not found:
            raise ValueError("OTEL_* variables ask for an exporter that is not installed")
        yield next(iter(found)).load()()
