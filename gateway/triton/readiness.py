"""Whether scores come out of every model now: from an inference of somebody's, or from a probe.

A model that finishes what it is asked is alive, however long its queue. Only where nothing has been
finished lately a probe is sent, which waits for nobody: it needs no slot, and Triton puts it before
everything else in the queue.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress

import grpc
import numpy as np

from gateway.http.problems import Problem
from gateway.triton.client import TritonClient
from gateway.triton.messages import Tensor
from gateway.triton.slots import Region
from iqa.metric import Metric

TIMEOUT = 2.0  # seconds in which a model has to finish something
MEMORY = 0.5  # seconds for which an answer holds, so that asking cannot load the models
LOOK = 0.1  # seconds between looks at what a model has finished for others


class Readiness:
    """Asks after every model; for one event loop."""

    def __init__(self, triton: TritonClient, metrics: Sequence[Metric]) -> None:
        self._triton = triton
        self._metrics = metrics
        self._asking: asyncio.Future[list[str]] | None = None
        self._asked = -np.inf

    async def silent_models(self) -> list[str]:
        """Names of the models that finish nothing; empty when the service is ready."""
        if self._asking is None or (
            self._asking.done() and time.monotonic() > self._asked + MEMORY
        ):
            self._asking = asyncio.ensure_future(self._ask_all())
        return await asyncio.shield(self._asking)

    async def _ask_all(self) -> list[str]:
        alive = await asyncio.gather(*map(self._is_alive, self._metrics))
        self._asked = time.monotonic()
        return [metric.name for metric, well in zip(self._metrics, alive, strict=True) if not well]

    async def _is_alive(self, metric: Metric) -> bool:
        if time.monotonic() - self._triton.answered.get(metric.name, -np.inf) < MEMORY:
            return True
        signs = [
            asyncio.ensure_future(sign) for sign in (self._probe(metric), self._watch(metric.name))
        ]
        try:
            async with asyncio.timeout(TIMEOUT):
                for sign in asyncio.as_completed(signs):
                    with suppress(Problem, grpc.RpcError):
                        await sign
                        return True
        except TimeoutError:
            pass
        finally:
            for sign in signs:
                sign.cancel()  # no harm: nothing but the same noise ever lies in a probe's memory
        return False

    async def _probe(self, metric: Metric) -> None:
        """Have a small noisy picture scored.

        Raises:
            Problem: there is no score.
        """
        shape = (1, metric.minimum_side, metric.minimum_side, 1)
        picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        slot = await Region(picture.size, shared=False).slot(picture.size)
        slot.memory[: picture.size] = picture.ravel()
        tensors = [Tensor(name, shape, 0) for name in metric.inputs]
        await self._triton.infer(metric.name, tensors, slot, timeout=TIMEOUT, is_urgent=True)

    async def _watch(self, model: str) -> None:
        """Return when the model has finished an inference for anybody.

        Raises:
            grpc.RpcError: Triton does not say.
        """
        since = time.time() - MEMORY
        while await self._triton.last_finished(model, TIMEOUT) < since:
            await asyncio.sleep(LOOK)
