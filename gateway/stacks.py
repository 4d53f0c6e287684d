"""Images of one shape that come at once are decoded and scored as one stack, `[N, H, W, C]`.

A request costs Triton and its Python backend a fifth of a millisecond, however many images it
carries. So what comes at once, which is more the more there is to do, shares a request. A lone
image does not wait for others: it is on its way after a few turns of the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import NamedTuple

from decoding import Picture, Pixels
from gateway.admission import Deadline
from gateway.http.problems import Problem
from gateway.observability.telemetry import DECODE, INFERENCE, WAIT
from gateway.triton.client import TritonClient
from gateway.triton.messages import Outputs, Tensor
from gateway.triton.slots import Slot

# What is decoded within milliseconds is decoded on the event loop: handing it to a thread and back
# costs a tenth of that, and gains nothing where there is a worker for every core.
LOOP_PIXELS = 1_500_000
STACK_PIXELS = 8_000_000  # decoded in about 20 ms; more than that gains nothing

# Of the event loop: what has arrived is received in the first one, read and added in the next two.
FORMING_TURNS = 3

# What befalls a request whatever its images.
COMMON = frozenset({"overloaded", "deadline_exceeded", "backend_unavailable"})


class Kind(NamedTuple):
    """What items have in common that one request can score.

    Attributes:
        model: name of the Triton model.
        inputs: names of its inputs, one for each picture of an item.
        shape: `(H, W, C)` of every picture.
        outputs: names of the wanted outputs.
    """

    model: str
    inputs: tuple[str, ...]
    shape: tuple[int, int, int]
    outputs: tuple[str, ...]

    @property
    def pixels(self) -> int:
        """Of all pictures of an item."""
        return len(self.inputs) * self.shape[0] * self.shape[1]

    def size(self, items: int) -> int:
        """Bytes of the pixels of so many items."""
        return len(self.inputs) * items * prod(self.shape)


@dataclass(eq=False)
class Item:
    """An image or pair on its way: its pictures, until when somebody waits, its request's id."""

    pictures: Sequence[Picture]
    deadline: Deadline
    request_id: str


# The outputs for each item, without the batch dimension, or why there are none.
Outcomes = dict[Item, Outputs | Exception]


class Stacks:
    """Forms stacks, decodes them and has them scored; for one event loop."""

    def __init__(self, triton: TritonClient, threads: Executor, most_bytes: int) -> None:
        """Take what scores, where to decode what takes long, most bytes of several items."""
        self._triton = triton
        self._threads = threads
        self._most_bytes = most_bytes
        self._forming: dict[Kind, tuple[list[Item], asyncio.Task[Outcomes]]] = {}

    def add(self, kind: Kind, item: Item) -> asyncio.Task[Outcomes]:
        """Have an item scored, together with others that come now.

        Returns:
            what becomes of the item's stack. Fails with the `Problem` that all of it share.
        """
        quick = kind.pixels <= LOOP_PIXELS and all(picture.is_fast for picture in item.pictures)
        most = min(
            STACK_PIXELS // kind.pixels,
            self._most_bytes // kind.size(1),
            self._triton.max_batch_sizes.get(kind.model, 1),
        )
        if not quick or most < 2:
            return asyncio.ensure_future(self._score(kind, [item], quick=quick))
        if kind not in self._forming:
            items: list[Item] = []
            work = asyncio.ensure_future(self._form(kind, items))
            self._forming[kind] = items, work
        items, work = self._forming[kind]
        items.append(item)
        if len(items) == most:
            del self._forming[kind]
        return work

    async def _form(self, kind: Kind, items: list[Item]) -> Outcomes:
        """Let a stack grow for a moment, then score it."""
        for _ in range(FORMING_TURNS):
            await asyncio.sleep(0)
        if kind in self._forming and self._forming[kind][0] is items:
            del self._forming[kind]
        return await self._score(kind, items, quick=True)

    async def _score(self, kind: Kind, items: list[Item], *, quick: bool) -> Outcomes:
        await self._triton.reach(kind.model)
        with WAIT.time(len(items)):
            try:
                slot = await self._triton.slot(kind.size(len(items)), _seconds_left(items))
            except TimeoutError:
                raise Deadline.exceeded() from None
        stack = _Stack(kind, slot, len(items))
        decoded: list[Item] = []
        failed: Outcomes = {}
        error = None
        try:
            with DECODE.time(len(items)):
                for item in items:
                    decode = partial(_decode, item, stack.room(len(decoded)))
                    error = decode() if quick else await self._in_thread(decode)
                    if error is None:
                        decoded.append(item)
                    else:
                        failed[item] = error
            inferred = await self._infer(stack, decoded) if decoded else []
            return failed | dict(zip(decoded, inferred, strict=True))
        finally:
            slot.release()
            del error, failed  # an error's traceback leads to this frame; see `Scorer._in_time`

    async def _infer(
        self, stack: _Stack, items: Sequence[Item], first: int = 0
    ) -> list[Outputs | Exception]:
        """What becomes of the items that lie in the stack from place `first` on."""
        try:
            with INFERENCE.time(len(items)):
                outputs = await self._triton.infer(
                    stack.kind.model,
                    stack.tensors(first, len(items)),
                    stack.slot,
                    timeout=_seconds_left(items),
                    outputs=stack.kind.outputs,
                    request_id=",".join(item.request_id for item in items),
                )
        except Problem as problem:
            if len(items) == 1 or problem.code in COMMON:
                return [problem] * len(items)
        else:
            return [
                {name: array[place] for name, array in outputs.items()}
                for place in range(len(items))
            ]
        # A request fails as a whole if one of its images does: each alone, then.
        alone = (self._infer(stack, [item], place) for place, item in enumerate(items, first))
        return [outcome for (outcome,) in await asyncio.gather(*alone)]

    def _in_thread(self, decode: Callable[[], Exception | None]) -> Awaitable[Exception | None]:
        return asyncio.get_running_loop().run_in_executor(self._threads, decode)


@dataclass(frozen=True)
class _Stack:
    """A stack in its slot: the first pictures of all items, then their second ones.

    Attributes:
        kind: of its items.
        slot: where the pixels are.
        places: items that fit in it.
    """

    kind: Kind
    slot: Slot
    places: int

    def room(self, place: int) -> Pixels:
        """The pixels `[inputs, H, W, C]` of the item in a place."""
        pixels = self.slot.memory[: self.kind.size(self.places)]
        return pixels.reshape(len(self.kind.inputs), self.places, *self.kind.shape)[:, place]

    def tensors(self, first: int, items: int) -> list[Tensor]:
        """The model's inputs for so many items from place `first` on."""
        shape = self.kind.shape
        return [
            Tensor(name, (items, *shape), (position * self.places + first) * prod(shape))
            for position, name in enumerate(self.kind.inputs)
        ]


def _decode(item: Item, room: Pixels) -> Exception | None:
    """Decode an item to `[inputs, H, W, C]`; returns why that failed."""
    try:
        item.deadline.remaining()  # the wait may have been too long for the client
        for picture, pixels in zip(item.pictures, room, strict=True):
            picture.decode(pixels)
        item.deadline.remaining()
    except Exception as error:  # of this item; the others go on
        return error
    return None


def _seconds_left(items: Sequence[Item]) -> float:
    """Until nobody waits any more.

    Raises:
        Problem: `deadline_exceeded`, nobody does.
    """
    seconds = max(item.deadline.seconds_left for item in items)
    if seconds <= 0:
        raise Deadline.exceeded()
    return seconds
