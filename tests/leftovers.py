"""A file that another process takes for a leftover before its owner has locked it."""

from __future__ import annotations

import fcntl
from collections.abc import Callable

import pytest


def mistaken_once(monkeypatch: pytest.MonkeyPatch, remove_leftovers: Callable[[], None]) -> None:
    """Have leftovers removed before the next lock is taken, as by a process that starts now."""

    def locked_late(descriptor: int, operation: int) -> None:
        monkeypatch.undo()
        remove_leftovers()
        fcntl.flock(descriptor, operation)

    monkeypatch.setattr("gateway.triton.shared_memory.fcntl.flock", locked_late)
