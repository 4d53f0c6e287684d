"""Requests whose bodies are no proper forms, each with the code that it gets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

BOUNDARY = "hostile-boundary"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


@dataclass(frozen=True)
class Body:
    """One request to the route that takes a single image.

    Attributes:
        name: what is odd about it.
        content: the body.
        code: of the problem; None: the picture in it gets its score.
        content_type: of the request.
    """

    name: str
    content: bytes
    code: str | None
    content_type: str = FORM


def part(data: bytes, *headers: str, name: str = "image") -> bytes:
    """One part of a form, with more headers before its own."""
    own = f'Content-Disposition: form-data; name="{name}"; filename="a"'
    lines = "\r\n".join([*headers, own])
    return f"--{BOUNDARY}\r\n{lines}\r\n\r\n".encode() + data + b"\r\n"


def form(*parts: bytes) -> bytes:
    """A whole body."""
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def bodies(picture: bytes) -> Iterator[Body]:
    """All of them, around a good picture."""
    whole, bad = part(picture), "invalid_request"
    yield Body("a proper form", form(whole), None)
    yield Body("10,000 parts", form(*[part(b"x")] * 10_000), bad)
    yield Body("10,000 empty fields of other names", form(*[part(b"", name="a")] * 10_000), bad)
    yield Body("10,000 header lines", form(part(picture, *["A: b"] * 10_000)), bad)
    yield Body("one header line of 100 kB", form(part(picture, "A: " + "b" * 100_000)), bad)
    yield Body("headers that never end", f"--{BOUNDARY}\r\n".encode() + b"A: b\r\n" * 100_000, bad)
    yield Body(
        "36 MB of headers",
        f"--{BOUNDARY}\r\n".encode() + b"A: b\r\n" * 6_000_000,
        bad,
    )
    inner = form(whole).replace(BOUNDARY.encode(), b"inner")
    nested = part(inner, "Content-Type: multipart/mixed; boundary=inner")
    yield Body("a form in a form", form(nested), "unsupported_format")
    for depth in (10, 1000):
        nested = whole
        for _ in range(depth):
            nested = part(nested, f"Content-Type: {FORM}")
        yield Body(f"forms in forms, {depth} deep, of one boundary", form(nested), bad)

    for content_type in (
        *(
            "",
            ";",
            "\xff",
            "application/json",
            "image/png",
            f"multipart/mixed; boundary={BOUNDARY}",
        ),
        *("multipart/form-data", "multipart/form-data; charset=utf-8"),
        *("multipart/form-data; boundary=", 'multipart/form-data; boundary=""'),
        *("multipart/form-data; boundary=another", "multipart/form-data; boundary*0*=a"),
        "multipart/form-data; boundary*=utf-8''%FF",
    ):
        yield Body(f"content type {content_type!r}", form(whole), bad, content_type)
    quoted = f'MULTIPART/Form-Data; charset=utf-8; boundary="{BOUNDARY}"'
    yield Body("boundary in quotes", form(whole), None, quoted)

    yield Body("nothing", b"", bad)
    yield Body("no part", form(), bad)
    yield Body("no end", whole, bad)
    yield Body("no end of the headers", form(whole).replace(b"\r\n\r\n", b"\r\n", 1), bad)
    yield Body("line feeds alone", form(whole).replace(b"\r\n", b"\n"), bad)
    yield Body("no headers", f"--{BOUNDARY}\r\n\r\n".encode() + picture, bad)
    yield Body("the picture alone", picture, bad)
    yield Body("the field twice", form(whole, whole), bad)
    yield Body("another field", form(whole, part(picture, name="more")), bad)
    yield Body("a field without a name", form(whole.replace(b'name="image"; ', b"")), bad)
    yield Body("a field of a huge name", form(part(picture, name="a" * 10_000)), bad)
    yield Body("a name of odd bytes", form(whole.replace(b'"image"', b'"\xff\0\r"')), bad)
    yield Body("text in front and behind", b"a\r\n" + form(whole) + b"b" * 1000, None)
    encoded = part(b"aGVsbG8=", "Content-Transfer-Encoding: base64")
    yield Body("base64", form(encoded), "unsupported_format")
    for filename in (b"", b"../../etc/passwd", b"\xff\xfe\0", b'a\\"b', b"a" * 3000, b"%s%n$(id)"):
        named = whole.replace(b'filename="a"', b'filename="' + filename + b'"')
        yield Body(f"file name {filename[:20]!r}", form(named), None)
