"""Items that come at once: they share requests of Triton, and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from starlette.requests import ClientDisconnect

import iqa
from gateway.admission import Admission
from gateway.deadline import HUNG_UP, Deadline
from gateway.http.problems import Problem
from gateway.item import Answer, Caller, Item
from gateway.pipeline import Pipeline
from gateway.settings import Settings
from gateway.source import Source
from gateway.triton.client import TritonClient
from gateway.triton.memory import Transport
from gateway.triton.messages import Outputs, Tensor
from gateway.triton.slots import Slot
from iqa.brisque import BRISQUE
from iqa.ms_ssim import MS_SSIM
from tests.conftest import RunningService

RANDOM = np.random.default_rng(5)
MEBIBYTE = 1 << 20
SHAPE = (176, 208, 3)
OTHER_SHAPE = (208, 176, 3)
FLAT = np.full(SHAPE, 9, np.uint8)

LUMA = (*SHAPE[:2], 1)


def noise(shape: tuple[int, ...] = SHAPE) -> NDArray[np.uint8]:
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


def encoded(pixels: NDArray[np.uint8], file_format: str = "JPEG") -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, file_format)
    return file.getvalue()


def decoded(file: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(BytesIO(file)))


@dataclass
class Added:
    """An item for BRISQUE, or for MS-SSIM where there are two files."""

    files: Sequence[bytes]
    outputs: Sequence[str] = ()
    seconds: float = 30
    state: dict[str, Any] = field(default_factory=dict)


def added(*files: bytes, outputs: Sequence[str] = (), seconds: float = 30, **state: Any) -> Added:
    return Added(files, outputs, seconds, state)


class NotingTriton(TritonClient):
    """Notes what it is asked, and refuses the first requests."""

    def __init__(
        self, url: str, transport: Transport, refused: int, at_refusal: Callable[[], None]
    ) -> None:
        super().__init__(url, transport, region_bytes=4 * MEBIBYTE, largest_slot=4 * MEBIBYTE)
        self.shapes: list[tuple[int, ...]] = []
        self.timeouts: list[float] = []
        self.patience: list[float] = []
        self._refused = refused
        self._at_refusal = at_refusal

    async def slot(self, size: int, patience: float) -> Slot:
        self.patience.append(patience)
        return await super().slot(size, patience)

    async def infer(
        self, model: str, tensors: Sequence[Tensor], *arguments: Any, **options: Any
    ) -> Outputs:
        self.shapes.append(tensors[0].shape)
        self.timeouts.append(options["timeout"])
        if len(self.shapes) <= self._refused:
            self._at_refusal()
            raise Problem("score_undefined", "One of them is flat.")
        return await super().infer(model, tensors, *arguments, **options)


class Clock:
    """Stands for `time`, so that a minute takes no time."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += seconds


class Run:
    """What became of items that came at once, and what Triton was asked.

    Attributes:
        outcomes: of each item.
        shapes: of the first input of each request.
        timeouts: seconds that each request might take.
        patience: seconds for which memory was waited for, each time.
    """

    def __init__(
        self,
        service: RunningService,
        work: Sequence[Added],
        *,
        most_bytes: int = MEBIBYTE,
        transport: Transport = "shm",
        refused: int = 0,
        at_refusal: Callable[[], None] = lambda: None,
    ) -> None:
        """Have the items scored at once; the first `refused` requests are answered for Triton."""
        self._triton = NotingTriton(service.grpc, transport, refused, at_refusal)
        self.outcomes = asyncio.run(self._run(work, most_bytes))
        self.shapes = self._triton.shapes
        self.timeouts, self.patience = self._triton.timeouts, self._triton.patience

    async def _run(self, work: Sequence[Added], most_bytes: int) -> list[Answer | BaseException]:
        self._triton.connect()
        try:
            for metric in (BRISQUE, MS_SSIM):
                await self._triton.reach(metric.name)
            pipeline = Pipeline(Settings(decode_threads=1), self._triton, most_bytes)
            admission = Admission(1, MEBIBYTE)
            with admission.admit() as room:
                calls = [
                    self._score(
                        pipeline, each, Caller(Deadline(each.seconds, each.state), room, "id")
                    )
                    for each in work
                ]
                return await asyncio.gather(*calls, return_exceptions=True)
        finally:
            await self._triton.close()

    async def _score(self, pipeline: Pipeline, each: Added, caller: Caller) -> Answer:
        metric = BRISQUE if len(each.files) == 1 else MS_SSIM
        sources = [Source(memoryview(file)) for file in each.files]
        return await pipeline.score(Item(caller, [metric], sources, ("SCORE", *each.outputs)))


