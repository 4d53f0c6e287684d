"""Bounds what a worker takes on: beyond it a request is refused at once instead of queued."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.problems import Problem
from gateway.telemetry import IN_FLIGHT


class Admission:
    """Counts images in work and upload bytes held, against their limits."""

    def __init__(self, max_in_flight: int, max_held_bytes: int) -> None:
        self.max_in_flight = max_in_flight
        self.max_held_bytes = max_held_bytes
        self.in_flight = 0
        self.held_bytes = 0

    @contextmanager
    def admit(self, *, images: int = 0, held_bytes: int = 0) -> Iterator[None]:
        """Hold room for `images` and `held_bytes` while the block runs.

        Raises:
            Problem: `overloaded`, there is no room now.
        """
        if (
            self.in_flight + images > self.max_in_flight
            or self.held_bytes + held_bytes > self.max_held_bytes
        ):
            raise Problem("overloaded", "The service is busy: try again shortly.", retry_after=1)
        self._hold(images, held_bytes)
        try:
            yield
        finally:
            self._hold(-images, -held_bytes)

    def _hold(self, images: int, held_bytes: int) -> None:
        self.in_flight += images
        self.held_bytes += held_bytes
        IN_FLIGHT.inc(images)


class Deadline:
    """The moment by which a request must be answered."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left.

        Raises:
            Problem: `deadline_exceeded`, none are.
        """
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise self.exceeded()
        return seconds

    @staticmethod
    def exceeded() -> Problem:
        """The problem that a late request is answered with."""
        return Problem(
            "deadline_exceeded", "The answer took too long: try again, or allow more time."
        )
