"""An OpenTelemetry collector for tests: receives spans by OTLP over HTTP, in both encodings."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PATIENCE = 20  # seconds


@dataclass(frozen=True)
class Span:
    """One span as it was received; ids in hexadecimal, `parent` empty at a root."""

    service: str
    name: str
    kind: int | str
    trace: str
    id: str
    parent: str
    failed: bool
    attributes: dict[str, Any]


@dataclass
class Collector:
    """A running collector; `spans` is what it has received so far."""

    endpoint: str
    spans: list[Span] = field(default_factory=list)

    def wait_for(
        self, complete: Callable[[list[Span]], bool], seconds: float = PATIENCE
    ) -> list[Span]:
        """The spans, once they satisfy `complete`.

        Raises:
            TimeoutError: they do not.
        """
        end = time.monotonic() + seconds
        while not complete(self.spans):
            if time.monotonic() > end:
                raise TimeoutError(self.spans)
            time.sleep(0.05)
        return self.spans


@contextmanager
def collector() -> Iterator[Collector]:
    """A collector on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.spans.extend(_spans(body, self.headers["Content-Type"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received = Collector(f"http://127.0.0.1:{server.server_port}")
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()


def _spans(body: bytes, content_type: str) -> Iterator[Span]:
    if content_type == "application/x-protobuf":
        message = ExportTraceServiceRequest.FromString(body)
        for resource in message.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    # JSON has bytes in base 64, but OTLP has ids in hexadecimal.
                    ids = {
                        name: getattr(span, key).hex()
                        for name, key in (
                            ("traceId", "trace_id"),
                            ("spanId", "span_id"),
                            ("parentSpanId", "parent_span_id"),
                        )
                    }
                    yield _span(MessageToDict(resource.resource), MessageToDict(span) | ids)
    else:
        assert content_type == "application/json"
        for resource in json.loads(body)["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    yield _span(resource["resource"], span)


def _span(resource: dict[str, Any], span: dict[str, Any]) -> Span:
    return Span(
        service=_attributes(resource)["service.name"],
        name=span["name"],
        kind=span["kind"],
        trace=span["traceId"],
        id=span["spanId"],
        parent=span.get("parentSpanId", ""),
        failed=span.get("status", {}).get("code") in (2, "STATUS_CODE_ERROR"),
        attributes=_attributes(span),
    )


def _attributes(holder: dict[str, Any]) -> dict[str, Any]:
    return {entry["key"]: _value(entry["value"]) for entry in holder.get("attributes", [])}


def _value(value: dict[str, Any]) -> Any:
    ((kind, content),) = value.items()
    if kind == "intValue":
        return int(content)
    if kind == "arrayValue":
        return [_value(item) for item in content["values"]]
    return content
