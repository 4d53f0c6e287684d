"""A worker's memory for pixels: shared with Triton where that works, its own elsewhere.

Most requests take a slot of one region that the worker keeps. A large one gets a region of its own
for as long as it is needed, so that it neither fills the others' region nor travels inline.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import grpc
from tritonclient.grpc import service_pb2 as protocol
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from gateway.triton.key import metadata
from gateway.triton.shared_memory import PREFIX, exists, remove_leftovers
from gateway.triton.slots import Region, Slot

logger = logging.getLogger(__name__)

Transport = Literal["auto", "shm", "grpc"]

LARGE_SHARE = 4  # a request that needs more than this part of the region gets its own
TIMEOUT = 5  # seconds for Triton to map memory or let go of it


class PixelMemory:
    """Slots, the regions that they lie in, and which of these Triton maps; for one event loop.

    When the connection breaks it is not certain what Triton still reads: the region is given up, a
    new one takes its place, and Triton has to let go of the old one once it can be reached again.
    """

    def __init__(
        self,
        triton: GRPCInferenceServiceStub,
        transport: Transport,
        *,
        region_bytes: int,
        large_bytes: int,
        key_file: Path | None,
    ) -> None:
        """Reserve the region that is kept.

        Args:
            triton: whom to share it with.
            transport: "shm" insists on shared memory, "grpc" does without, "auto" tries.
            region_bytes: size of the region that is kept.
            large_bytes: most that all large requests hold at once.
            key_file: what Triton asks for before it maps memory; see `gateway.triton.key`.

        Raises:
            OSError: `transport` is "shm" and there is not that much shared memory.
        """
        self._triton = triton
        self._insists = transport == "shm"
        self._shares = transport != "grpc"
        self._key_file = key_file
        self._mapped: set[str] = set()  # by Triton
        self._may_map_more = True  # what was given up, or left by workers that were killed
        self._registration = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        remove_leftovers()
        self._region = self._new_region(region_bytes)
        self._large = Region(large_bytes, shared=False)  # takes no memory until it is written

    @property
    def may_be_shared(self) -> bool:
        """Whether Triton reads what lies here, as far as that was tried."""
        return self._shares and self._region.key is not None

    async def slot(self, size: int, patience: float) -> Slot:
        """Wait for a slot of `size` bytes; the caller releases it.

        Raises:
            TimeoutError: there is none within `patience` seconds.
        """
        if size <= self._region.size // LARGE_SHARE:
            return await self._region.slot(size, patience)
        room = await self._large.slot(size, patience)
        if not self._shares:
            return room

        def remove(region: _OwnRegion) -> None:
            self._start(self._remove(region))

        making = asyncio.ensure_future(asyncio.to_thread(_OwnRegion, room, remove))
        try:
            region = await asyncio.shield(making)
        except OSError as error:
            logger.warning("no shared memory (%s): a large picture goes inline", error.strerror)
            return room
        except asyncio.CancelledError:
            self._start(self._give_back(making, room))
            raise
        return await region.slot(size)

    async def is_mapped(self, region: Region) -> bool:
        """Whether Triton reads the region itself; has Triton map it if that was not tried yet.

        Raises:
            grpc.RpcError: Triton is not there, or will not map what it has to.
        """
        if region.key in self._mapped:
            return True
        if region.key is None or not self._shares:
            return False
        async with self._registration:
            if region.key not in self._mapped:
                await self._register(region)
        return region.key in self._mapped

    async def is_shared(self) -> bool:
        """Whether Triton reads the region that is kept; see `is_mapped`."""
        return await self.is_mapped(self._region)

    def forget(self) -> None:
        """Triton was restarted and knows no region; what it was asked for it has not begun."""
        self._mapped.clear()

    def give_up(self, region: Region) -> None:
        """The connection broke while Triton had work in the region."""
        if region.key is None or region.key not in self._mapped:
            return
        self._mapped.discard(region.key)
        self._may_map_more = True
        region.unlink()
        if region is self._region:
            self._region = self._new_region(region.size)

    async def close(self) -> None:
        """Remove all regions; every inference has ended."""
        await asyncio.gather(*self._tasks)
        self._region.unlink()
        for key in tuple(self._mapped):
            with suppress(grpc.RpcError):  # Triton may have gone first
                await self._unregister(key, timeout=1)

    def _new_region(self, size: int) -> Region:
        if self._shares:
            try:
                return Region(size, shared=True)
            except OSError as error:
                if self._insists:
                    raise
                logger.warning("no shared memory (%s): pixels go inline", error.strerror)
        return Region(size, shared=False)

    async def _register(self, region: Region) -> None:
        assert region.key
        request = protocol.SystemSharedMemoryRegisterRequest(
            name=region.key, key=region.key, offset=0, byte_size=region.size
        )
        try:
            if self._may_map_more:
                await self._clean()
            await self._triton.SystemSharedMemoryRegister(
                request, timeout=TIMEOUT, metadata=self._key()
            )
        except grpc.RpcError as error:
            if self._insists or _is_unreachable(error):
                raise
            if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                logger.info("Triton does not share our memory: pixels go inline")
                self._shares = region is not self._region
                if not self._shares:
                    region.unlink()
                    self._region = Region(region.size, shared=False)
                return
        if region is self._region:
            logger.info("pixels go through shared memory")
        self._mapped.add(region.key)

    async def _clean(self) -> None:
        """Have Triton let go of regions that have no name any more."""
        status = await self._triton.SystemSharedMemoryStatus(
            protocol.SystemSharedMemoryStatusRequest(), timeout=TIMEOUT, metadata=self._key()
        )
        for key in status.regions:
            if key.startswith(f"/{PREFIX}") and not exists(key):
                await self._unregister(key)
        self._may_map_more = False

    async def _unregister(self, key: str, timeout: float = TIMEOUT) -> None:
        self._mapped.discard(key)
        request = protocol.SystemSharedMemoryUnregisterRequest(name=key)
        await self._triton.SystemSharedMemoryUnregister(
            request, timeout=timeout, metadata=self._key()
        )

    async def _remove(self, region: _OwnRegion) -> None:
        """Remove the region of a large request that has ended."""
        if region.key in self._mapped:
            try:
                await self._unregister(region.key)
            except grpc.RpcError:
                self._may_map_more = True
        await asyncio.to_thread(region.unlink)
        region.room.release()

    async def _give_back(self, making: asyncio.Future[_OwnRegion], room: Slot) -> None:
        """Undo what was begun for a request whose client has gone."""
        try:
            await self._remove(await making)
        except OSError:
            room.release()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _key(self) -> tuple[tuple[str, str], ...]:
        try:
            return metadata(self._key_file)
        except OSError as error:
            logger.warning("no key for Triton's shared memory: %s", error)
            return ()


class _OwnRegion(Region):
    """The shared memory of one large request.

    Attributes:
        room: as many bytes of what large requests may hold.
    """

    def __init__(self, room: Slot, removed: Callable[[_OwnRegion], None]) -> None:
        """Create it; clearing the memory takes milliseconds for each ten megabytes.

        Raises:
            OSError: there is not that much shared memory left.
        """
        super().__init__(room.size, shared=True)
        self.room = room
        self._removed = removed

    def release(self, slot: Slot) -> None:  # noqa: ARG002  (it was made for this slot)
        """Remove it all."""
        self._removed(self)


def _is_unreachable(error: grpc.RpcError) -> bool:
    """Whether nobody is there; UNAVAILABLE also is how Triton refuses a call without its key."""
    unreachable = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    return error.code() in unreachable and "is restricted" not in (error.details() or "")
