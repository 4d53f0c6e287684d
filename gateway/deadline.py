"""The moment by which a request must be answered; at the latest when its client hangs up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from starlette.requests import ClientDisconnect

from gateway.http.problems import Problem

HUNG_UP = "hung_up"  # in the state of a request whose client left before the answer


class Deadline:
    """When the client of a request stops waiting."""

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

    @asynccontextmanager
    async def enforced(self) -> AsyncIterator[None]:
        """Cancel what the block waits for once the deadline passes.

        Raises:
            Problem: `deadline_exceeded`, it did.
        """
        try:
            async with asyncio.timeout(self.remaining()):
                yield
        except TimeoutError:
            raise self.exceeded() from None

    @staticmethod
    def exceeded() -> Problem:
        """The problem that a late request is answered with."""
        return Problem(
            "deadline_exceeded", "The answer took too long: try again, or allow more time."
        )
