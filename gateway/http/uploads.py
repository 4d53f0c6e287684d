"""Reads a multipart upload into memory and splits it into its parts, without a copy of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from gateway.http.problems import Problem

LINE_END = b"\r\n"
HEADER_BYTES = 4096  # most that a part may say about itself


class Upload(NamedTuple):
    """One part of the form: the field's name, the client's file name, the bytes."""

    name: str
    filename: str
    data: memoryview


@dataclass(frozen=True)
class UploadLimits:
    """Most bytes of a file, most bytes of a body, most parts."""

    file_bytes: int
    body_bytes: int
    parts: int


async def read_uploads(
    request: Request, limits: UploadLimits, hold: Callable[[int], None]
) -> list[Upload]:
    """The parts of a `multipart/form-data` request, in upload order, held in memory.

    Args:
        request: whose body is read.
        limits: checked before the bytes are kept.
        hold: told of the bytes that come, before they are kept; may raise.

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
    chunks, received = [], 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > limits.body_bytes:
            raise _too_large("request", limits.body_bytes)
        hold(len(chunk))
        chunks.append(chunk)
    return list(_parts(b"".join(chunks), boundary, limits))


def _parts(body: bytes, boundary: bytes, limits: UploadLimits) -> Iterator[Upload]:
    """Split a body at its delimiters (RFC 2046, 5.1.1).

    The whole body is there, so that each part is found by one search: a parser for streams, which
    must be ready for the end of a chunk anywhere, takes several times as long.
    """
    delimiter = LINE_END + b"--" + boundary
    # The line end that belongs to the first one may be missing.
    first = body.startswith(delimiter[len(LINE_END) :])
    end = -len(LINE_END) if first else _find(body, delimiter, 0, len(body))
    count = 0
    while not body.startswith(b"--", start := end + len(delimiter)):
        if count == limits.parts:
            raise Problem("invalid_request", f"Send at most {limits.parts} form fields.")
        headers = _find(body, LINE_END, start, start + HEADER_BYTES)
        if body[start:headers].strip(b" \t"):
            raise _malformed()
        data = _find(body, 2 * LINE_END, headers, headers + HEADER_BYTES) + 2 * len(LINE_END)
        end = _find(body, delimiter, data, len(body))
        if end - data > limits.file_bytes:
            raise _too_large("file", limits.file_bytes)
        names = _names(body[headers + len(LINE_END) : data - 2 * len(LINE_END)])
        yield Upload(*names, memoryview(body)[data:end])
        count += 1


def _names(headers: bytes) -> tuple[str, str]:
    """The field's and the file's name, from the headers of a part (RFC 7578, 4.2)."""
    for line in headers.split(LINE_END):
        header, colon, value = line.partition(b":")
        if not colon:
            raise _malformed()
        if header.lower() == b"content-disposition":
            _, options = parse_options_header(value)
            if name := options.get(b"name"):
                filename = options.get(b"filename", b"")
                return name.decode(errors="replace"), filename.decode(errors="replace")
    raise _malformed()


def _find(body: bytes, wanted: bytes, start: int, end: int) -> int:
    found = body.find(wanted, start, end)
    if found < 0:
        raise _malformed()
    return found


def _malformed() -> Problem:
    return Problem("invalid_request", "The multipart/form-data body is malformed.")


def _too_large(what: str, limit: int) -> Problem:
    return Problem("upload_too_large", f"Send a {what} of at most {limit} bytes.")
