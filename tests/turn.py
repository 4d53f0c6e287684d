"""Servers start one at a time, though several processes run tests.

While it starts, a Triton that gets too little of the machine takes its models' processes for dead.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def turn_to_start() -> Iterator[None]:
    """Nobody else's server starts while the block runs."""
    with Path(__file__).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
