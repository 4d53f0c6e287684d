"""Notices a Triton that lives but cannot score, and kills it, so that it is started again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from launcher.child import Child

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
        now = time.monotonic()
        if now - self._asked > INTERVAL:
            self._asked = now
            if self._is_ready():
                self._answered, self._stubs = now, self._living_stubs()
        if not self._stubs <= self._living_stubs():
            self._kill("lost a model's process")
        elif now - self._answered > PATIENCE:
            self._kill("does not answer")

    def _kill(self, reason: str) -> None:
        logger.warning("Triton %s: killed", reason)
        self._triton.kill()

    def _living_stubs(self) -> set[int]:
        try:
            children = Path(f"/proc/{self._triton.pid}/task").glob("*/children")
            pids = {int(pid) for file in children for pid in file.read_text().split()}
            # Triton does not reap a child that died: it stays as a zombie.
            return {pid for pid in pids if _process_state(pid) != "Z"}
        except OSError:
            return set()


def _process_state(pid: int) -> str:
    """The letter that proc(5) gives for it."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
