"""Busy is not dead: ready means that scores come out, however many others wait for theirs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import grpc
import httpx
import pytest
from tritonclient.grpc import service_pb2 as protocol
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from perf.load.exchanges import singles
from perf.load.pictures import picture_set
from perf.load.traffic import Traffic
from tests.conftest import RunningService, running
from tests.reliability.conftest import THEIR_METRICS
from tests.reliability.hindered import Hindered, hindered

PAUSE = 0.02  # seconds for each request: more than one for a full batch
QUEUE = 500
NOTICED = 2.5  # seconds after which a model that hangs is known to, and the time of an answer


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Hindered:
    return hindered(tmp_path_factory.mktemp("slow"), PAUSE)


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory, models: Hindered) -> Iterator[RunningService]:
    """Its shared memory is full with a few pictures."""
    log = tmp_path_factory.mktemp("slow-log") / "log"
    options = ("--workers=1", THEIR_METRICS, f"--model-repository={models.repository}")
    with running(log, *options, IQA_SHM_MEGABYTES="1") as service:
        yield service


async def polls(url: str, until: asyncio.Future[object]) -> list[int]:
    """What the probe of an orchestrator sees meanwhile."""
    seen = []
    async with httpx.AsyncClient(base_url=url, timeout=10) as client:
        while not until.done():
            seen.append((await client.get("/readyz")).status_code)
            await asyncio.sleep(0.05)
    return seen


async def test_a_gateway_that_is_full_of_pictures_is_ready(slow: RunningService) -> None:
    pictures = list(singles(picture_set(width=320, height=256)[:2]))

    async def load() -> None:
        async with Traffic(slow.url, pictures, clients=48) as traffic:
            await traffic.more(200)
        assert traffic.tally.right == traffic.tally.total, traffic.tally

    work = asyncio.ensure_future(load())
    assert set(await polls(slow.url, work)) == {200}
    await work


async def test_a_queue_that_others_have_filled_is_no_reason_not_to_be_ready(
    slow: RunningService,
) -> None:
    """Direct clients of Triton: the gateway itself sees nothing of their answers."""
    call = protocol.ModelInferRequest(model_name="brisque")
    call.inputs.add(name="IMAGE", datatype="UINT8", shape=(1, 16, 16, 1))
    call.outputs.add(name="SCORE")
    call.raw_input_contents.append(bytes(range(256)))
    async with grpc.aio.insecure_channel(slow.grpc) as channel:
        infer = GRPCInferenceServiceStub(channel).ModelInfer
        work = asyncio.gather(*(infer(call, timeout=60) for _ in range(QUEUE)))
        assert set(await polls(slow.url, work)) == {200}
        await work


async def test_a_model_that_hangs_is_noticed_soon_and_so_is_its_return(
    slow: RunningService, models: Hindered
) -> None:
    async with httpx.AsyncClient(base_url=slow.url, timeout=10) as client:
        with models.waiting():
            started = time.monotonic()
            while (answer := await client.get("/readyz")).status_code == 200:
                assert time.monotonic() < started + 2 * NOTICED
            assert "brisque" in answer.json()["detail"]
            assert "ms_ssim" not in answer.json()["detail"]
            print(f"noticed after {time.monotonic() - started:.1f} s")
        while (await client.get("/readyz")).status_code != 200:
            assert time.monotonic() < started + 60
