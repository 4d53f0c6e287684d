"""POSIX shared memory by name: reserved in full, and removed when its owner was killed.

A worker holds a lock on each block that it made, until its mapping of it goes: with the process at
the latest. Process ids would not tell who lives, as they repeat between containers.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import secrets
from contextlib import suppress
from pathlib import Path

DIRECTORY = Path("/dev/shm")  # noqa: S108  (where POSIX shared memory lives on Linux)
PREFIX = "iqa-gateway-"


def new_key() -> str:
    """A name that nobody has."""
    return f"/{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"


def reserve(key: str, size: int) -> mmap.mmap:
    """Make and map a block of that name.

    Raises:
        OSError: there is not that much shared memory left.
    """
    path = _path(key)
    descriptor = create_locked(path)  # until the mapping, which keeps the file open, goes
    try:
        # Reserved at once: a page that the file system cannot provide later would be a SIGBUS.
        os.posix_fallocate(descriptor, 0, size)
        return mmap.mmap(descriptor, size)
    except OSError:
        path.unlink()
        raise
    finally:
        os.close(descriptor)


def create_locked(path: Path) -> int:
    """Create and open a file that has a lock for as long as it is open.

    Another process that looks for leftovers may take it for one before it is locked, and remove its
    name: then it is made again.
    """
    while True:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)


def exists(key: str) -> bool:
    """Whether there is a block of that name."""
    return _path(key).exists()


def unlink(key: str) -> None:
    """Remove the name; the memory goes when the last process that maps it lets go."""
    _path(key).unlink(missing_ok=True)


def remove_leftovers() -> None:
    """Unlink the blocks of workers that were killed before they could."""
    for path in DIRECTORY.glob(f"{PREFIX}*"):
        with suppress(OSError), path.open("rb") as file:  # gone, locked, or another user's
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def _path(key: str) -> Path:
    return DIRECTORY / key[1:]