def outputs(outcome: Answer | BaseException) -> Outputs:
    assert isinstance(outcome, dict), outcome
    (found,) = outcome.values()
    return found


def score(outcome: Answer | BaseException) -> float:
    found = outputs(outcome)["SCORE"]
    assert found.shape == (1,)
    return float(found[0])


@pytest.mark.parametrize("transport", ["shm", "grpc"])
def test_each_gets_its_own_score(service: RunningService, transport: Transport) -> None:
    images = [encoded(noise()) for _ in range(4)]
    pairs = [(encoded(noise()), encoded(noise())) for _ in range(3)]
    work = [added(image) for image in images] + [added(*pair) for pair in pairs]
    run = Run(service, work, transport=transport)
    # Where memory is not shared, the files of a pair are sent, each pair's for itself.
    of_pairs = [(3, *SHAPE)] if transport == "shm" else [(1, len(first)) for first, _ in pairs]
    assert sorted(run.shapes) == sorted([*of_pairs, (4, *LUMA)])
    pixels = zip(*(map(decoded, pair) for pair in pairs), strict=True)
    expected = [
        *iqa.brisque.score([decoded(image) for image in images]).values,
        *iqa.ms_ssim.score(*map(list, pixels)).values,
    ]
    assert [score(outcome) for outcome in run.outcomes] == [np.float32(each) for each in expected]


