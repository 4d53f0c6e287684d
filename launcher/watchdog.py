"""Notices a Triton that lives but finishes nothing, and kills it, so that it is started again."""

from __future__ import annotations

import logging
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from http.client import HTTPException

from prometheus_client.parser import text_string_to_metric_families

from launcher.child import Child
from launcher.processes import children, is_living

logger = logging.getLogger(__name__)

INTERVAL = 1  # seconds between questions
PATIENCE = 20  # seconds for which a model with work may finish nothing...
START_PATIENCE = 300  # ...and for Triton to answer at all, a compilation of kernels included
TIMEOUT = 5  # seconds for Triton to say what it does
FINISHED, WAITING = "nv_inference_exec_count", "nv_inference_pending_request_count"


class Watchdog:
    """Watches one tritonserver, whose models each run in a process of their own, its stub."""

    def __init__(self, triton: Child, metrics_url: str, is_ready: Callable[[], bool]) -> None:
        """Take what is watched.

        Args:
            triton: its process.
            metrics_url: where it counts what its models do.
            is_ready: whether the gateway gets scores; asking has it send a probe to each model that
                has finished nothing lately, so that one that hangs has work.
        """
        self._triton = triton
        self._metrics_url = metrics_url
        self._is_ready = is_ready
        self.reset()

    def reset(self) -> None:
        """Forget what was seen: Triton has just been started."""
        self._stubs: set[int] = set()
        self._is_up = False
        self._asked = time.monotonic()
        self._finished: Counter[str] = Counter()  # batches, by model
        self._stuck: dict[str, float] = {}  # since when, by model

    def look(self) -> None:
        """Kill Triton if a stub is gone, which Triton 2.51 hides, or if a model is stuck."""
        if not self._triton.is_alive():
            return
        if not all(map(is_living, self._stubs)):  # before the question, which may take seconds
            self._kill("lost a model's process")
            return
        now = time.monotonic()
        if now - self._asked < INTERVAL:
            return
        self._asked = now
        if self._is_ready():
            self._stuck.clear()
            self._is_up = True
            self._know_stubs()
            return
        self._stuck = {model: self._stuck.get(model, now) for model in self._stuck_models()}
        patience = PATIENCE if self._is_up else START_PATIENCE
        if any(now - since > patience for since in self._stuck.values()):
            self._kill("finishes nothing")

    def _stuck_models(self) -> list[str]:
        """Those that have work and have finished none of it since the last question."""
        try:
            finished, waiting = self._counts()
        except (OSError, HTTPException):
            return ["Triton itself"]
        self._is_up = True
        stuck = [m for m, work in waiting.items() if work and finished[m] == self._finished[m]]
        self._finished = finished
        return stuck

    def _counts(self) -> tuple[Counter[str], Counter[str]]:
        """Batches finished and requests waiting, by model.

        Raises:
            OSError, HTTPException: Triton does not answer.
        """
        with urllib.request.urlopen(self._metrics_url, timeout=TIMEOUT) as answer:  # noqa: S310  (our own Triton)
            text = answer.read().decode()
        counts: dict[str, Counter[str]] = {FINISHED: Counter(), WAITING: Counter()}
        for family in text_string_to_metric_families(text):
            for sample in family.samples if family.name in counts else []:
                counts[family.name][sample.labels["model"]] += int(sample.value)
        return counts[FINISHED], counts[WAITING]

    def _kill(self, reason: str) -> None:
        logger.warning("Triton %s: killed", reason)
        self._triton.kill()

    def _know_stubs(self) -> None:
        """Learn which they are, once; one of a model's may have died before, and another answer."""
        if not self._stubs and self._triton.pid:
            self._stubs, dead = children(self._triton.pid)
            if dead:
                self._kill("lost a model's process")
