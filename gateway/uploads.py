"""Reads a multipart upload into memory, refusing what is too large as soon as that shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from gateway.problems import Problem


@dataclass
class Upload:
    """One part of the form: the field's name, the client's file name, the bytes."""

    name: str = ""
    filename: str = ""
    data: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True)
class UploadLimits:
    """Most bytes of a file, most bytes of a body, most parts."""

    file_bytes: int
    body_bytes: int
    parts: int


class _Form:
    """Collects the parts that the parser reports."""

    def __init__(self, boundary: bytes, limits: UploadLimits) -> None:
        self.parts: list[Upload] = []
        self._limits = limits
        self._header = bytearray()
        self._value = bytearray()
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_end": self._on_end,
            },
        )

    def write(self, chunk: bytes) -> None:
        self._parser.write(chunk)

    def finish(self) -> list[Upload]:
        self._parser.finalize()
        if not self._ended:
            raise FormParserError("the closing boundary is missing")
        return self.parts

    def _on_part_begin(self) -> None:
        if len(self.parts) == self._limits.parts:
            raise Problem("invalid_request", f"Send at most {self._limits.parts} form fields.")
        self.parts.append(Upload())

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            self.parts[-1].name = options.get(b"name", b"").decode(errors="replace")
            self.parts[-1].filename = options.get(b"filename", b"").decode(errors="replace")
        self._header.clear()
        self._value.clear()

    def _on_headers_finished(self) -> None:
        if not self.parts[-1].name:
            raise FormParserError("a part has no name")

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        content = self.parts[-1].data
        content += memoryview(data)[start:end]
        if len(content) > self._limits.file_bytes:
            raise _too_large("file", self._limits.file_bytes)

    def _on_end(self) -> None:
        self._ended = True


@contextmanager
def _form_errors() -> Iterator[None]:
    try:
        yield
    except FormParserError as error:
        raise Problem("invalid_request", "The multipart/form-data body is malformed.") from error


def _too_large(what: str, limit: int) -> Problem:
    return Problem("upload_too_large", f"Send a {what} of at most {limit} bytes.")


async def read_uploads(request: Request, limits: UploadLimits) -> list[Upload]:
    """The parts of a `multipart/form-data` request, in upload order, held in memory.

    Raises:
        Problem: `invalid_request` where the body is not a well-formed form, `upload_too_large`.
        ClientDisconnect: the client hung up before the end of the body.
    """
    content_type, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if content_type != b"multipart/form-data" or not boundary:
        raise Problem("invalid_request", "Send the image as multipart/form-data.")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limits.body_bytes:
        raise _too_large("request", limits.body_bytes)
    received = 0
    with _form_errors():
        form = _Form(boundary, limits)
        async for chunk in request.stream():
            received += len(chunk)
            if received > limits.body_bytes:
                raise _too_large("request", limits.body_bytes)
            form.write(chunk)
        return form.finish()
