"""A child that dies is started again, later each time; one that is to end may end by itself."""

from __future__ import annotations

import re
import subprocess
import sys
import time

import pytest

from launcher import child
from launcher.child import CALM, Child
from launcher.processes import is_living

NOTHING = re.compile("(?!)")


class Clock:
    """Stands for `time`, so that minutes take no time."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, _: float) -> None:
        time.sleep(0.001)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(child, "time", clock)
    return clock


def make(code: str) -> Child:
    return Child("it", [sys.executable, "-c", code], {}, echo=NOTHING)


def wait_for_end(it: Child) -> None:
    while it.is_alive():
        time.sleep(0.01)


def seconds_until_restart(it: Child, clock: Clock) -> float:
    """How long after its death it is started again, to a tenth of a second."""
    wait_for_end(it)
    died = clock.now
    while not it.restart_when_due():
        clock.now += 0.125
        assert clock.now < died + 60
    return clock.now - died


def test_who_dies_at_once_is_started_later_and_later(clock: Clock) -> None:
    it = make("pass")
    it.start()
    assert [seconds_until_restart(it, clock) for _ in range(7)] == [0.125, 0.25, 0.5, 1, 2, 4, 4]


def test_who_lived_long_is_started_soon_again(clock: Clock) -> None:
    it = make("pass")
    it.start()
    for _ in range(4):
        seconds_until_restart(it, clock)
    wait_for_end(it)
    clock.now += CALM + 1
    assert seconds_until_restart(it, clock) == 0.125


def test_who_lives_is_left_alone() -> None:
    it = make("import time; time.sleep(100)")
    assert not it.is_alive()
    it.start()
    try:
        pid = it.pid
        assert not it.restart_when_due()
        assert it.is_alive()
        assert it.pid == pid
    finally:
        it.kill()
    assert not it.is_alive()


STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: print("heard", flush=True))
print("started", flush=True)
while True:
    time.sleep(1)
"""


def test_waiting_is_over_when_enough_was_said() -> None:
    it = make(STUBBORN)
    it.start()
    it.wait(60, enough=re.compile("started"))
    it.terminate()
    it.wait(60, enough=re.compile("heard"))
    assert it.is_alive()
    it.kill()


def test_who_does_not_end_is_killed(clock: Clock) -> None:
    it = make(STUBBORN)
    it.start()
    while "started" not in it.log:
        time.sleep(0.01)
    it.terminate()
    clock.sleep = lambda seconds: setattr(clock, "now", clock.now + seconds)
    it.wait(30)
    assert not it.is_alive()
    assert clock.now == pytest.approx(1030, abs=1)


PARENT = """
import re, sys, time
from launcher.child import Child
it = Child("it", [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(100)"],
           {}, echo=re.compile("(?!)"))
it.start()
it.wait(60, enough=re.compile("up"))
print(it.pid, flush=True)
time.sleep(100)
"""


def test_who_loses_its_parent_dies_at_once() -> None:
    """By the kernel's hand: no process of the launcher's is left to see to it."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert is_living(pid)
        parent.kill()
    end = time.monotonic() + 10
    while is_living(pid):
        assert time.monotonic() < end
        time.sleep(0.01)
