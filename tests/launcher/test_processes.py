"""Children are found whatever the threads of their parent do, and the dead are known for dead."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from launcher.processes import children, is_living

# Two children that nobody reaps, and threads that come and go.
PARENT = """
import subprocess, threading, time
children = [subprocess.Popen(["sleep", "100"]) for _ in range(2)]
print(*(child.pid for child in children), flush=True)
while True:
    for _ in range(20):
        threading.Thread(target=time.sleep, args=(0.01,)).start()
    time.sleep(0.005)
"""


@pytest.fixture
def family() -> Iterator[tuple[int, set[int]]]:
    """A parent and its children."""
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        children = set(map(int, process.stdout.readline().split()))
        try:
            yield process.pid, children
        finally:
            for pid in children:
                os.kill(pid, signal.SIGKILL)
            process.kill()


def test_every_look_finds_all_children(family: tuple[int, set[int]]) -> None:
    parent, expected = family
    for _ in range(500):
        assert children(parent) == (expected, set())


def test_a_dead_child_that_nobody_reaped_does_not_live(family: tuple[int, set[int]]) -> None:
    parent, (victim, survivor) = family
    assert is_living(victim)
    os.kill(victim, signal.SIGKILL)
    end = time.monotonic() + 10
    while is_living(victim):
        assert time.monotonic() < end
    assert children(parent) == ({survivor}, {victim})
    assert is_living(survivor)


def test_who_is_not_there_does_not_live() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert not is_living(process.pid)
    assert children(process.pid) == (set(), set())
