"""Bounds what a worker takes on: beyond it a request is refused at once instead of queued."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from starlette.requests import ClientDisconnect

from gateway.http.problems import Problem
from gateway.observability.telemetry import IN_FLIGHT

HUNG_UP = "hung_up"  # in the state of a request whose client left before the answer


class Admission:
    """Counts images in work and upload bytes held, against their limits."""

    def __init__(self, max_in_flight: int, max_held_bytes: int) -> None:
        self.max_in_flight = max_in_flight
        self.max_held_bytes = max_held_bytes
        self.in_flight = 0
        self.held_bytes = 0

    @contextmanager
    def admit(self, *, images: int = 0, declared_bytes: int = 0) -> Iterator[Room]:
        """Hold room for `images` while the block runs, and for bytes as they come.

        Bytes that are only declared are not held: a few clients that announce large uploads and
        send them slowly would keep everybody else out.

        Raises:
            Problem: `overloaded`, there is no room now.
        """
        if (
            self.in_flight + images > self.max_in_flight
            or self.held_bytes + declared_bytes > self.max_held_bytes
        ):
            raise _overloaded()
        room = Room(self)
        self._hold(images, 0)
        try:
            yield room
        finally:
            self._hold(-images, -room.held_bytes)

    def hold_late(self, work: asyncio.Future[Any], held_bytes: int) -> None:
        """Hold room for an image whose work goes on after its request was answered."""

        def release(late: asyncio.Future[Any]) -> None:
            late.exception()  # nobody is left to tell
            self._hold(-1, -held_bytes)

        self._hold(1, held_bytes)
        work.add_done_callback(release)

    def _hold(self, images: int, held_bytes: int) -> None:
        self.in_flight += images
        self.held_bytes += held_bytes
        IN_FLIGHT.inc(images)


class Room:
    """What one admitted request holds.

    Attributes:
        held_bytes: of its upload.
    """

    def __init__(self, admission: Admission) -> None:
        self.held_bytes = 0
        self._admission = admission

    def hold(self, received: int) -> None:
        """Hold so many more bytes.

        Raises:
            Problem: `overloaded`, there is no room for them now.
        """
        if self._admission.held_bytes + received > self._admission.max_held_bytes:
            raise _overloaded()
        self._admission.held_bytes += received
        self.held_bytes += received


class Deadline:
    """The moment by which a request must be answered; at the latest when its client hangs up."""

    def __init__(self, seconds: float, state: Mapping[str, Any]) -> None:
        """Start the clock; `state` is the request's."""
        self._end = time.monotonic() + seconds
        self._state = state

    @property
    def seconds_left(self) -> float:
        """Zero or less once the deadline has passed."""
        return self._end - time.monotonic()

    def remaining(self) -> float:
        """Seconds left.

        Raises:
            Problem: `deadline_exceeded`, none are.
            ClientDisconnect: nobody waits for the answer.
        """
        if HUNG_UP in self._state:
            raise ClientDisconnect
        seconds = self.seconds_left
        if seconds <= 0:
            raise self.exceeded()
        return seconds

    @staticmethod
    def exceeded() -> Problem:
        """The problem that a late request is answered with."""
        return Problem(
            "deadline_exceeded", "The answer took too long: try again, or allow more time."
        )


def _overloaded() -> Problem:
    return Problem("overloaded", "The service is busy: try again shortly.", retry_after=1)
