"""Every odd body gets its code from the running service; so do those that never end."""

from __future__ import annotations

import http.client
import select
import socket
from collections.abc import Iterator

import httpx
import pytest

from gateway.http.protocol import HEADER_BYTES
from tests.conftest import RunningService
from tests.hostile.bodies import FORM, Body, bodies, form, part
from tests.hostile.corpus import Entry, grey
from tests.hostile.files import encoded
from tests.hostile.test_files import BRISQUE, answer_of, expected

PICTURE = encoded(grey(), "PNG")
BODIES = list(bodies(PICTURE))


@pytest.fixture(scope="module")
def score() -> float:
    answer = expected(Entry("", PICTURE, grey()))
    assert isinstance(answer, float)
    return answer


@pytest.mark.parametrize("body", BODIES, ids=[body.name for body in BODIES])
@pytest.mark.parametrize("chunked", [False, True], ids=["whole", "chunked"])
def test_an_odd_body_gets_its_code(
    service: RunningService, score: float, body: Body, chunked: bool
) -> None:
    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body.content), 50_000):
            yield body.content[start : start + 50_000]

    answer = httpx.post(
        service.url + BRISQUE,
        content=pieces() if chunked else body.content,
        headers={"Content-Type": body.content_type.encode("latin-1")},
        timeout=60,
    )
    assert answer_of(answer) == (body.code or score)


@pytest.mark.parametrize(
    ("headers", "start", "more"),
    [
        ("Transfer-Encoding: chunked", b"5\r\nhello\r\n", b""),
        ("Transfer-Encoding: chunked", b"5\r\nhello\r\n", b"1\r\na\r\n"),
        ("Transfer-Encoding: chunked", b"ffffffff\r\n", b"a"),
        ("Content-Length: 1000000", b"hello", b""),
        ("Content-Length: 1000000", b"hello", b"a"),
    ],
    ids=["chunks stop", "chunks go on", "one chunk goes on", "body stops", "body goes on"],
)
def test_a_body_without_an_end_is_answered_in_time(
    service: RunningService, headers: str, start: bytes, more: bytes
) -> None:
    answer = talk(service, f"{headers}\r\nX-Request-Timeout: 1", start, more)
    assert answer.startswith(b"HTTP/1.1 504 ")
    assert b'"code":"deadline_exceeded"' in answer


@pytest.mark.parametrize(
    ("headers", "start"),
    [
        ("Transfer-Encoding: chunked", b"no number\r\n"),
        ("Transfer-Encoding: chunked", b"fffffffffffffffffffff\r\n"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5", b"0\r\n\r\n"),
        ("Content-Length: -5", b"hello"),
        ("Content-Length: 5\r\nContent-Length: 6", b"hello!"),
        ("Content-Length: 99999999999999999999999", b"hello"),
    ],
)
def test_a_body_of_no_length_is_refused(
    service: RunningService, headers: str, start: bytes
) -> None:
    assert talk(service, headers, start, b"").startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\nA: ", b"GET / HTTP/1.1\r\n"])
def test_headers_without_an_end_are_refused(service: RunningService, start: bytes) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        # One byte too many: what the service had not read would make it reset the connection.
        connection.sendall((start + b"A: b\r\n" * HEADER_BYTES)[: HEADER_BYTES + 1])
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 400 ")


def test_the_service_still_scores(service: RunningService, score: float) -> None:
    answer = httpx.post(
        service.url + BRISQUE, content=form(part(PICTURE)), headers={"Content-Type": FORM}
    )
    assert answer_of(answer) == score


def talk(service: RunningService, headers: str, start: bytes, more: bytes) -> bytes:
    """Send a request, and `more` again and again until there is an answer."""
    host, port = service.url.removeprefix("http://").split(":")
    head = f"POST {BRISQUE} HTTP/1.1\r\nHost: service\r\nContent-Type: {FORM}\r\n{headers}\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(head.encode() + start)
        while not select.select([connection], [], [], 0.05)[0]:
            connection.sendall(more)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return f"HTTP/1.1 {answer.status} ".encode() + answer.read()
