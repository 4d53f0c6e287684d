"""An outage is a line a second, whatever the number of requests that it fails."""

from __future__ import annotations

import logging
import time

import pytest

from gateway.observability.throttle import Throttle


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


def record(
    level: int, code: str | None = None, text: str = "%s", error: bool = False
) -> logging.LogRecord:
    exception = (ValueError, ValueError(), None) if error else None
    made = logging.LogRecord("gateway.requests", level, "", 0, text, ("x",), exception)
    made.code = code
    return made


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    return clock


def test_of_one_trouble_a_line_a_second(clock: Clock) -> None:
    throttle = Throttle()
    written = []
    for _ in range(5 * 64):  # five seconds of 64 a second
        line = record(logging.WARNING, "backend_unavailable")
        if throttle.filter(line):
            written.append(line.left_out)
        clock.now += 1 / 64
    assert written == [None, 63, 63, 63, 63]


@pytest.mark.usefixtures("clock")
def test_another_trouble_has_lines_of_its_own() -> None:
    throttle = Throttle()
    lines = [
        record(logging.WARNING, "backend_unavailable"),
        record(logging.WARNING, "overloaded"),
        record(logging.ERROR, text="Triton: %s"),
        record(logging.WARNING, "overloaded"),
    ]
    assert [throttle.filter(line) for line in lines] == [True, True, True, False]


@pytest.mark.usefixtures("clock")
def test_what_is_no_trouble_and_every_traceback_are_written() -> None:
    throttle = Throttle()
    for _ in range(3):
        assert throttle.filter(record(logging.INFO))
        assert throttle.filter(record(logging.ERROR, error=True))