def test_files_of_pairs_fare_as_their_pixels_do(service: RunningService) -> None:
    original, copy = encoded(noise()), encoded(noise())
    clear = np.dstack([noise(), np.zeros(SHAPE[:2], np.uint8)])
    over_white, over_black = (np.full(SHAPE, grey, np.uint8) for grey in (255, 0))
    work = [
        added(original, copy, outputs=["SCALES"]),
        added(encoded(FLAT, "PNG"), encoded(clear, "PNG")),
        added(original, copy[: len(copy) // 2]),
        added(original, copy, seconds=-1),
        added(original, copy, **{HUNG_UP: True}),
        added(encoded(noise(), "PNG"), encoded(noise(), "BMP")),  # more bytes than their pixels
    ]
    runs = {transport: Run(service, work, transport=transport) for transport in ("shm", "grpc")}
    assert sorted(runs["grpc"].shapes) == sorted(
        [(1, len(original)), (1, len(original)), (1, len(work[1].files[0])), (1, *SHAPE)]
    )
    pair, shown, *_ = runs["grpc"].outcomes
    versions = [over_white, over_black]
    worst = iqa.ms_ssim.score([FLAT, FLAT], versions).values.min()
    assert score(shown) == np.float32(worst)
    expected = iqa.ms_ssim.score([decoded(original)], [decoded(copy)], details=True)
    np.testing.assert_array_equal(outputs(pair)["SCALES"], np.float32(expected.details[0]))
    for by_pixels, by_files in zip(runs["shm"].outcomes, runs["grpc"].outcomes, strict=True):
        if isinstance(by_pixels, dict):
            assert score(by_files) == score(by_pixels)
        else:
            assert (type(by_files), str(by_files)) == (type(by_pixels), str(by_pixels))


def test_what_differs_does_not_share_a_request(service: RunningService) -> None:
    image = encoded(noise())
    work = [
        added(image),
        added(encoded(noise(OTHER_SHAPE))),
        added(image, outputs=["FEATURES"]),
        added(encoded(noise(), "PNG")),  # takes long, so that it is decoded in a thread
        added(image),
    ]
    run = Run(service, work)
    assert sorted(run.shapes) == sorted(
        [(2, *LUMA), (1, *OTHER_SHAPE[:2], 1), (1, *LUMA), (1, *LUMA)]
    )
    assert score(run.outcomes[0]) == score(run.outcomes[2]) == score(run.outcomes[4])
    assert outputs(run.outcomes[2])["FEATURES"].shape == (36,)


def test_failures_are_of_one_item(service: RunningService) -> None:
    good = [encoded(noise()) for _ in range(3)]
    work = [
        added(good[0]),
        added(encoded(FLAT)),
        added(good[1][: len(good[1]) // 2]),
        added(good[1]),
        added(good[1], seconds=-1),
        added(good[2], **{HUNG_UP: True}),
        added(good[2]),
    ]
    run = Run(service, work)
    assert run.shapes == [(4, *LUMA), *[(1, *LUMA)] * 4]  # what can be decoded; then each alone
    first, flat, damaged, second, late, left, third = run.outcomes
    expected = iqa.brisque.score([decoded(image) for image in good]).values
    assert [score(each) for each in (first, second, third)] == [np.float32(e) for e in expected]
    problems = [each.code for each in (flat, damaged, late) if isinstance(each, Problem)]
    assert problems == ["score_undefined", "invalid_image", "deadline_exceeded"]
    assert "image 2 of" not in str(flat)
    assert isinstance(left, ClientDisconnect)


def test_pairs_of_a_stack_that_failed_are_found_again(service: RunningService) -> None:
    pairs = [(encoded(noise()), encoded(noise())) for _ in range(3)]
    run = Run(service, [added(*pair) for pair in pairs], refused=1)
    assert run.shapes == [(3, *SHAPE), *[(1, *SHAPE)] * 3]
    pixels = zip(*(map(decoded, pair) for pair in pairs), strict=True)
    expected = iqa.ms_ssim.score(*map(list, pixels)).values
    assert [score(outcome) for outcome in run.outcomes] == [np.float32(each) for each in expected]


def test_a_stack_takes_what_fits(service: RunningService) -> None:
    image = encoded(noise())
    size = int(np.prod(LUMA))
    for most, expected in ((3 * size, [3, 3, 1]), (2 * size - 1, [1] * 7), (0, [1] * 7)):
        run = Run(service, [added(image) for _ in range(7)], most_bytes=most)
        assert [shape[0] for shape in run.shapes] == expected


def test_a_stack_is_not_larger_than_a_batch(service: RunningService) -> None:
    image = encoded(noise((16, 16, 3)))
    run = Run(service, [added(image) for _ in range(70)])
    assert [shape[0] for shape in run.shapes] == [64, 6]
    assert len(set(map(score, run.outcomes))) == 1


def test_no_request_is_made_when_all_are_late(service: RunningService) -> None:
    run = Run(service, [added(encoded(noise()), seconds=-1) for _ in range(3)])
    assert run.shapes == []
    assert ["deadline_exceeded" in str(outcome) for outcome in run.outcomes] == [True] * 3


def test_a_stack_has_the_time_of_who_waits_longest(service: RunningService) -> None:
    run = Run(service, [added(encoded(noise()), seconds=each) for each in (600, 2000, 1000)])
    assert run.shapes == [(3, *LUMA)]
    (patience,), (timeout,) = run.patience, run.timeouts
    assert 1000 < timeout <= patience <= 2000


def test_after_a_stack_that_failed_each_has_its_own_time(service: RunningService) -> None:
    run = Run(
        service, [added(encoded(noise()), seconds=each) for each in (600, 2000, 1000)], refused=1
    )
    assert run.shapes == [(3, *LUMA), *[(1, *LUMA)] * 3]
    first, second, third = run.timeouts[1:]
    assert 0 < first <= 600
    assert 1000 < second <= 2000
    assert 600 < third <= 1000


def test_after_a_stack_that_failed_no_request_is_made_for_who_is_late(
    service: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr("gateway.deadline.time", clock)
    work = [added(encoded(noise())) for _ in range(3)]
    run = Run(service, work, refused=1, at_refusal=lambda: clock.advance(60))
    assert run.shapes == [(3, *LUMA)]
    assert ["deadline_exceeded" in str(outcome) for outcome in run.outcomes] == [True] * 3
