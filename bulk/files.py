"""Writes a file so that nobody ever sees a part of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from fsspec.implementations.local import LocalFileSystem

from bulk.listing import filesystem


@contextmanager
def open_whole(url: str) -> Iterator[IO[bytes]]:
    """A file that appears under its name with all its content, or, after an error, not at all.

    On a disk it has another name, which begins with a dot, until it is written; a store shows an
    upload only when it is complete.

    Args:
        url: path or URL; folders on the way to it are made.
    """
    files, name = filesystem(url)
    if not isinstance(files, LocalFileSystem):
        file = files.open(name, "wb")
        try:
            yield file
        except BaseException:
            file.discard()
            file.closed = True  # else it would try again to close when it is collected
            raise
        file.close()
        return
    folder, base = os.path.split(name)
    os.makedirs(folder, exist_ok=True)
    temporary = os.path.join(folder, f".{base}.partial")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, name)
    except BaseException:
        os.unlink(temporary)
        raise
