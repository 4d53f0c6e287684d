"""The way of an upload to its score: open, check, stack, decode, infer, answer.

A request costs Triton and its Python backend a fifth of a millisecond, however many images it
carries. So images of one shape that come at once are decoded into one stack and share a request:
under load stacks become larger. A lone image does not wait for others: it is on its way after a few
turns of the event loop.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from opentelemetry.trace import Span, get_current_span

from decoding import DecodingError, Picture, Pixels, open_picture
from decoding.jpeg import is_jpeg
from gateway.admission import Room
from gateway.deadline import Deadline
from gateway.http.problems import Problem
from gateway.observability.metrics import DECODE, INFERENCE, WAIT
from gateway.observability.tracing import span_of_stack
from gateway.settings import Settings
from gateway.stack import Kind, Model, Stack
from gateway.triton.client import TritonClient
from gateway.triton.messages import Outputs
from iqa.metric import Metric

# What is decoded within milliseconds is decoded on the event loop: handing it to a thread and back
# costs a tenth of that, and gains nothing where there is a worker for every core.
LOOP_PIXELS = 1_500_000
STACK_PIXELS = 8_000_000  # decoded in about 20 ms; more than that gains nothing

# Of the event loop: what has arrived is received in the first one, read and added in the next two.
FORMING_TURNS = 3

# What befalls a request of Triton whatever its images.
COMMON = frozenset({"overloaded", "deadline_exceeded", "backend_unavailable"})

SCORE = "SCORE"
Answer = dict[str, Outputs]
"""The outputs of each model by its name, without the batch dimension."""


@dataclass
class Caller:
    """Who waits for scores.

    Attributes:
        deadline: when the caller stops waiting.
        room: what the request holds while its work goes on.
        request_id: for Triton's log.
        span: of the request.
    """

    deadline: Deadline
    room: Room
    request_id: str
    span: Span = field(default_factory=get_current_span)


@dataclass(eq=False)
class Item:
    """An image or pair on its way to its scores.

    Attributes:
        caller: who waits for them.
        pictures: one for each input of the models.
        answer: refers to the future of the scores, which is gone once nobody waits. The reference
            is weak because the future holds an error, the error its traceback, and the traceback
            the frames that work on this item: a strong one would close a circle.
    """

    caller: Caller
    pictures: Sequence[Picture]
    answer: weakref.ref[asyncio.Future[Answer]]

    def decode(self, pixels: Pixels) -> None:
        """Decode the pictures to `[pictures, H, W, C]`.

        Raises:
            DecodingError: a file is damaged.
            Problem: `deadline_exceeded`.
            ClientDisconnect: nobody waits for the scores.
        """
        self.caller.deadline.remaining()  # the wait may have been too long for the client
        for picture, out in zip(self.pictures, pixels, strict=True):
            picture.decode(out)
        self.caller.deadline.remaining()

    def succeed(self, answer: Answer) -> None:
        """Tell the scores to who waits."""
        if (future := self.answer()) and not future.done():
            future.set_result(answer)

    def fail(self, error: Exception) -> None:
        """Raise an error where the scores are awaited."""
        if (future := self.answer()) and not future.done():
            future.set_exception(error)


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

    async def score(
        self,
        metrics: Sequence[Metric],
        files: Sequence[memoryview],
        caller: Caller,
        outputs: Sequence[str] = (SCORE,),
    ) -> Answer:
        """What the metrics' models make of the files that they compare.

        Work that has begun is not cancelled: when the deadline passes the caller is told, while
        what a decoder writes or Triton reads is not pulled from under it.

        Args:
            metrics: what to compute, of the same files.
            files: one upload for each of a metric's inputs.
            caller: who waits for the scores.
            outputs: what of each model's outputs to return.

        Raises:
            Problem: any of the contract's.
            ClientDisconnect: the client hung up before the work was handed to Triton.
        """
        try:
            async with caller.deadline.enforced():
                luma_only = all(metric.luma_only for metric in metrics)
                pictures = [await self._open(file, caller, luma_only) for file in files]
                for metric in metrics:
                    _check(metric, pictures)
                channels = 1 if luma_only else max(picture.channels for picture in pictures)
                kind = Kind(
                    tuple(Model(metric.name, metric.inputs, tuple(outputs)) for metric in metrics),
                    (pictures[0].height, pictures[0].width, channels),
                )
                return await self._add(kind, pictures, caller)
        except DecodingError as error:
            raise Problem(error.code, error.message) from error

    async def _open(self, file: memoryview, caller: Caller, luma_only: bool) -> Picture:
        """Read a file's header."""
        read_header = partial(
            open_picture,
            file,
            max_pixels=self._max_pixels,
            luma_only=luma_only and self._jpeg_luma,
            colour=self._colour,
        )
        if is_jpeg(file):  # libjpeg-turbo reads it faster than a thread is woken
            return read_header()
        loop = asyncio.get_running_loop()
        return await asyncio.shield(
            caller.room.until(loop.run_in_executor(self._threads, read_header))
        )

    def _add(
        self, kind: Kind, pictures: Sequence[Picture], caller: Caller
    ) -> asyncio.Future[Answer]:
        """Have an item scored, together with others that come now."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        quick = kind.pixels <= LOOP_PIXELS and all(picture.is_fast for picture in pictures)
        most = min(
            STACK_PIXELS // kind.pixels,
            self._stack_bytes // kind.size(1),
            *(self._triton.max_batch_sizes.get(model.name, 1) for model in kind.models),
        )
        item = Item(caller, pictures, weakref.ref(answer))
        if not quick or most < 2:
            work = self._start(self._run(kind, [item], quick=quick))
        else:
            if kind not in self._forming:
                items: list[Item] = []
                self._forming[kind] = items, self._start(self._form(kind, items))
            items, work = self._forming[kind]
            items.append(item)
            if len(items) == most:
                del self._forming[kind]
        caller.room.until(work)
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
        await self._run(kind, items, quick=True)

    async def _run(self, kind: Kind, items: Sequence[Item], *, quick: bool) -> None:
        """See items to their scores; raises nothing."""
        try:
            with span_of_stack([item.caller.span for item in items]):
                await self._score(kind, items, quick=quick)
        except Exception as error:
            for item in items:
                item.fail(error)

    async def _score(self, kind: Kind, items: Sequence[Item], *, quick: bool) -> None:
        """Decode items into a slot and have them scored."""
        for model in kind.models:
            await self._triton.reach(model.name)
        with WAIT.time(len(items)):
            try:
                slot = await self._triton.slot(kind.size(len(items)), _seconds_left(items))
            except TimeoutError:
                raise Deadline.exceeded() from None
        try:
            stack = Stack(kind, slot, len(items))
            with DECODE.time(len(items)):
                decoded = await self._decode(stack, items, quick=quick)
            if decoded:
                await self._infer(stack, decoded)
        finally:
            slot.release()

    async def _decode(self, stack: Stack, items: Sequence[Item], *, quick: bool) -> list[Item]:
        """Decode items into the first places; those that fail leave none empty."""
        decoded: list[Item] = []
        for item in items:
            pixels = stack.pixels(len(decoded))
            try:
                if quick:
                    item.decode(pixels)
                else:
                    loop = asyncio.get_running_loop()
                    await loop.run_in_executor(self._threads, item.decode, pixels)
            except Exception as error:  # of this item; the others go on
                item.fail(error)
            else:
                decoded.append(item)
        return decoded

    async def _infer(self, stack: Stack, items: Sequence[Item], first: int = 0) -> None:
        """Have the items scored that lie in the stack from place `first` on; raises nothing."""
        try:
            answers = await self._ask(stack, items, first)
        except Exception as error:
            of_one = isinstance(error, Problem) and error.code not in COMMON
            if len(items) == 1 or not of_one:
                for item in items:
                    item.fail(error)
                return
        else:
            for item, answer in zip(items, answers, strict=True):
                item.succeed(answer)
            return
        # A request fails as a whole if one of its images does: each alone, then.
        alone = (self._infer(stack, [item], place) for place, item in enumerate(items, first))
        await asyncio.gather(*alone)

    async def _ask(self, stack: Stack, items: Sequence[Item], first: int) -> list[Answer]:
        """One request for each model; one after the other, as all read the same slot."""
        answers: list[Answer] = [{} for _ in items]
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
                for place, answer in enumerate(answers):
                    answer[model.name] = {name: array[place] for name, array in outputs.items()}
        return answers


def _check(metric: Metric, pictures: Sequence[Picture]) -> None:
    """Refuse, before any pixel is decoded, what the model would refuse."""
    sizes = [(picture.width, picture.height) for picture in pictures]
    smallest = min(min(size) for size in sizes)
    if smallest < metric.minimum_side:
        raise Problem(
            "image_too_small",
            f"{metric.title} needs sides of at least {metric.minimum_side} pixels, not {smallest}.",
        )
    if len(set(sizes)) > 1:
        listed = " and ".join(f"{width}x{height}" for width, height in sizes)
        raise Problem("size_mismatch", f"Send images of the same size, not {listed}.")


def _seconds_left(items: Sequence[Item]) -> float:
    """Until nobody waits any more.

    Raises:
        Problem: `deadline_exceeded`, nobody does.
    """
    seconds = max(item.caller.deadline.seconds_left for item in items)
    if seconds <= 0:
        raise Deadline.exceeded()
    return seconds
