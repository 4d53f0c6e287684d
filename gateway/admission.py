"""Bounds what a worker takes on: beyond it a request is refused at once instead of queued.

Work is counted in pixels, as decoding and scoring take time in proportion to them.
"""

from __future__ import annotations

import asyncio
import math
from typing import TypeVar

from gateway.http.problems import Problem
from gateway.observability.metrics import IN_FLIGHT, MEGAPIXELS

Result = TypeVar("Result")

ALONE = 2  # times the limit a batch may count; it is let in where nothing else is in work
SPEED = 80_000_000  # pixels that a worker with a core decodes (JPEG) and scores in a second, about


class Admission:
    """Counts pixels in work and upload bytes held, against their limits."""

    def __init__(self, max_megapixels: int, max_held_bytes: int) -> None:
        self.max_pixels = max_megapixels * 1_000_000
        self.max_held_bytes = max_held_bytes
        self.pixels = 0
        self.held_bytes = 0

    def admit(self, *, declared_bytes: int = 0) -> Room:
        """Give a request room while a `with` block runs, and while its work goes on.

        Bytes that are only declared are not held: a few clients that announce large uploads and
        send them slowly would keep everybody else out.

        Raises:
            Problem: `overloaded`, there is no room now.
        """
        if self.pixels >= self.max_pixels or self.held_bytes + declared_bytes > self.max_held_bytes:
            raise self.overloaded()
        return Room(self)

    def overloaded(self) -> Problem:
        """The refusal of what there is no room for until about half of the work is done."""
        seconds = math.ceil(self.pixels / 2 / SPEED)
        return Problem(
            "overloaded", "The service is busy: try again shortly.", retry_after=max(1, seconds)
        )


class Room:
    """What one admitted request holds: of work and of upload bytes.

    It is given back when the last of its users leaves: the request itself, or work that goes on
    after the request was answered, because a decoder or Triton cannot be stopped.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._users = 1
        self._images = 0
        self._pixels = 0
        self._held_bytes = 0

    def __enter__(self) -> Room:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def hold(self, received: int) -> None:
        """Hold so many more bytes.

        Raises:
            Problem: `overloaded`, there is no room for them now.
        """
        if self._admission.held_bytes + received > self._admission.max_held_bytes:
            raise self._admission.overloaded()
        self._admission.held_bytes += received
        self._held_bytes += received

    def take(self, images: int, pixels: int) -> None:
        """Hold the work on so many images or pairs.

        What is more than the limit is let in where nothing else is in work: a single one, whatever
        its size, and a batch of up to `ALONE` times the limit.

        Raises:
            Problem: `overloaded`, there is no room for them now; `too_many_pixels`, there never is.
        """
        most = self._admission.max_pixels
        if images > 1 and pixels > ALONE * most:
            raise Problem(
                "too_many_pixels",
                f"Send smaller batches: this one counts as {pixels / 1e6:.0f} megapixels, and at "
                f"most {ALONE * most / 1e6:.0f} are taken ({ALONE} times IQA_MAX_MEGAPIXELS).",
            )
        pixels = min(pixels, most)
        if self._admission.pixels + pixels > most:
            raise self._admission.overloaded()
        self._admission.pixels += pixels
        self._pixels += pixels
        self._images += images
        IN_FLIGHT.inc(images)
        MEGAPIXELS.inc(pixels / 1e6)

    def until(self, work: asyncio.Future[Result]) -> asyncio.Future[Result]:
        """Stay held at least until the work, which is returned, has ended."""
        self._users += 1
        work.add_done_callback(self.leave)
        return work

    def leave(self, _: object = None) -> None:
        """One user less."""
        self._users -= 1
        if self._users == 0:
            self._admission.pixels -= self._pixels
            self._admission.held_bytes -= self._held_bytes
            IN_FLIGHT.dec(self._images)
            MEGAPIXELS.dec(self._pixels / 1e6)
