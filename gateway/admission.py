"""Bounds what a worker takes on: beyond it a request is refused at once instead of queued."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from gateway.http.problems import Problem
from gateway.observability.metrics import IN_FLIGHT

Result = TypeVar("Result")


class Admission:
    """Counts images in work and upload bytes held, against their limits."""

    def __init__(self, max_in_flight: int, max_held_bytes: int) -> None:
        self.max_in_flight = max_in_flight
        self.max_held_bytes = max_held_bytes
        self.in_flight = 0
        self.held_bytes = 0

    @contextmanager
    def admit(self, *, declared_bytes: int = 0) -> Iterator[Room]:
        """Give a request room while the block runs, and while its work goes on.

        Bytes that are only declared are not held: a few clients that announce large uploads and
        send them slowly would keep everybody else out.

        Raises:
            Problem: `overloaded`, there is no room now.
        """
        if (
            self.in_flight >= self.max_in_flight
            or self.held_bytes + declared_bytes > self.max_held_bytes
        ):
            raise _overloaded()
        room = Room(self)
        try:
            yield room
        finally:
            room.leave()


class Room:
    """What one admitted request holds: of images and of upload bytes.

    It is given back when the last of its users leaves: the request itself, or work that goes on
    after the request was answered, because a decoder or Triton cannot be stopped.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._users = 1
        self._images = 0
        self._held_bytes = 0

    def hold(self, received: int) -> None:
        """Hold so many more bytes.

        Raises:
            Problem: `overloaded`, there is no room for them now.
        """
        if self._admission.held_bytes + received > self._admission.max_held_bytes:
            raise _overloaded()
        self._admission.held_bytes += received
        self._held_bytes += received

    def take(self, images: int) -> None:
        """Hold so many more images.

        Raises:
            Problem: `overloaded`, there is no room for them now.
        """
        if self._admission.in_flight + images > self._admission.max_in_flight:
            raise _overloaded()
        self._admission.in_flight += images
        self._images += images
        IN_FLIGHT.inc(images)

    def until(self, work: asyncio.Future[Result]) -> asyncio.Future[Result]:
        """Stay held at least until the work, which is returned, has ended."""
        self._users += 1
        work.add_done_callback(self.leave)
        return work

    def leave(self, _: object = None) -> None:
        """One user less."""
        self._users -= 1
        if self._users == 0:
            self._admission.in_flight -= self._images
            self._admission.held_bytes -= self._held_bytes
            IN_FLIGHT.dec(self._images)


def _overloaded() -> Problem:
    return Problem("overloaded", "The service is busy: try again shortly.", retry_after=1)
