"""The path of one request: open, check, decode into a slot, infer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import prod
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from gateway.admission import Admission, Deadline
from gateway.catalogue import Metric
from gateway.preprocess import Picture, Pixels, is_jpeg, open_picture
from gateway.problems import Problem
from gateway.settings import Settings
from gateway.telemetry import DECODE, INFERENCE, WAIT
from gateway.triton import TritonClient

Result = TypeVar("Result")
Shape = tuple[int, int, int]

# What is decoded within milliseconds is decoded on the event loop: handing it to a thread and back
# costs a tenth of that, and gains nothing where there is a worker for every core.
LOOP_BYTES = 4 << 20


class Scorer:
    """Scores uploaded files with the models that Triton serves."""

    def __init__(self, settings: Settings, admission: Admission, triton: TritonClient) -> None:
        self._settings = settings
        self._admission = admission
        self._triton = triton
        self._threads = ThreadPoolExecutor(settings.decode_threads, thread_name_prefix="decode")

    async def infer(
        self,
        metric: Metric,
        files: Sequence[memoryview],
        deadline: Deadline,
        request_id: str,
        outputs: Sequence[str],
    ) -> dict[str, NDArray[np.float32]]:
        """What the metric's model makes of the files that it compares.

        The work goes on in a task of its own: when the deadline passes the caller is told, while
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
        patience = deadline.remaining()
        work = asyncio.ensure_future(self._work(metric, files, deadline, request_id, outputs))
        await asyncio.wait({work}, timeout=patience)
        if not work.done():
            self._admission.hold_late(work, sum(map(len, files)))
            raise Deadline.exceeded()
        try:
            return work.result()
        finally:
            del work  # else an error and its traceback would hold each other, and the files

    async def _work(
        self,
        metric: Metric,
        files: Sequence[memoryview],
        deadline: Deadline,
        request_id: str,
        outputs: Sequence[str],
    ) -> dict[str, NDArray[np.float32]]:
        pictures = [await self._open(metric, file) for file in files]
        _check(metric, pictures)
        channels = max(picture.channels for picture in pictures)
        shapes = [(picture.height, picture.width, channels) for picture in pictures]
        await self._triton.reach()
        with WAIT.time():
            try:
                slot = await self._triton.slot(sum(map(prod, shapes)), deadline.remaining())
            except TimeoutError:
                raise Deadline.exceeded() from None
        try:
            deadline.remaining()  # the wait may have been too long for the client
            with DECODE.time():
                if slot.size <= LOOP_BYTES and all(picture.is_fast for picture in pictures):
                    _decode(pictures, shapes, slot.memory)
                else:
                    await self._in_thread(lambda: _decode(pictures, shapes, slot.memory))
            tensors = list(zip(metric.inputs, shapes, strict=True))
            with INFERENCE.time():
                return await self._triton.infer(
                    metric.model,
                    tensors,
                    slot,
                    timeout=deadline.remaining(),
                    outputs=outputs,
                    request_id=request_id,
                )
        finally:
            slot.release()

    async def _open(self, metric: Metric, file: memoryview) -> Picture:
        def read_header() -> Picture:
            return open_picture(
                file,
                max_pixels=self._settings.max_pixels,
                luma_only=metric.luma_only and self._settings.luma == "jpeg",
            )

        # libjpeg-turbo reads a header faster than a thread is woken; other readers may take long.
        return read_header() if is_jpeg(file) else await self._in_thread(read_header)

    def _in_thread(self, function: Callable[[], Result]) -> asyncio.Future[Result]:
        return asyncio.get_running_loop().run_in_executor(self._threads, function)


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


def _decode(pictures: Sequence[Picture], shapes: Sequence[Shape], memory: Pixels) -> None:
    """Decode the pictures one after the other into `memory`."""
    start = 0
    for picture, shape in zip(pictures, shapes, strict=True):
        end = start + prod(shape)
        picture.decode(memory[start:end].reshape(shape))
        start = end
