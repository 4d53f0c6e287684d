"""A stack's call of Triton belongs to one trace and is linked to the others."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gateway.observability.tracing import span_of_stack

NOT_TRACED = trace.INVALID_SPAN


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    return exporter


def in_stack(requests: list[trace.Span]) -> None:
    with span_of_stack(requests), trace.get_tracer("test").start_as_current_span("call"):
        pass


def spans(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


def test_several_requests_are_linked(exporter: InMemorySpanExporter) -> None:
    requests = [trace.get_tracer("test").start_span(f"request {n}") for n in range(3)]
    in_stack([NOT_TRACED, *requests])
    stack, call = spans(exporter)["stack"], spans(exporter)["call"]
    assert stack.parent == requests[0].get_span_context()
    assert [link.context for link in stack.links] == [
        request.get_span_context() for request in requests[1:]
    ]
    assert call.parent == stack.context


def test_a_single_request_needs_no_span_between(exporter: InMemorySpanExporter) -> None:
    request = trace.get_tracer("test").start_span("request")
    in_stack([NOT_TRACED, request])
    assert list(spans(exporter)) == ["call"]
    assert spans(exporter)["call"].parent == request.get_span_context()
    assert request.is_recording()


def test_what_is_not_traced_changes_nothing(exporter: InMemorySpanExporter) -> None:
    in_stack([NOT_TRACED, NOT_TRACED])
    assert spans(exporter)["call"].parent is None
