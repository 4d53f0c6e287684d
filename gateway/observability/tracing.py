"""Traces: asked for by OpenTelemetry's own environment variables, and what a stack adds to them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from opentelemetry import trace

if TYPE_CHECKING:
    from gateway.observability.spans import Spans

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
HTTP, GRPC = "http/protobuf", "grpc"


def exporters() -> list[str]:
    """Names of the exporters that spans go to; none where nobody asks for them."""
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return []
    named = os.environ.get("OTEL_TRACES_EXPORTER") or ("otlp" if _first(ENDPOINTS) else "none")
    return [name for name in map(str.strip, named.split(",")) if name != "none"]


def protocol() -> str:
    """How spans travel to an OTLP endpoint."""
    return _first(PROTOCOLS) or HTTP


def triton_options() -> list[str]:
    """What makes tritonserver continue the traces of the calls that hand one on, and start none.

    Its exporter reads the same variables, but speaks HTTP only.
    """
    if "otlp" not in exporters() or protocol() == GRPC:
        return []
    settings = ("mode=opentelemetry", "level=TIMESTAMPS", "rate=0")
    resource = "opentelemetry,resource=service.name=iqa-triton"
    return [f"--trace-config={setting}" for setting in (*settings, resource)]


def start() -> Spans | None:
    """What makes and exports spans; None where nobody asks for them.

    Raises:
        RuntimeError: they are asked for, and what makes them is not installed.
    """
    if not exporters():
        return None
    try:
        from gateway.observability.spans import Spans
    except ImportError as error:
        raise RuntimeError(
            "OTEL_* variables ask for traces: pip install 'iqa-service[tracing]', or set "
            "OTEL_SDK_DISABLED=true."
        ) from error
    return Spans()


def span_of_stack(requests: Sequence[trace.Span]) -> AbstractContextManager[object]:
    """Make the calls of Triton in the block part of the traces of the requests that share them.

    A call has one parent. That of several requests is a span of its own, which belongs to the
    first trace and links to the requests of the others.
    """
    traced = [span for span in requests if span.is_recording()]
    if not traced:
        return nullcontext()
    first, *others = traced
    if not others:
        return trace.use_span(first, record_exception=False, set_status_on_exception=False)
    return trace.get_tracer("iqa.gateway").start_as_current_span(
        "stack",
        context=trace.set_span_in_context(first),
        links=[trace.Link(span.get_span_context()) for span in others],
    )


def _first(names: tuple[str, ...]) -> str:
    return next((value for name in names if (value := os.environ.get(name))), "")
