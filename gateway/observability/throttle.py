"""Keeps an outage from filling the log: of each kind of trouble a line a second."""

from __future__ import annotations

import logging
import time
from collections import Counter

INTERVAL = 1.0  # seconds
Kind = tuple[str, str]


class Throttle(logging.Filter):
    """Lets the first line of a kind pass, and the next after a second, with the number in between.

    Of one kind are warnings and errors of one logger with one problem code, or else one format; a
    line with a traceback is always let through.
    """

    def __init__(self) -> None:
        super().__init__()
        self._passed: dict[Kind, float] = {}
        self._held: Counter[Kind] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written; `left_out` of it are those since the last that was."""
        if record.levelno < logging.WARNING or record.exc_info:
            return True
        kind = (record.name, str(getattr(record, "code", None) or record.msg))
        now = time.monotonic()
        if now - self._passed.get(kind, -INTERVAL) < INTERVAL:
            self._held[kind] += 1
            return False
        self._passed[kind] = now
        record.left_out = self._held.pop(kind, None)
        return True
