"""The way of an upload to its score: open, check, admit, stack, decode, infer, answer.

A request costs Triton and its Python backend a fifth of a millisecond, however many images it
carries. So images of one shape that come at once are decoded into one stack and share a request:
under load stacks become larger. A lone image does not wait for others: it is on its way after a few
turns of the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from decoding import DecodingError, open_picture
from decoding.jpeg import is_jpeg
from decoding.pictures import BLACK, WHITE
from gateway.deadline import Deadline
from gateway.http.problems import Problem
from gateway.item import Answer, Caller, Item
from gateway.observability.metrics import DECODE, INFERENCE, WAIT
from gateway.observability.tracing import span_of_stack
from gateway.settings import Settings
from gateway.source import DecodedOnce, Source
from gateway.stack import Kind, Stack
from gateway.triton.client import TritonClient
from gateway.triton.messages import put_files
from gateway.triton.slots import Slot

# What is decoded within milliseconds is decoded on the event loop: handing it to a thread and back
# costs a tenth of that, and gains nothing where there is a worker for every core.
LOOP_PIXELS = 1_500_000
STACK_PIXELS = 8_000_000  # decoded in about 20 ms; more than that gains nothing

# Of the event loop: what has arrived is received in the first one, read and added in the next two.
FORMING_TURNS = 3

# What befalls a request of Triton whatever its images.
COMMON = frozenset({"overloaded", "deadline_exceeded", "backend_unavailable"})


class Pipeline:
    """Scores uploaded files with the models that Triton serves; for one event loop."""

    def __init__(self, settings: Settings, triton: TritonClient, stack_bytes: int) -> None:
        """Take what limits and does the work, and the most bytes of a stack of several items."""
        self._triton = triton
        self._max_pixels = settings.max_pixels
        self._jpeg_luma = settings.luma == "jpeg"
        self._colour = settings.colour
        self._threads = ThreadPoolExecutor(settings.decode_threads, thread_name_prefix="decode")
        self._stack_bytes = stack_bytes
        self._forming: dict[Kind, tuple[list[Item], asyncio.Task[None]]] = {}
        self._running: set[asyncio.Task[None]] = set()

    def require_triton(self) -> None:
        """Refuse what cannot be scored now; see `TritonClient.require_connection`."""
        self._triton.require_connection()

    async def admit(self, items: Sequence[Item]) -> None:
        """Hold the work that a request's items are, and the pixels that they share, in its room.

        Raises:
            Problem: `overloaded`, or `too_many_pixels` where they never are admitted.
        """
        work = 0
        for item in items:
            try:
                await self._open(item)
            except (DecodingError, Problem):
                continue  # it is no work, and `score` says why
            work += item.work
        room = items[0].caller.room
        room.take(len(items), work)
        for source in {source for item in items for source in item.sources if source.is_shared}:
            room.hold(source.decoded_bytes)

    async def score(self, item: Item) -> Answer:
        """What the models make of an item.

        Who waits may be cancelled at any time. Work that has begun is not: what a decoder writes
        or Triton reads is not pulled from under it.

        Raises:
            Problem: any of the contract's.
            ClientDisconnect: the client hung up before the work was handed to Triton.
        """
        try:
            await self._open(item)
            return await self._add(item)
        except DecodingError as error:
            remedy = " IQA_MAX_PIXELS sets the limit." if error.code == "too_many_pixels" else ""
            raise Problem(error.code, error.message + remedy) from error

    async def _open(self, item: Item) -> None:
        """Read the headers and check what they say."""
        if item.pictures:
            return
        for source in item.sources:
            if source.picture is None:
                await self._read_header(source, item.caller, luma_only=item.luma_only)
        item.open()

    async def _read_header(self, source: Source, caller: Caller, *, luma_only: bool) -> None:
        read = partial(
            open_picture,
            source.data,
            max_pixels=self._max_pixels,
            luma_only=luma_only and self._jpeg_luma,
            colour=self._colour,
        )
        if is_jpeg(source.data):  # libjpeg-turbo reads it faster than a thread is woken
            picture = read()
        else:
            loop = asyncio.get_running_loop()
            picture = await asyncio.shield(
                caller.room.until(loop.run_in_executor(self._threads, read))
            )
        source.picture = DecodedOnce(picture) if source.is_shared else picture

    def _add(self, item: Item) -> asyncio.Future[Answer]:
        """Have an item scored, together with others that come now."""
        answer = item.wait()
        if not self._triton.shares_memory and item.is_better_as_files:
            item.caller.room.until(self._start(self._run([item], self._send_files(item))))
            return answer
        kind = item.kind
        quick = kind.pixels <= LOOP_PIXELS and item.is_quick
        most = min(
            STACK_PIXELS // kind.pixels,
            self._stack_bytes // kind.size(1),
            *(self._triton.max_batch_sizes.get(model.name, 1) for model in kind.models),
        )
        if not quick or most < 2:
            work = self._start(self._run([item], self._score(kind, [item], quick=quick)))
        else:
            if kind not in self._forming:
                items: list[Item] = []
                self._forming[kind] = items, self._start(self._form(kind, items))
            items, work = self._forming[kind]
            items.append(item)
            if len(items) == most:
                del self._forming[kind]
        item.caller.room.until(work)
        return answer

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._running.add(task)  # an event loop itself does not keep its tasks
        task.add_done_callback(self._running.discard)
        return task

    async def _form(self, kind: Kind, items: list[Item]) -> None:
        """Let a stack grow for a moment, then see it to its scores."""
        for _ in range(FORMING_TURNS):
            await asyncio.sleep(0)
        if kind in self._forming and self._forming[kind][0] is items:
            del self._forming[kind]
        await self._run(items, self._score(kind, items, quick=True))

    async def _run(self, items: Sequence[Item], scoring: Coroutine[None, None, None]) -> None:
        """See items to their scores; raises nothing."""
        try:
            with span_of_stack([item.caller.span for item in items]):
                await scoring
        except Exception as error:
            for item in items:
                item.fail(error)

    async def _score(self, kind: Kind, items: Sequence[Item], *, quick: bool) -> None:
        for model in kind.models:
            await self._triton.reach(model.name)
        slot = await self._slot(kind.size(len(items)), items)
        try:
            stack = Stack(kind, slot, len(items))
            answers = await self._answers(stack, items, WHITE, quick=quick)
            # White on transparent is invisible over white: such a pair also goes over black.
            shown = [item for item in answers if item.background_shows and kind.pictures > 1]
            over_black = await self._answers(stack, shown, BLACK, quick=quick)
            for item, answer in over_black.items():
                answers[item] = item.worse(answers[item], answer)
            for item, answer in answers.items():
                item.succeed(answer)
        finally:
            slot.release()

    async def _send_files(self, item: Item) -> None:
        """Let Triton decode an item, which is of one metric."""
        (metric,) = item.metrics
        contents = [source.data for source in item.sources]
        await self._triton.reach(metric.name)
        slot = await self._slot(sum(map(len, contents)), [item])
        try:
            with INFERENCE.time(1):
                outputs = await self._triton.infer(
                    metric.name,
                    put_files(metric.inputs, contents, slot),
                    slot,
                    timeout=item.caller.deadline.remaining(),
                    outputs=item.outputs,
                    request_id=item.caller.request_id,
                )
            item.succeed({metric.name: {name: array[0] for name, array in outputs.items()}})
        finally:
            slot.release()

    async def _slot(self, size: int, items: Sequence[Item]) -> Slot:
        with WAIT.time(len(items)):
            try:
                return await self._triton.slot(size, _seconds_left(items))
            except TimeoutError:
                raise Deadline.exceeded() from None

    async def _answers(
        self, stack: Stack, items: Sequence[Item], background: int, *, quick: bool
    ) -> dict[Item, Answer]:
        """Decode items into a stack and have it scored; those that fail have no answer."""
        if not items:
            return {}
        with DECODE.time(stack.places):
            decoded = await self._decode(stack, items, background, quick=quick)
        return await self._infer(stack, decoded) if decoded else {}

    async def _decode(
        self, stack: Stack, items: Sequence[Item], background: int, *, quick: bool
    ) -> list[Item]:
        """Decode items into the first places; those that fail leave none empty."""
        decoded: list[Item] = []
        for item in items:
            pixels = stack.pixels(len(decoded))
            try:
                if quick:
                    item.decode(pixels, background)
                else:
                    loop = asyncio.get_running_loop()
                    await loop.run_in_executor(self._threads, item.decode, pixels, background)
            except Exception as error:  # of this item; the others go on
                item.fail(error)
            else:
                decoded.append(item)
        return decoded

    async def _infer(
        self, stack: Stack, items: Sequence[Item], first: int = 0
    ) -> dict[Item, Answer]:
        """Have the items scored that lie in the stack from place `first` on; raises nothing."""
        try:
            return await self._ask(stack, items, first)
        except Exception as error:
            of_one = isinstance(error, Problem) and error.code not in COMMON
            if len(items) == 1 or not of_one:
                for item in items:
                    item.fail(error)
                return {}
        # A request fails as a whole if one of its images does: each alone, then.
        alone = (self._infer(stack, [item], place) for place, item in enumerate(items, first))
        return {
            item: answer
            for answers in await asyncio.gather(*alone)
            for item, answer in answers.items()
        }

    async def _ask(self, stack: Stack, items: Sequence[Item], first: int) -> dict[Item, Answer]:
        """One request for each model; one after the other, as all read the same slot."""
        answers: dict[Item, Answer] = {item: {} for item in items}
        with INFERENCE.time(len(items)):
            for model in stack.kind.models:
                outputs = await self._triton.infer(
                    model.name,
                    stack.tensors(model, first, len(items)),
                    stack.slot,
                    timeout=_seconds_left(items),
                    outputs=model.outputs,
                    request_id=",".join(item.caller.request_id for item in items),
                )
                for place, answer in enumerate(answers.values()):
                    answer[model.name] = {name: array[place] for name, array in outputs.items()}
        return answers


def _seconds_left(items: Sequence[Item]) -> float:
    """Until nobody waits any more.

    Raises:
        Problem: `deadline_exceeded`, nobody does.
    """
    seconds = max(item.caller.deadline.seconds_left for item in items)
    if seconds <= 0:
        raise Deadline.exceeded()
    return seconds
