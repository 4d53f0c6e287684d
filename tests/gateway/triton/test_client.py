"""What the gateway makes of Triton's answers, and what it never asks of it: with a stand-in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO

import grpc
import numpy as np
import pytest
from PIL import Image
from starlette.requests import ClientDisconnect
from tritonclient.grpc import service_pb2 as protocol
from tritonclient.grpc.model_config_pb2 import ModelConfig
from tritonclient.grpc.service_pb2_grpc import (
    GRPCInferenceServiceServicer,
    add_GRPCInferenceServiceServicer_to_server,
)

from decoding import Picture, Pixels, open_picture
from decoding.pictures import WHITE
from gateway.admission import Admission
from gateway.deadline import HUNG_UP, Deadline
from gateway.http.problems import Problem
from gateway.item import Caller, Item
from gateway.pipeline import Pipeline
from gateway.settings import Settings
from gateway.source import Source
from gateway.triton import client as client_module
from gateway.triton import readiness as readiness_module
from gateway.triton.client import TritonClient
from gateway.triton.messages import Tensor
from gateway.triton.readiness import MEMORY, Readiness
from iqa.catalogue import metric

BRISQUE = metric("brisque")
TENSORS = [Tensor("IMAGE", (1, 16, 16, 1), 0)]


class StandIn(GRPCInferenceServiceServicer):
    """Answers as Triton does.

    Attributes:
        regions: shared memory that it maps.
        asked: requests for inferences that it took.
        refusal: what it answers them with; None: a score.
        gate: when it answers.
    """

    def __init__(self) -> None:
        self.regions: list[str] = []
        self.asked: list[protocol.ModelInferRequest] = []
        self.refusal: tuple[grpc.StatusCode, str] | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def ModelConfig(self, *_: object) -> protocol.ModelConfigResponse:  # noqa: N802
        return protocol.ModelConfigResponse(config=ModelConfig(max_batch_size=64))

    async def ModelStatistics(self, *_: object) -> protocol.ModelStatisticsResponse:  # noqa: N802
        return protocol.ModelStatisticsResponse(model_stats=[protocol.ModelStatistics()])

    async def SystemSharedMemoryStatus(  # noqa: N802
        self, *_: object
    ) -> protocol.SystemSharedMemoryStatusResponse:
        return protocol.SystemSharedMemoryStatusResponse()

    async def SystemSharedMemoryRegister(  # noqa: N802
        self, request: protocol.SystemSharedMemoryRegisterRequest, _: object
    ) -> protocol.SystemSharedMemoryRegisterResponse:
        self.regions.append(request.name)
        return protocol.SystemSharedMemoryRegisterResponse()

    async def SystemSharedMemoryUnregister(  # noqa: N802
        self, request: protocol.SystemSharedMemoryUnregisterRequest, _: object
    ) -> protocol.SystemSharedMemoryUnregisterResponse:
        self.regions.remove(request.name)
        return protocol.SystemSharedMemoryUnregisterResponse()

    async def ModelInfer(  # noqa: N802
        self, request: protocol.ModelInferRequest, context: grpc.aio.ServicerContext
    ) -> protocol.ModelInferResponse:
        region = region_of(request)
        if region and region not in self.regions:
            words = f"Unable to find shared memory region: '{region}'"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, words)
        self.asked.append(request)
        await self.gate.wait()
        if self.refusal:
            await context.abort(*self.refusal)
        scores = np.full((request.inputs[0].shape[0], 1), 7, np.float32)
        answer = protocol.ModelInferResponse(raw_output_contents=[scores.tobytes()])
        answer.outputs.add(name="SCORE", datatype="FP32", shape=scores.shape)
        return answer


def region_of(request: protocol.ModelInferRequest) -> str:
    """The shared memory that a request points to; empty where its pixels are in it."""
    parameters = request.inputs[0].parameters
    key = "shared_memory_region"
    return parameters[key].string_param if key in parameters else ""


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[StandIn, TritonClient]]:
    triton, server = StandIn(), grpc.aio.server()
    add_GRPCInferenceServiceServicer_to_server(triton, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    address = f"127.0.0.1:{port}"
    client = TritonClient(address, "shm", region_bytes=1 << 20, largest_slot=1 << 20)
    client.connect()
    try:
        yield triton, client
    finally:
        triton.gate.set()
        await client.close()
        await server.stop(None)


async def infer(client: TritonClient) -> float:
    slot = await client.slot(256, 10)
    try:
        outputs = await client.infer("brisque", TENSORS, slot, timeout=10)
        return float(outputs["SCORE"][0, 0])
    finally:
        slot.release()


async def test_a_restarted_triton_maps_the_memory_again() -> None:
    async with connected() as (triton, client):
        assert await infer(client) == 7
        before = list(triton.regions)
        triton.regions.clear()  # as one that was started anew
        assert await infer(client) == 7
        assert triton.regions == before
        assert [region_of(request) for request in triton.asked] == before * 2


@pytest.mark.parametrize(
    ("status", "words", "code", "retry_after"),
    [
        ("UNAVAILABLE", "Request for model failed: Exceeds maximum queue size", "overloaded", 1),
        ("UNAVAILABLE", "Request timeout expired", "deadline_exceeded", None),
        ("INTERNAL", "Failed to increase the shared memory pool size", "out_of_memory", None),
        ("INVALID_ARGUMENT", "invalid_image: Send another.", "invalid_image", None),
        ("INTERNAL", "Stub process 'brisque' is not healthy.", "backend_unavailable", 5),
        ("NOT_FOUND", "Request for unknown model", "backend_unavailable", 5),
    ],
)
async def test_each_refusal_has_its_code(
    status: str, words: str, code: str, retry_after: int | None
) -> None:
    async with connected() as (triton, client):
        triton.refusal = grpc.StatusCode[status], words
        with pytest.raises(Problem) as caught:
            await infer(client)
        assert (caught.value.code, caught.value.retry_after) == (code, retry_after)
        assert len(triton.asked) == 1


class Clock:
    """Stands for `time`, so that seconds pass when the test says so."""

    def __init__(self) -> None:
        self.now = time.time()

    def monotonic(self) -> float:
        return self.now

    time = monotonic


async def test_an_answer_to_whether_it_is_ready_holds_for_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr(client_module, "time", clock)
    monkeypatch.setattr(readiness_module, "time", clock)
    async with connected() as (triton, client):
        readiness = Readiness(client, [BRISQUE])
        assert [await readiness.silent_models() for _ in range(10)] == [[]] * 10
        clock.now += 0.4
        assert await readiness.silent_models() == []
        assert len(triton.asked) == 1
        clock.now += MEMORY
        assert await readiness.silent_models() == []
        assert len(triton.asked) == 2
        clock.now += 2 * MEMORY
        triton.refusal = grpc.StatusCode.INTERNAL, "Stub process is not healthy."
        monkeypatch.setattr(readiness_module, "TIMEOUT", 0.2)
        assert await readiness.silent_models() == ["brisque"]


def jpeg() -> memoryview:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    file = BytesIO()
    Image.fromarray(noise).save(file, "JPEG")
    return memoryview(file.getvalue())


def item_of(caller: Caller) -> Item:
    return Item(caller, [BRISQUE], [Source(jpeg())])


class Interrupted:
    """A picture during whose decoding something happens; see `Picture`."""

    def __init__(self, picture: Picture) -> None:
        self.height, self.width, self.channels = picture.height, picture.width, picture.channels
        self.is_fast, self.has_alpha = picture.is_fast, picture.has_alpha
        self._picture = picture

    def happen(self) -> None:
        """What happens."""

    def decode(self, out: Pixels, background: int = WHITE) -> bool:
        """Write the pixels."""
        self.happen()
        return self._picture.decode(out, background)


@pytest.mark.parametrize("event", ["client leaves", "deadline passes"])
async def test_what_nobody_waits_for_any_more_once_it_is_decoded_costs_no_inference(
    event: str,
) -> None:
    admission = Admission(8, 1 << 20)
    state: dict[str, object] = {}
    async with connected() as (triton, client):
        pipeline = Pipeline(Settings(), client, 1 << 20)
        with admission.admit() as room:
            caller = Caller(Deadline(60, state), room, "id")
            item = item_of(caller)
            picture = Interrupted(open_picture(jpeg()))
            item.sources[0].picture = picture
            if event == "client leaves":
                picture.happen = lambda: state.update({HUNG_UP: True})
                with pytest.raises(ClientDisconnect):
                    await pipeline.score(item)
            else:
                picture.happen = lambda: setattr(caller, "deadline", Deadline(0, state))
                with pytest.raises(Problem, match="deadline_exceeded"):
                    await pipeline.score(item)
        assert triton.asked == []


async def test_work_that_goes_on_without_its_client_counts_until_it_has_ended() -> None:
    admission = Admission(8, 1 << 20)
    async with connected() as (triton, client):
        pipeline = Pipeline(Settings(), client, 1 << 20)
        triton.gate.clear()
        with admission.admit() as room:
            item = item_of(Caller(Deadline(60, {}), room, "id"))
            await pipeline.admit([item])
            scoring = asyncio.ensure_future(pipeline.score(item))
            async with asyncio.timeout(60):
                while not triton.asked:
                    await asyncio.sleep(0.01)
            scoring.cancel()
            with pytest.raises(asyncio.CancelledError):
                await scoring
        assert admission.pixels == item.work
        triton.gate.set()
        async with asyncio.timeout(60):
            while admission.pixels:
                await asyncio.sleep(0.01)
