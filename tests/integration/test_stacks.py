"""Items that are added at once: they share requests of Triton, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from starlette.requests import ClientDisconnect
from tritonclient.grpc import service_pb2 as protocol

import iqa
from decoding import open_picture
from decoding.errors import DecodingError
from gateway.admission import HUNG_UP, Deadline
from gateway.http.problems import Problem
from gateway.stacks import Item, Kind, Stacks
from gateway.triton.client import TritonClient
from gateway.triton.memory import Transport
from gateway.triton.messages import Outputs
from tests.conftest import RunningService

RANDOM = np.random.default_rng(5)
MEBIBYTE = 1 << 20
SHAPE = (176, 208, 3)
OTHER_SHAPE = (208, 176, 3)
FLAT = np.full(SHAPE, 9, np.uint8)

Added = tuple[Kind, Item]


def noise(shape: tuple[int, ...] = SHAPE) -> NDArray[np.uint8]:
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


def encoded(pixels: NDArray[np.uint8], file_format: str = "JPEG") -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, file_format)
    return file.getvalue()


def decoded(file: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(BytesIO(file)))


def added(*files: bytes, outputs: Sequence[str] = (), seconds: float = 30, **state: Any) -> Added:
    """An item for BRISQUE, or for MS-SSIM where there are two files."""
    model, inputs = (
        ("brisque", ("IMAGE",)) if len(files) == 1 else ("ms_ssim", ("REFERENCE", "DISTORTED"))
    )
    pictures = [open_picture(memoryview(file), max_pixels=MEBIBYTE) for file in files]
    shape = (pictures[0].height, pictures[0].width, pictures[0].channels)
    kind = Kind(model, inputs, shape, ("SCORE", *outputs))
    return kind, Item(pictures, Deadline(seconds, state), "id")


class Run:
    """What became of items that were added at once, and what Triton was asked.

    Attributes:
        outcomes: of each item.
        shapes: of the first input of each request.
    """

    def __init__(
        self,
        service: RunningService,
        threads: ThreadPoolExecutor,
        work: Sequence[Added],
        *,
        most_bytes: int = MEBIBYTE,
        transport: Transport = "shm",
        refused: int = 0,
    ) -> None:
        """Add the items at once; the first `refused` requests are answered for Triton."""
        self._refused = refused
        self.shapes: list[tuple[int, ...]] = []
        self.outcomes = asyncio.run(self._run(service, threads, work, most_bytes, transport))

    async def _run(
        self,
        service: RunningService,
        threads: ThreadPoolExecutor,
        work: Sequence[Added],
        most_bytes: int,
        transport: Transport,
    ) -> list[Outputs | Exception]:
        triton = TritonClient(
            service.grpc,
            transport,
            region_bytes=4 * MEBIBYTE,
            largest_slot=4 * MEBIBYTE,
            interceptors=[_Noting(self.shapes, self._refused)],
            bulky_interceptors=[_NotingBulky(self.shapes)],
        )
        triton.connect()
        try:
            for kind, _ in work:
                await triton.reach(kind.model)
            stacks = Stacks(triton, threads, most_bytes)
            tasks = [stacks.add(kind, item) for kind, item in work]
            return [(await task)[item] for task, (_, item) in zip(tasks, work, strict=True)]
        finally:
            await triton.close()


class _Noting(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc]  # untyped
    """Notes the shapes that Triton is asked to score; the first requests are refused for it."""

    def __init__(self, shapes: list[tuple[int, ...]], refused: int) -> None:
        self._shapes, self._refused = shapes, refused

    async def intercept_unary_unary(self, proceed: Any, details: Any, request: Any) -> Any:
        if isinstance(request, protocol.ModelInferRequest):
            self._shapes.append(tuple(request.inputs[0].shape))
            if len(self._shapes) <= self._refused:
                nothing = grpc.aio.Metadata()
                status = grpc.StatusCode.INVALID_ARGUMENT
                raise grpc.aio.AioRpcError(status, nothing, nothing, "score_undefined: of one")
        return await proceed(details, request)


class _NotingBulky(grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc]  # untyped
    def __init__(self, shapes: list[tuple[int, ...]]) -> None:
        self._shapes = shapes

    def intercept_unary_unary(self, proceed: Any, details: Any, request: Any) -> Any:
        self._shapes.append(tuple(request.inputs[0].shape))
        return proceed(details, request)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


def score(outcome: Outputs | Exception) -> float:
    assert isinstance(outcome, dict), outcome
    assert outcome["SCORE"].shape == (1,)
    return float(outcome["SCORE"][0])


@pytest.mark.parametrize("transport", ["shm", "grpc"])
def test_each_gets_its_own_score(
    service: RunningService, threads: ThreadPoolExecutor, transport: Transport
) -> None:
    images = [encoded(noise()) for _ in range(4)]
    pairs = [(encoded(noise()), encoded(noise())) for _ in range(3)]
    work = [added(image) for image in images] + [added(*pair) for pair in pairs]
    run = Run(service, threads, work, transport=transport)
    assert sorted(run.shapes) == [(3, *SHAPE), (4, *SHAPE)]
    pixels = zip(*(map(decoded, pair) for pair in pairs), strict=True)
    expected = [
        *iqa.brisque.score([decoded(image) for image in images]).values,
        *iqa.ms_ssim.score(*map(list, pixels)).values,
    ]
    assert [score(outcome) for outcome in run.outcomes] == [np.float32(each) for each in expected]


def test_what_differs_does_not_share_a_request(
    service: RunningService, threads: ThreadPoolExecutor
) -> None:
    image = encoded(noise())
    work = [
        added(image),
        added(encoded(noise(OTHER_SHAPE))),
        added(image, outputs=["FEATURES"]),
        added(encoded(noise(), "PNG")),  # takes long, so that it is decoded in a thread
        added(image),
    ]
    run = Run(service, threads, work)
    assert sorted(run.shapes) == sorted([(2, *SHAPE), (1, *OTHER_SHAPE), (1, *SHAPE), (1, *SHAPE)])
    assert score(run.outcomes[0]) == score(run.outcomes[2]) == score(run.outcomes[4])
    assert run.outcomes[2]["FEATURES"].shape == (36,)  # type: ignore[index]  # a score, see above


def test_failures_are_of_one_item(service: RunningService, threads: ThreadPoolExecutor) -> None:
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
    run = Run(service, threads, work)
    assert run.shapes == [(4, *SHAPE), *[(1, *SHAPE)] * 4]  # what can be decoded; then each alone
    first, flat, damaged, second, late, left, third = run.outcomes
    expected = iqa.brisque.score([decoded(image) for image in good]).values
    assert [score(each) for each in (first, second, third)] == [np.float32(e) for e in expected]
    problems = [
        each.code for each in (flat, damaged, late) if isinstance(each, Problem | DecodingError)
    ]
    assert problems == ["score_undefined", "invalid_image", "deadline_exceeded"]
    assert "image 2 of" not in str(flat)
    assert isinstance(left, ClientDisconnect)


def test_pairs_of_a_stack_that_failed_are_found_again(
    service: RunningService, threads: ThreadPoolExecutor
) -> None:
    pairs = [(encoded(noise()), encoded(noise())) for _ in range(3)]
    run = Run(service, threads, [added(*pair) for pair in pairs], refused=1)
    assert run.shapes == [(3, *SHAPE), *[(1, *SHAPE)] * 3]
    pixels = zip(*(map(decoded, pair) for pair in pairs), strict=True)
    expected = iqa.ms_ssim.score(*map(list, pixels)).values
    assert [score(outcome) for outcome in run.outcomes] == [np.float32(each) for each in expected]


def test_a_stack_takes_what_fits(service: RunningService, threads: ThreadPoolExecutor) -> None:
    image = encoded(noise())
    size = int(np.prod(SHAPE))
    for most, expected in ((3 * size, [3, 3, 1]), (2 * size - 1, [1] * 7), (0, [1] * 7)):
        run = Run(service, threads, [added(image) for _ in range(7)], most_bytes=most)
        assert [shape[0] for shape in run.shapes] == expected


def test_a_stack_is_not_larger_than_a_batch(
    service: RunningService, threads: ThreadPoolExecutor
) -> None:
    image = encoded(noise((16, 16, 3)))
    run = Run(service, threads, [added(image) for _ in range(70)])
    assert [shape[0] for shape in run.shapes] == [64, 6]
    assert len(set(map(score, run.outcomes))) == 1


def test_no_request_is_made_when_all_are_late(
    service: RunningService, threads: ThreadPoolExecutor
) -> None:
    with pytest.raises(Problem, match="deadline_exceeded"):
        Run(service, threads, [added(encoded(noise()), seconds=-1) for _ in range(3)])
