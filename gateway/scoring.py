"""The path of one request: open, check, then into a stack that is decoded and scored."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from decoding import Picture, open_picture
from decoding.jpeg import is_jpeg
from gateway.admission import Admission, Deadline
from gateway.http.problems import Problem
from gateway.settings import Settings
from gateway.stacks import Item, Kind, Stacks
from gateway.triton.client import TritonClient
from gateway.triton.messages import Outputs
from iqa.metric import Metric

Result = TypeVar("Result")


class Scorer:
    """Scores uploaded files with the models that Triton serves."""

    def __init__(
        self, settings: Settings, admission: Admission, triton: TritonClient, *, together: bool
    ) -> None:
        """Take what the work needs; `together`: images may share a request of Triton."""
        self._settings = settings
        self._admission = admission
        self._threads = ThreadPoolExecutor(settings.decode_threads, thread_name_prefix="decode")
        # A stack waits for memory of its own size: there is room for several.
        most_bytes = (settings.shm_megabytes << 20) // 4 if together else 0
        self._stacks = Stacks(triton, self._threads, most_bytes)

    async def infer(
        self,
        metric: Metric,
        files: Sequence[memoryview],
        deadline: Deadline,
        request_id: str,
        outputs: Sequence[str],
    ) -> Outputs:
        """What the metric's model makes of the files that it compares.

        Work that has begun is not cancelled: when the deadline passes the caller is told, while
        what a decoder writes or Triton reads is not pulled from under it.

        Args:
            metric: what to compute.
            files: one upload for each of the metric's inputs.
            deadline: when the caller stops waiting.
            request_id: for Triton's log.
            outputs: what of the model's outputs to return.

        Returns:
            the outputs by name, without the batch dimension.

        Raises:
            Problem: any of the contract's.
            ClientDisconnect: the client hung up before the work was handed to Triton.
        """
        held_bytes = sum(map(len, files))
        pictures = [await self._open(metric, file, deadline, held_bytes) for file in files]
        _check(metric, pictures)
        channels = 1 if metric.luma_only else max(picture.channels for picture in pictures)
        shape = (pictures[0].height, pictures[0].width, channels)
        kind = Kind(metric.name, metric.inputs, shape, tuple(outputs))
        item = Item(pictures, deadline, request_id)
        outcome = (await self._in_time(self._stacks.add(kind, item), deadline, held_bytes))[item]
        if isinstance(outcome, Exception):
            try:
                raise outcome
            finally:
                del outcome  # see `_in_time`
        return outcome

    async def _open(
        self, metric: Metric, file: memoryview, deadline: Deadline, held_bytes: int
    ) -> Picture:
        read_header = partial(
            open_picture,
            file,
            max_pixels=self._settings.max_pixels,
            luma_only=metric.luma_only and self._settings.luma == "jpeg",
        )
        if is_jpeg(file):  # libjpeg-turbo reads it faster than a thread is woken
            return read_header()
        loop = asyncio.get_running_loop()
        return await self._in_time(
            loop.run_in_executor(self._threads, read_header), deadline, held_bytes
        )

    async def _in_time(
        self, work: asyncio.Future[Result], deadline: Deadline, held_bytes: int
    ) -> Result:
        """What comes of the work.

        Raises:
            Problem: `deadline_exceeded`, or what the work raised.
        """
        await asyncio.wait({work}, timeout=deadline.seconds_left)
        if not work.done():
            self._admission.hold_late(work, held_bytes)
            raise Deadline.exceeded()
        try:
            return work.result()
        finally:
            del work  # else an error and its traceback would hold each other, and the files


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
