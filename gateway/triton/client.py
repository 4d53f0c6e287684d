"""The client of Triton: pixels by shared memory where that works, inside the messages elsewhere.

A slot is free again only once Triton can no longer read it. So a call is never cancelled and has no
deadline on this side (Triton gets the deadline as the request's timeout), and its slot is released
when Triton has answered, or with its whole region when the connection broke.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from tritonclient.grpc import service_pb2 as protocol
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from gateway.deadline import Deadline
from gateway.http.problems import STATUS, Problem, out_of_memory
from gateway.triton.endpoints import is_spread, options, target
from gateway.triton.memory import PixelMemory, Transport
from gateway.triton.messages import Outputs, Tensor, has_map, inference, inline, outputs_of, refer
from gateway.triton.slots import Slot

logger = logging.getLogger(__name__)

INFER = "/inference.GRPCInferenceService/ModelInfer"
CONTROL_TIMEOUT = 5  # seconds, for calls that run no model
BULKY_CALLS = 64  # at once; more wait for a thread

# With these Triton did not answer, unless the words are its own: the connection broke.
UNANSWERED = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN, grpc.StatusCode.CANCELLED}
)


class TritonClient:
    """Runs inferences on uint8 tensors that lie in slots; for one event loop.

    Attributes:
        max_batch_sizes: most images in one request, of each model that was reached.
        answered: when each model last answered an inference of ours, of `time.monotonic`.
    """

    def __init__(
        self,
        url: str,
        transport: Transport,
        *,
        region_bytes: int,
        largest_slot: int,
        key_file: Path | None = None,
    ) -> None:
        """Take what `connect` needs.

        Args:
            url: gRPC address, or several; see `endpoints.target`.
            transport: how pixels travel; several Tritons cannot share memory, "auto" knows that.
            region_bytes: most pixel bytes of small requests on their way at once...
            largest_slot: ...and of large ones.
            key_file: what Triton asks for before it maps memory; see `gateway.triton.key`.

        Raises:
            ValueError: `transport` is "shm" with several Tritons; `url` is malformed.
            OSError: a name in `url` has no address.
        """
        if is_spread(url):
            if transport == "shm":
                raise ValueError("several Tritons cannot share memory: leave IQA_TRANSPORT at auto")
            transport = "grpc"
        self._target, self._options = target(url), options(url)
        self._transport = transport
        self._region_bytes, self._largest_slot = region_bytes, largest_slot
        self._key_file = key_file
        self.max_batch_sizes: dict[str, int] = {}
        self.answered: dict[str, float] = {}

    def connect(self) -> None:
        """Reserve memory and open the channel, on the running event loop; Triton may come later.

        Raises:
            OSError: the transport is "shm" and there is not that much shared memory.
        """
        self._channel = grpc.aio.insecure_channel(self._target, options=self._options)
        self._control = GRPCInferenceServiceStub(self._channel)
        self._memory = PixelMemory(
            self._control,
            self._transport,
            region_bytes=self._region_bytes,
            large_bytes=self._largest_slot,
            key_file=self._key_file,
        )
        # grpc.aio copies messages on the event loop: those with pixels in them go another way.
        self._bulky_channel = grpc.insecure_channel(self._target, options=self._options)
        self._infer_bulky = self._bulky_channel.unary_unary(
            INFER, response_deserializer=protocol.ModelInferResponse.FromString
        )
        self._threads = ThreadPoolExecutor(BULKY_CALLS, thread_name_prefix="infer")

    async def close(self) -> None:
        """Disconnect and remove the shared memory; every inference has ended."""
        await self._memory.close()
        del self._memory  # at once, as it is large, instead of when garbage is collected
        await self._channel.close()
        self._bulky_channel.close()
        self._threads.shutdown()

    def require_connection(self) -> None:
        """Do nothing, unless Triton was there and is gone.

        Raises:
            Problem: `backend_unavailable`.
        """
        if self.answered or self.max_batch_sizes:
            state = self._channel.get_state(try_to_connect=True)
            if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                raise _unavailable()

    async def reach(self, model: str) -> None:
        """Make sure that somebody is there before work is done for them, and know the model.

        Raises:
            Problem: `backend_unavailable`.
        """
        if model in self.max_batch_sizes:
            self.require_connection()
            return
        try:
            self.max_batch_sizes[model] = (await self._config(model)).max_batch_size
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                raise _unavailable() from error
            # An inference will tell what it is.

    @property
    def shares_memory(self) -> bool:
        """Whether pixels reach Triton through shared memory, as far as that was tried."""
        return self._memory.may_be_shared

    async def slot(self, size: int, patience: float) -> Slot:
        """Wait for a slot of `size` bytes; the caller releases it.

        Raises:
            TimeoutError: none is free within `patience` seconds.
        """
        return await self._memory.slot(size, patience)

    async def infer(
        self,
        model: str,
        tensors: Sequence[Tensor],
        slot: Slot,
        *,
        timeout: float,
        outputs: Sequence[str] = ("SCORE",),
        request_id: str = "",
        is_urgent: bool = False,
    ) -> Outputs:
        """Run a model on uint8 tensors that lie in `slot`.

        Args:
            model: its name in the model repository.
            tensors: the inputs.
            slot: where the pixels are; not to be released before this returns.
            timeout: seconds that the request may wait in Triton's queue.
            outputs: names of the tensors wanted.
            request_id: for Triton's log.
            is_urgent: whether the request goes before all others in Triton's queue.

        Returns:
            the outputs `[N, ...]`.

        Raises:
            Problem: what Triton answered, or `backend_unavailable`.
        """
        request = inference(model, tensors, outputs, timeout, request_id, is_urgent=is_urgent)
        try:
            answer = await self._answer(request, tensors, slot)
        except grpc.RpcError as error:
            raise self._problem(error, slot) from error
        self.answered[model] = time.monotonic()
        return answer

    async def _answer(
        self, request: protocol.ModelInferRequest, tensors: Sequence[Tensor], slot: Slot
    ) -> Outputs:
        for is_last in (False, True):
            if not await self._memory.is_mapped(slot.region):
                break
            refer(request, tensors, slot)
            try:
                if has_map(request):
                    return await self._in_thread(
                        partial(self._infer_bulky, request.SerializeToString())
                    )
                return outputs_of(await self._control.ModelInfer(request))
            except grpc.RpcError as error:
                if is_last or "Unable to find shared memory region" not in (error.details() or ""):
                    raise
            # Triton was restarted: it refused at once, so that asking again costs it no work.
            self._memory.forget()
            self.max_batch_sizes.clear()
        return await self._in_thread(lambda: self._infer_bulky(inline(request, tensors, slot)))

    async def _in_thread(self, call: Callable[[], protocol.ModelInferResponse]) -> Outputs:
        run = contextvars.copy_context().run  # which a trace goes by
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, run, lambda: outputs_of(call()))

    async def last_finished(self, model: str, timeout: float) -> float:
        """When Triton last finished a batch of a model's, for whomever; of `time.time`.

        Raises:
            grpc.RpcError: it does not say.
        """
        request = protocol.ModelStatisticsRequest(name=model)
        statistics = await self._control.ModelStatistics(request, timeout=timeout)
        return max(each.last_inference for each in statistics.model_stats) / 1e3

    async def model_parameters(self, model: str) -> dict[str, str]:
        """The `parameters` in the model's configuration.

        Raises:
            Problem: `backend_unavailable`.
        """
        try:
            config = await self._config(model)
        except grpc.RpcError as error:
            raise _unavailable() from error
        return {key: value.string_value for key, value in config.parameters.items()}

    async def is_here(self) -> bool:
        """Whether Triton runs on this machine, which shows as it reads the same memory."""
        try:
            return await self._memory.is_shared()
        except grpc.RpcError as error:
            raise _unavailable() from error

    async def _config(self, model: str) -> Any:
        request = protocol.ModelConfigRequest(name=model)
        return (await self._control.ModelConfig(request, timeout=CONTROL_TIMEOUT)).config

    def _problem(self, error: grpc.RpcError, slot: Slot) -> Problem:
        details = error.details() or ""
        code, _, sentence = details.partition(": ")
        if code in STATUS:
            return Problem(code, sentence)
        if "maximum queue size" in details:
            return Problem("overloaded", "The service is busy: try again shortly.", retry_after=1)
        if "timeout expired" in details:
            return Deadline.exceeded()
        if "shared memory pool" in details:
            return out_of_memory()
        logger.error("Triton: %s: %s", error.code().name, details)
        if error.code() in UNANSWERED or "RST_STREAM" in details:
            self._memory.give_up(slot.region)
            self.max_batch_sizes.clear()
        return _unavailable()


def _unavailable() -> Problem:
    return Problem(
        "backend_unavailable", "The scoring backend is not available: try again.", retry_after=5
    )
