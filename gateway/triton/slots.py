"""Room for pixels on their way to Triton: one block of memory, handed out in slots."""

from __future__ import annotations

import asyncio
import mmap
from bisect import insort
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.triton.shared_memory import new_key, reserve, unlink

ALIGNMENT = 4096
LARGE = 16 << 20  # bytes; private slots from here on return their memory to the system


@dataclass(frozen=True)
class Slot:
    """Bytes of a region that one request owns until it releases them.

    Attributes:
        region: what it was cut from.
        offset, size: where it lies there, in bytes.
    """

    region: Region
    offset: int
    size: int

    @property
    def memory(self) -> NDArray[np.uint8]:
        """The slot's bytes `[size]`."""
        return self.region.memory[self.offset : self.offset + self.size]

    def release(self) -> None:
        """Give the bytes back: nobody reads them for this request any more."""
        self.region.release(self)


class Region:
    """A block of memory from which slots are cut, first fit, first come first served.

    Attributes:
        key: its name as POSIX shared memory; None for memory of this process alone, and once it
            was unlinked.
        size: bytes.
        memory: all of it, `[size]`.
    """

    def __init__(self, size: int, *, shared: bool) -> None:
        """Create the block.

        Raises:
            OSError: there is not that much shared memory left.
        """
        size = self.size = -(-size // ALIGNMENT) * ALIGNMENT
        self.key = new_key() if shared else None
        self._block = reserve(self.key, size) if self.key else _private_block(size)
        self.memory = np.frombuffer(self._block, dtype=np.uint8)
        self._free = [(0, self.size)]
        self._waiting: deque[tuple[int, asyncio.Future[Slot]]] = deque()

    async def slot(self, size: int, patience: float | None = None) -> Slot:
        """Wait for a slot of at least `size` bytes, which must not be more than the region's.

        Raises:
            TimeoutError: none is free within `patience` seconds.
        """
        size = -(-size // ALIGNMENT) * ALIGNMENT
        if not self._waiting and (slot := self._cut(size)):
            return slot
        future: asyncio.Future[Slot] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, future))
        try:
            async with asyncio.timeout(patience):
                return await future
        except (asyncio.CancelledError, TimeoutError):
            if future.done() and not future.cancelled():
                future.result().release()
            else:
                future.cancel()
                self._serve()
            raise

    def release(self, slot: Slot) -> None:
        """Take a slot back, and serve those who wait."""
        if self.key is None and slot.size >= LARGE:
            self._block.madvise(mmap.MADV_DONTNEED, slot.offset, slot.size)
        insort(self._free, (slot.offset, slot.size))
        merged = self._free[:1]
        for offset, size in self._free[1:]:
            last_offset, last_size = merged[-1]
            if last_offset + last_size == offset:
                merged[-1] = (last_offset, last_size + size)
            else:
                merged.append((offset, size))
        self._free = merged
        self._serve()

    def unlink(self) -> None:
        """Remove the name; the memory goes when the last process that maps it lets go."""
        if self.key:
            unlink(self.key)
            self.key = None

    def _serve(self) -> None:
        while self._waiting:
            size, future = self._waiting[0]
            if not future.done():
                slot = self._cut(size)
                if slot is None:
                    return
                future.set_result(slot)
            self._waiting.popleft()

    def _cut(self, wanted: int) -> Slot | None:
        for index, (offset, size) in enumerate(self._free):
            if size >= wanted:
                rest = [(offset + wanted, size - wanted)] if size > wanted else []
                self._free[index : index + 1] = rest
                return Slot(self, offset, wanted)
        return None


def _private_block(size: int) -> mmap.mmap:
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
