"""The asynchronous gRPC client of Triton: pixels by shared memory where it can, inline elsewhere.

A slot of shared memory is free again only once Triton can no longer read it. So a call is never
cancelled and has no client-side deadline (Triton gets the deadline as the request's timeout), and
its slot is released when Triton has answered. Where the connection breaks instead, nobody knows
what Triton still reads: then the whole region is given up, and a new one takes its place.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import grpc
from tritonclient.grpc import service_pb2 as protocol
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from gateway.admission import Deadline
from gateway.http.problems import STATUS, Problem, out_of_memory
from gateway.triton.endpoints import SPREAD_OPTIONS, is_spread, target
from gateway.triton.key import metadata
from gateway.triton.messages import Outputs, Tensor, inference, inline, outputs_of, refer
from gateway.triton.slots import Region, Slot, remove_leftovers
from gateway.triton.unary import UnaryChannel

logger = logging.getLogger(__name__)

Transport = Literal["auto", "shm", "grpc"]
Call = Callable[..., Awaitable[Any]]

INFER = "inference.GRPCInferenceService/ModelInfer"
CONTROL_TIMEOUT = 5  # seconds, for calls that run no model


class TritonClient:
    """Runs inferences on uint8 tensors that lie in slots; for one event loop.

    Attributes:
        max_batch_sizes: most images in one request, of each model that was reached.
    """

    def __init__(
        self,
        url: str,
        transport: Transport,
        *,
        region_bytes: int,
        largest_slot: int,
        key_file: Path | None = None,
        around: Callable[[Call], Call] | None = None,
    ) -> None:
        """Reserve the memory.

        Args:
            url: gRPC address, or several; see `endpoints.target`.
            transport: how pixels travel; several Tritons cannot share memory, "auto" knows that.
            region_bytes: most pixel bytes on their way at once...
            largest_slot: ...but for images larger than that, which share this many, inline.
            key_file: what Triton asks for before it maps memory; see `triton_key`.
            around: makes, of what calls Triton for an inference, what does so in its place.

        Raises:
            OSError: `transport` is "shm" and there is not that much shared memory; no address.
            ValueError: `transport` is "shm" with several Tritons; `url` is malformed.
        """
        self._target = target(url)
        self._is_spread = is_spread(url)
        if self._is_spread:
            if transport == "shm":
                raise ValueError("several Tritons cannot share memory: leave IQA_TRANSPORT at auto")
            transport = "grpc"
        self._transport = transport
        self._key_file = key_file
        self._around = around
        self._registration = asyncio.Lock()
        self._registered = False
        self.max_batch_sizes: dict[str, int] = {}
        remove_leftovers()
        self._region = self._new_region(region_bytes)
        self._large_region = Region(largest_slot, shared=False)

    def connect(self) -> None:
        """Open the channel, on the running event loop; Triton need not be there yet."""
        self._channel = (
            grpc.aio.insecure_channel(self._target, options=SPREAD_OPTIONS)
            if self._is_spread
            else UnaryChannel(self._target)
        )
        self._control = GRPCInferenceServiceStub(self._channel)
        # The generated method would serialise later, in a task of its own.
        self._infer = self._channel.unary_unary(
            f"/{INFER}",
            response_deserializer=protocol.ModelInferResponse.FromString,
        )
        if self._around:
            self._infer = self._around(self._infer)

    async def close(self) -> None:
        """Unregister and remove the shared memory; every inference has ended."""
        if self._registered:
            request = protocol.SystemSharedMemoryUnregisterRequest(name=self._region.key)
            with contextlib.suppress(grpc.aio.AioRpcError):  # Triton may have gone first
                await self._control.SystemSharedMemoryUnregister(
                    request, timeout=1, metadata=self._key()
                )
        self._region.unlink()
        await self._channel.close()

    async def reach(self, model: str) -> None:
        """Make sure that somebody is there before work is done for them, and know the model.

        Several Tritons are taken to be there: one of them usually is.

        Raises:
            Problem: `backend_unavailable`.
        """
        if isinstance(self._channel, UnaryChannel):
            try:
                await self._channel.connect()
            except grpc.aio.AioRpcError as error:
                raise _unavailable() from error
        if model not in self.max_batch_sizes:
            with contextlib.suppress(grpc.aio.AioRpcError):  # an inference will tell what it is
                self.max_batch_sizes[model] = (await self._config(model)).max_batch_size

    async def slot(self, size: int, patience: float) -> Slot:
        """Wait for a slot of `size` bytes; the caller releases it.

        Raises:
            TimeoutError: none is free within `patience` seconds.
        """
        region = self._region if size <= self._region.size else self._large_region
        return await region.slot(size, patience)

    async def infer(
        self,
        model: str,
        tensors: Sequence[Tensor],
        slot: Slot,
        *,
        timeout: float,
        outputs: Sequence[str] = ("SCORE",),
        request_id: str = "",
    ) -> Outputs:
        """Run a model on uint8 tensors that lie in `slot`.

        Args:
            model: its name in the model repository.
            tensors: the inputs.
            slot: where the pixels are; not to be released before this returns.
            timeout: seconds that the request may wait in Triton's queue.
            outputs: names of the tensors wanted.
            request_id: for Triton's log.

        Returns:
            the outputs `[N, ...]`.

        Raises:
            Problem: what Triton answered, or `backend_unavailable`.
        """
        request = inference(model, tensors, outputs, timeout, request_id)
        try:
            if slot.region is self._region and await self._is_shared():
                refer(request, tensors, slot)
                try:
                    return outputs_of(await self._infer(request.SerializeToString()))
                except grpc.aio.AioRpcError as error:
                    if "Unable to find shared memory region" not in (error.details() or ""):
                        raise
                # Triton was restarted: it refused at once, so that asking again costs it no work.
                self._give_up(slot.region)
            inline(request, tensors, slot)
            return outputs_of(await self._infer(request.SerializeToString()))
        except grpc.aio.AioRpcError as error:
            raise self._problem(error, slot) from error

    async def model_parameters(self, model: str) -> dict[str, str]:
        """The `parameters` in the model's configuration.

        Raises:
            Problem: `backend_unavailable`.
        """
        try:
            config = await self._config(model)
        except grpc.aio.AioRpcError as error:
            raise _unavailable() from error
        return {key: value.string_value for key, value in config.parameters.items()}

    async def _config(self, model: str) -> Any:
        request = protocol.ModelConfigRequest(name=model)
        return (await self._control.ModelConfig(request, timeout=CONTROL_TIMEOUT)).config

    def _new_region(self, size: int) -> Region:
        if self._transport != "grpc":
            try:
                return Region(size, shared=True)
            except OSError as error:
                if self._transport == "shm":
                    raise
                logger.warning("no shared memory (%s): pixels go inline", error.strerror)
        return Region(size, shared=False)

    async def _is_shared(self) -> bool:
        """Whether Triton maps the region; registers it if that was not tried yet."""
        if self._registered or self._region.key is None:
            return self._registered
        async with self._registration:
            region = self._region
            if self._registered or region.key is None:
                return self._registered
            request = protocol.SystemSharedMemoryRegisterRequest(
                name=region.key, key=region.key, offset=0, byte_size=region.size
            )
            try:
                await self._control.SystemSharedMemoryRegister(
                    request, timeout=CONTROL_TIMEOUT, metadata=self._key()
                )
            except grpc.aio.AioRpcError as error:
                if self._transport == "shm" or _is_unreachable(error):
                    raise
                if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                    logger.info("Triton does not share our memory: pixels go inline")
                    region.unlink()
                    self._region = Region(region.size, shared=False)
                    return False
            logger.info("pixels go through shared memory")
            self._registered = True
            return True

    def _key(self) -> tuple[tuple[str, str], ...]:
        try:
            return metadata(self._key_file)
        except OSError as error:
            logger.warning("no key for Triton's shared memory: %s", error)
            return ()

    def _give_up(self, region: Region) -> None:
        """Triton is another one, or what it does is not known: nor is anything else about it."""
        self.max_batch_sizes.clear()
        if region is self._region and self._registered:
            region.unlink()
            self._registered = False
            self._region = self._new_region(region.size)

    def _problem(self, error: grpc.aio.AioRpcError, slot: Slot) -> Problem:
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
        self._give_up(slot.region)
        return _unavailable()


def _is_unreachable(error: grpc.aio.AioRpcError) -> bool:
    """Whether nobody is there; UNAVAILABLE also is how Triton refuses a call without its key."""
    unreachable = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    return error.code() in unreachable and "is restricted" not in (error.details() or "")


def _unavailable() -> Problem:
    return Problem(
        "backend_unavailable", "The scoring backend is not available: try again.", retry_after=5
    )
