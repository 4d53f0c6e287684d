"""Reads a multipart upload into memory, part by part, within limits."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from gateway.http.problems import Problem

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

HEADERS, HEADER_BYTES = 16, 4096  # most that a part may say about itself, and the length of each
PREAMBLE_BYTES = 4096
TEXT_FIELDS = 32  # most of them; few are read, the others are ignored
# The extended form of a parameter (RFC 8187), which the parser's library leaves out.
EXTENDED_FILENAME = re.compile(rb";\s*filename\*\s*=\s*utf-8'[\w-]*'([^;\s]+)", re.IGNORECASE)


class Upload(NamedTuple):
    """One part of a form.

    Attributes:
        name: of the field.
        filename: as the client calls the file; None for a text field.
        data: the bytes.
    """

    name: str
    filename: str | None
    data: memoryview


@dataclass(frozen=True)
class UploadLimits:
    """Most bytes of a file, most bytes of a body, most files."""

    file_bytes: int
    body_bytes: int
    files: int


async def read_uploads(
    request: Request, limits: UploadLimits, hold: Callable[[int], None]
) -> list[Upload]:
    """The parts of a `multipart/form-data` request, in upload order, held in memory.

    Args:
        request: whose body is read.
        limits: checked before the bytes are kept.
        hold: told of the bytes that come, before they are kept; may raise.

    Raises:
        Problem: `invalid_request` where the body is not a well-formed form, `upload_too_large`,
            `unsupported_format` where it is compressed.
        ClientDisconnect: the client hung up before the end of the body.
    """
    content_type, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if content_type != b"multipart/form-data" or not boundary:
        raise Problem("invalid_request", "Send the image as multipart/form-data.")
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise Problem(
            "unsupported_format", "Send the body as it is, without a Content-Encoding such as gzip."
        )
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limits.body_bytes:
        raise _too_large("request", limits.body_bytes)
    form = _Form(limits)
    received = 0
    preamble: bytes | None = b""
    delimiter = b"--" + boundary
    try:
        parser = MultipartParser(
            boundary, form.callbacks, max_header_count=HEADERS, max_header_size=HEADER_BYTES
        )
        async for chunk in request.stream():
            received += len(chunk)
            if received > limits.body_bytes:
                raise _too_large("request", limits.body_bytes)
            hold(len(chunk))
            if preamble is not None:  # what may stand in front; the parser takes none
                preamble += chunk
                start = _start(preamble, delimiter)
                if start < 0 and len(preamble) <= PREAMBLE_BYTES:
                    continue
                chunk, preamble = preamble[max(start, 0) :], None
            parser.write(chunk)
    except FormParserError:
        raise _malformed() from None
    if not form.is_complete:
        raise _malformed()
    return form.uploads


class _Form:
    """Collects the parts that the parser comes upon.

    Attributes:
        uploads: the parts so far.
        is_complete: the form's end was there.
    """

    def __init__(self, limits: UploadLimits) -> None:
        self.uploads: list[Upload] = []
        self.is_complete = False
        self._limits = limits
        self._files = 0
        self.callbacks: MultipartCallbacks = {
            "on_part_begin": self._begin,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_part_data": self._more,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._name = self._value = self._disposition = b""
        self._data = bytearray()

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name = self._value = b""

    def _more(self, data: bytes, start: int, end: int) -> None:
        if len(self._data) + end - start > self._limits.file_bytes:
            raise _too_large("file", self._limits.file_bytes)
        self._data += memoryview(data)[start:end]

    def _part_end(self) -> None:
        name, filename = _names(self._disposition)
        self._files += filename is not None
        if self._files > self._limits.files:
            raise Problem("invalid_request", f"Send at most {self._limits.files} images.")
        if len(self.uploads) - self._files >= TEXT_FIELDS:
            raise Problem("invalid_request", f"Send at most {TEXT_FIELDS} text fields.")
        self.uploads.append(Upload(name, filename, memoryview(self._data)))

    def _end(self) -> None:
        self.is_complete = True


def _start(data: bytes, delimiter: bytes) -> int:
    """Where the first part begins, at the start of a line; negative if it is not there yet."""
    if data.startswith(delimiter):
        return 0
    found = data.find(b"\r\n" + delimiter)
    return found + 2 if found >= 0 else found


def _names(disposition: bytes) -> tuple[str, str | None]:
    """The field's and the file's name (RFC 7578, 4.2)."""
    _, options = parse_options_header(disposition)
    name, filename = options.get(b"name"), options.get(b"filename")
    if not name:
        raise _malformed()
    if extended := EXTENDED_FILENAME.search(disposition):
        filename = unquote_to_bytes(extended[1])
    return (
        name.decode(errors="replace"),
        None if filename is None else filename.decode(errors="replace"),
    )


def _malformed() -> Problem:
    return Problem("invalid_request", "The multipart/form-data body is malformed.")


def _too_large(what: str, limit: int) -> Problem:
    return Problem("upload_too_large", f"Send a {what} of at most {limit} bytes.")
