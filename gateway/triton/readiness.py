"""Whether the service can score right now, found out by scoring."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import numpy as np

from gateway.triton.client import TritonClient
from gateway.triton.messages import Tensor
from iqa.metric import Metric

PROBE_TIMEOUT = 2  # seconds that a model has to answer
MEMORY = 0.5  # seconds that an answer is reused, so that probes cannot load the models


class Readiness:
    """Asks every model for the score of a small noisy picture."""

    def __init__(self, triton: TritonClient, metrics: Sequence[Metric]) -> None:
        self._triton = triton
        self._metrics = metrics
        self._probe: asyncio.Future[list[str]] | None = None
        self._probed = -np.inf

    async def silent_models(self) -> list[str]:
        """Names of the models that do not answer; empty when the service is ready."""
        if self._probe is None or (self._probe.done() and time.monotonic() > self._probed + MEMORY):
            self._probe = asyncio.ensure_future(self._ask_all())
        return await asyncio.shield(self._probe)

    async def _ask_all(self) -> list[str]:
        answers = await asyncio.gather(*map(self._answers, self._metrics))
        self._probed = time.monotonic()
        asked = zip(self._metrics, answers, strict=True)
        return [metric.name for metric, well in asked if not well]

    async def _answers(self, metric: Metric) -> bool:
        work = asyncio.ensure_future(self._infer(metric))
        done, _ = await asyncio.wait({work}, timeout=PROBE_TIMEOUT)
        if not done:
            work.add_done_callback(lambda late: late.exception())
            return False
        return work.exception() is None

    async def _infer(self, metric: Metric) -> None:
        shape = (1, metric.minimum_side, metric.minimum_side, 1)
        picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        slot = await self._triton.slot(picture.size, PROBE_TIMEOUT)
        try:
            slot.memory[: picture.size] = picture.ravel()
            tensors = [Tensor(name, shape, 0) for name in metric.inputs]
            await self._triton.infer(metric.name, tensors, slot, timeout=PROBE_TIMEOUT)
        finally:
            slot.release()
