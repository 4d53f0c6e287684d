"""Who is being served when the launcher is told to stop: until when, and whatever is told again.

No Triton is needed: a request whose upload is half done is in work, and gets an answer, be it 503.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import RunningService, launch

pytestmark = pytest.mark.server

BODY = b"--b\r\nContent-Disposition: form-data; name=image; filename=a.png\r\n\r\nx\r\n--b--\r\n"
HEAD = (
    "POST /api/v1/iqa/nr/brisque/ HTTP/1.1\r\nHost: test\r\n"
    f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(BODY)}\r\n\r\n"
).encode()


@contextmanager
def half_uploaded(folder: Path, *options: str) -> Iterator[tuple[RunningService, socket.socket]]:
    """A gateway without a Triton, and the connection of a request that has not ended."""
    patience = {"IQA_REQUEST_TIMEOUT": "100"}
    service = launch(
        folder / "log", "--workers=1", "--triton-url=127.0.0.1:9", *options, **patience
    )
    try:
        host, port = service.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(HEAD + BODY[:20])
            # Answered after it by the same worker, so that the worker has seen it.
            with socket.create_connection((host, int(port)), timeout=60) as probe:
                probe.sendall(b"GET /healthz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
                assert b"alive" in read(probe)
            yield service, connection
    finally:
        service.process.kill()
        service.process.wait()


def read(connection: socket.socket) -> bytes:
    """What comes until the other side closes."""
    received = b""
    while part := connection.recv(4096):
        received += part
    return received


def wait_until_nobody_new_is_served(service: RunningService) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    end = time.monotonic() + 60
    while True:
        try:
            with socket.create_connection((host, int(port)), timeout=60) as probe:
                probe.sendall(b"GET /healthz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
                if not read(probe):
                    return
        except OSError:
            return
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("again", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_does_not_interrupt_the_draining(
    tmp_path: Path, again: signal.Signals
) -> None:
    with half_uploaded(tmp_path) as (service, connection):
        service.process.send_signal(signal.SIGINT)
        wait_until_nobody_new_is_served(service)
        service.process.send_signal(again)
        with pytest.raises(subprocess.TimeoutExpired):
            service.process.wait(3)
        connection.sendall(BODY[20:])
        assert read(connection).startswith(b"HTTP/1.1 ")
        assert service.process.wait(60) == 0
    assert service.log.read_text().count("Stopping") == 1


def test_draining_takes_as_long_as_was_said(tmp_path: Path) -> None:
    with half_uploaded(tmp_path, "--drain-seconds=1") as (service, connection):
        start = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        head, _, body = read(connection).partition(b"\r\n\r\n")
        assert service.process.wait(60) == 0
        # The default is 30, an upload may take 100.
        assert time.monotonic() - start < 20
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"application/problem+json" in head
    assert json.loads(body)["code"] == "backend_unavailable"
    assert "Traceback" not in service.log.read_text()


def test_a_triton_that_is_not_there_yet_is_told_and_waited_for(tmp_path: Path) -> None:
    with half_uploaded(tmp_path) as (service, _):
        assert "Triton at 127.0.0.1:9 does not answer yet." in service.log.read_text()
        assert service.process.poll() is None
