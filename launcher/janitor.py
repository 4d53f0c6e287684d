"""Ends what a launcher started, and removes its shared memory, after the launcher was killed.

A process of its own, as the launcher cannot do it any more: each child dies with the launcher by
itself, but what the child started need not. It reads a pipe that only the launcher has open.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Set
from contextlib import suppress

from gateway.triton import shared_memory
from launcher import triton_memory

PATIENCE = 10.0  # seconds for what was killed to be gone


class Janitor:
    """The launcher's end of the pipe."""

    def __init__(self) -> None:
        self._groups: Set[int] = frozenset()
        self._start()

    def watch(self, groups: Set[int]) -> None:
        """Say which process groups live and have to end with the launcher; to be called often."""
        if self._process.poll() is not None:
            self._start()
        elif groups == self._groups:
            return
        self._groups = groups
        assert self._process.stdin
        with suppress(BrokenPipeError):  # it was killed: the next call starts another one
            print(*groups, file=self._process.stdin, flush=True)

    def dismiss(self) -> None:
        """Let it go; whatever it was last told of is ended."""
        self._process.communicate()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "launcher.janitor"],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the launcher
        )


def main() -> None:
    """Read the pipe until the launcher is gone, however it went; then clean up."""
    groups: list[int] = []
    for line in sys.stdin:
        groups = [int(word) for word in line.split()]
    for group in groups:
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
    end = time.monotonic() + PATIENCE
    while any(map(_lives, groups)) and time.monotonic() < end:
        time.sleep(0.05)
    triton_memory.remove_leftovers()
    shared_memory.remove_leftovers()


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    main()
