"""Work that nobody waits for is not done: deadlines hold in Triton, who leaves ends his.

The model waits meanwhile for a file to be gone, so that everything has to wait.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import httpx
import pytest
from tritonclient.grpc import service_pb2 as protocol
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from launcher.options import REPOSITORY
from perf.load import faults
from perf.load.exchanges import Exchange, singles
from perf.load.pictures import picture_set
from tests.conftest import RunningService, launch, stop, wait_until_ready
from tests.reliability.test_faults import in_flight

SIDES = (320, 256)
MEBIBYTES = 24  # of shared memory...
SLOTS = (MEBIBYTES << 20) // (320 * 256)  # ...and the pictures, of whole pages, that fit
QUEUE = 1024  # max_queue_size of the models
TAKEN = 2 * 64  # most that their two instances have in work, which count as no longer in the queue

SCORED, REJECTED = "count", "request_failure"  # images, and requests with as many as were stacked

WAITING_MODEL = """

class TritonPythonModel(TritonPythonModel):
    def execute(self, requests):
        import os, time
        while os.path.exists({file!r}):
            time.sleep(0.01)
        return super().execute(requests)
"""


@pytest.fixture(scope="module")
def obstacle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("obstacle") / "file"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, obstacle: Path) -> Path:
    """The models; BRISQUE does nothing while the obstacle is there."""
    folder = tmp_path_factory.mktemp("repository") / "models"
    shutil.copytree(REPOSITORY, folder, ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / "brisque" / "1" / "model.py").open("a") as model:
        model.write(WAITING_MODEL.format(file=str(obstacle)))
    return folder


@pytest.fixture(scope="module")
def held_up(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[RunningService]:
    log = tmp_path_factory.mktemp("held_up") / "log"
    options = ("--workers=1", f"--model-repository={repository}")
    running = launch(log, *options, IQA_SHM_MEGABYTES=str(MEBIBYTES))
    try:
        wait_until_ready(running)
        yield running
    finally:
        assert stop(running) == 0


@pytest.fixture(scope="module")
def picture() -> Exchange:
    width, height = SIDES
    return next(singles(picture_set(width=width, height=height)[:1]))


@contextmanager
def waiting_model(obstacle: Path) -> Iterator[None]:
    obstacle.touch()
    try:
        yield
    finally:
        obstacle.unlink()


def counted(service: RunningService, what: str) -> int:
    """What Triton counted of BRISQUE; not the probes, which ask both models."""
    text = httpx.get(f"http://{service.metrics}/metrics").text
    pattern = rf'^nv_inference_{what}\{{.*?model="%s".*\}} (\d+)$'
    brisque, ms_ssim = (
        sum(map(int, re.findall(pattern % model, text, re.MULTILINE)))
        for model in ("brisque", "ms_ssim")
    )
    return brisque - ms_ssim


async def settled(service: RunningService, picture: Exchange) -> None:
    """Wait until what came before is done, which the scores of some more requests show."""
    async with httpx.AsyncClient(base_url=service.url, timeout=60) as client:
        for _ in range(8):
            answer = await ask(client, picture)
            picture.check(answer.status_code, answer.headers["content-type"], answer.content)
    await asyncio.sleep(0.5)  # Triton counts a moment later


async def ask(client: httpx.AsyncClient, exchange: Exchange, timeout: str = "30") -> httpx.Response:
    headers = {"Content-Type": exchange.content_type, "X-Request-Timeout": timeout}
    return await client.post(exchange.path, content=exchange.body, headers=headers)


async def test_a_deadline_that_passes_in_tritons_queue_ends_there(
    held_up: RunningService, picture: Exchange, obstacle: Path
) -> None:
    requests = SLOTS
    await settled(held_up, picture)
    rejected, scored = counted(held_up, REJECTED), counted(held_up, SCORED)
    limits = httpx.Limits(max_connections=requests)
    async with httpx.AsyncClient(base_url=held_up.url, timeout=60, limits=limits) as client:
        with waiting_model(obstacle):
            answers = await asyncio.gather(
                *(ask(client, picture, timeout="3") for _ in range(requests))
            )
        assert {answer.status_code for answer in answers} == {504}
        assert {answer.json()["code"] for answer in answers} == {"deadline_exceeded"}
        await settled(held_up, picture)
    rejected = counted(held_up, REJECTED) - rejected
    scored = counted(held_up, SCORED) - scored - 8
    print(f"of {requests} late images Triton scored {scored}; it rejected {rejected} requests")
    assert scored <= TAKEN + 1
    assert rejected > 0


async def test_work_of_clients_that_left_never_reaches_triton(
    held_up: RunningService, picture: Exchange, obstacle: Path
) -> None:
    port = httpx.URL(held_up.url).port
    assert port
    await settled(held_up, picture)
    rejected, scored = counted(held_up, REJECTED), counted(held_up, SCORED)
    limits = httpx.Limits(max_connections=SLOTS + 1)
    async with httpx.AsyncClient(base_url=held_up.url, timeout=60, limits=limits) as client:
        with waiting_model(obstacle):
            patient = [asyncio.create_task(ask(client, picture)) for _ in range(SLOTS)]
            await in_flight(client, SLOTS)
            leaving = (faults.hang_up(port, picture, sent=1.0, patience=1) for _ in range(30))
            await asyncio.gather(*leaving)
        for answer in await asyncio.gather(*patient):
            picture.check(answer.status_code, answer.headers["content-type"], answer.content)
        await settled(held_up, picture)
    assert counted(held_up, REJECTED) == rejected
    assert abs(counted(held_up, SCORED) - scored - 8 - SLOTS) <= 1


async def test_tritons_queue_refuses_what_is_too_much(
    held_up: RunningService, picture: Exchange, obstacle: Path
) -> None:
    requests = QUEUE + TAKEN + 100
    call = protocol.ModelInferRequest(model_name="brisque")
    call.inputs.add(name="IMAGE", datatype="UINT8", shape=(1, 16, 16, 1))
    call.outputs.add(name="SCORE")
    call.raw_input_contents.append(bytes(range(256)))
    async with grpc.aio.insecure_channel(held_up.grpc) as channel:
        infer = GRPCInferenceServiceStub(channel).ModelInfer
        with waiting_model(obstacle):
            calls = [asyncio.ensure_future(infer(call, timeout=60).code()) for _ in range(requests)]
            await asyncio.sleep(1)
            refused = [call.result().name for call in calls if call.done()]
            print(f"of {requests} Triton refused {len(refused)} at once")
        codes = [(await call).name for call in calls]
    assert len(refused) >= 100
    assert set(refused) == {"UNAVAILABLE"}
    assert codes.count("OK") >= QUEUE
    await settled(held_up, picture)
