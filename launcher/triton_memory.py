"""The shared memory between Triton and its models' processes: whose it is, and that it goes."""

from __future__ import annotations

import fcntl
import os
import secrets
from contextlib import suppress

from gateway.triton.shared_memory import DIRECTORY, create_locked

PREFIX = "iqa-triton-"
LOCK = ".lock"


class TritonMemory:
    """What one launcher's Triton has there; a Triton that is killed leaves it behind.

    Attributes:
        prefix: how the names of all of it begin.
    """

    def __init__(self) -> None:
        self._owner = f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        self.prefix = f"{self._owner}-"
        self._lock: int | None = None

    def claim(self) -> None:
        """Mark it as ours for as long as this process lives; remove what dead launchers left."""
        remove_leftovers()
        self._lock = create_locked(DIRECTORY / (self._owner + LOCK))

    def remove(self) -> None:
        """Remove what a Triton that is dead left."""
        _remove(self._owner)

    def release(self) -> None:
        """Remove everything."""
        self.remove()
        if self._lock is not None:
            (DIRECTORY / (self._owner + LOCK)).unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None


def remove_leftovers() -> None:
    """Remove the memory of launchers that were killed.

    A living one holds its lock; process ids would repeat between containers.
    """
    for path in DIRECTORY.glob(f"{PREFIX}*{LOCK}"):
        with suppress(OSError), path.open("rb") as lock:  # gone, locked, or another user's
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(path.name.removesuffix(LOCK))
            path.unlink()


def _remove(owner: str) -> None:
    for path in DIRECTORY.glob(f"{owner}-*"):
        path.unlink(missing_ok=True)
