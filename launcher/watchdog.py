"""Notices a Triton that lives but cannot score, and kills it, so that it is started again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from launcher.child import Child
from launcher.processes import children, is_living

logger = logging.getLogger(__name__)

INTERVAL = 1  # seconds between questions
PATIENCE = 20  # seconds that the models may be silent


class Watchdog:
    """Watches one tritonserver, whose models each run in a process of their own, its stub."""

    def __init__(self, triton: Child, is_ready: Callable[[], bool]) -> None:
        self._triton = triton
        self._is_ready = is_ready
        self.reset()

    def reset(self) -> None:
        """Forget what was seen: Triton has just been started."""
        self._stubs: set[int] = set()
        self._answered = self._asked = time.monotonic()

    def look(self) -> None:
        """Kill Triton if a stub is gone, which Triton 2.51 hides, or if no model answers."""
        if not self._triton.is_alive():
            return
        if not all(map(is_living, self._stubs)):  # before the question, which may take seconds
            self._kill("lost a model's process")
            return
        now = time.monotonic()
        if now - self._asked > INTERVAL:
            self._asked = now
            if self._is_ready():
                self._answered = now
                self._know_stubs()
        if now - self._answered > PATIENCE:
            self._kill("does not answer")

    def _kill(self, reason: str) -> None:
        logger.warning("Triton %s: killed", reason)
        self._triton.kill()

    def _know_stubs(self) -> None:
        """Learn which they are, once; one of a model's may have died before, and another answer."""
        if not self._stubs and self._triton.pid:
            self._stubs, dead = children(self._triton.pid)
            if dead:
                self._kill("lost a model's process")
