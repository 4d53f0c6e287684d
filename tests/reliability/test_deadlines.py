"""Work that nobody waits for is not done: deadlines hold in Triton, who leaves ends his.

The model waits meanwhile for a file to be gone, so that everything has to wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import grpc
import httpx
import pytest
from tritonclient.grpc import service_pb2 as protocol
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from perf.load import faults
from perf.load.exchanges import Exchange, singles
from perf.load.pictures import photograph
from tests.conftest import RunningService, running
from tests.reliability.hindered import NEVER_STUCK, Hindered, hindered
from tests.reliability.test_faults import in_flight

SIDES = (320, 256)
MEBIBYTES = 24  # of shared memory...
SLOTS = (MEBIBYTES << 20) // (320 * 256)  # ...and the pictures, of whole pages, that fit
LEAVING = 30
QUEUE = 1024  # max_queue_size of the models
TAKEN = 2 * 64  # most that their two instances have in work, which count as no longer in the queue
PATIENCE = httpx.Timeout(120, pool=None)  # seconds; a busy machine may take long to connect


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Hindered:
    return hindered(tmp_path_factory.mktemp("held-up"))


@pytest.fixture(scope="module")
def held_up(tmp_path_factory: pytest.TempPathFactory, models: Hindered) -> Iterator[RunningService]:
    log = tmp_path_factory.mktemp("held-up-log") / "log"
    options = ("--workers=1", "--metrics=brisque", f"--model-repository={models.repository}")
    with running(log, *options, prelude=NEVER_STUCK, IQA_SHM_MEGABYTES=str(MEBIBYTES)) as service:
        yield service


@pytest.fixture(scope="module")
def picture() -> Exchange:
    return next(singles([photograph(*SIDES)]))


def client_of(service: RunningService, connections: int) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=connections)
    return httpx.AsyncClient(base_url=service.url, timeout=PATIENCE, limits=limits)


async def ask(
    client: httpx.AsyncClient, exchange: Exchange, name: str, timeout: str = "110"
) -> httpx.Response:
    """Send a request that has an id and a deadline."""
    headers = {
        "Content-Type": exchange.content_type,
        "X-Request-Timeout": timeout,
        "X-Request-ID": name,
    }
    return await client.post(exchange.path, content=exchange.body, headers=headers)


async def settled(client: httpx.AsyncClient, exchange: Exchange) -> None:
    """Wait until what waited in Triton's queue is done, which the score of a later one shows."""
    for _ in range(2):  # one for each instance
        answer = await ask(client, exchange, "later")
        exchange.check(answer.status_code, answer.headers["content-type"], answer.content)


async def test_a_deadline_that_passes_in_tritons_queue_ends_there(
    held_up: RunningService, models: Hindered, picture: Exchange
) -> None:
    names = [f"late-{number}" for number in range(SLOTS)]
    async with client_of(held_up, SLOTS) as client:
        with models.waiting():
            answers = await asyncio.gather(*(ask(client, picture, each, "10") for each in names))
        assert {answer.status_code for answer in answers} == {504}
        assert {answer.json()["code"] for answer in answers} == {"deadline_exceeded"}
        await settled(client, picture)
    scored = models.scored()
    late = sum(scored[name] for name in names)
    print(f"of {SLOTS} late images Triton scored {late}")
    assert 0 < late <= TAKEN


async def test_work_of_clients_that_left_never_reaches_triton(
    held_up: RunningService, models: Hindered, picture: Exchange
) -> None:
    names = [f"patient-{number}" for number in range(SLOTS)]
    before = models.scored()
    async with client_of(held_up, SLOTS + 1) as client:
        with models.waiting():
            patient = [asyncio.create_task(ask(client, picture, name)) for name in names]
            await in_flight(client, SLOTS)
            leaving = [
                asyncio.create_task(faults.hang_up(held_up.port, picture, sent=1.0, patience=600))
                for _ in range(LEAVING)
            ]
            await in_flight(client, SLOTS + LEAVING)  # they wait for memory
            for client_that_leaves in leaving:
                client_that_leaves.cancel()
            await asyncio.gather(*leaving, return_exceptions=True)
            await client.get("/healthz")  # after which the worker has heard of it
        for answer in await asyncio.gather(*patient):
            picture.check(answer.status_code, answer.headers["content-type"], answer.content)
        await in_flight(client, 0)
        await settled(client, picture)
    scored = models.scored() - before
    del scored["later"]
    assert scored == dict.fromkeys(names, 1)


async def test_tritons_queue_refuses_what_is_too_much(
    held_up: RunningService, models: Hindered
) -> None:
    requests = QUEUE + TAKEN + 100
    call = protocol.ModelInferRequest(model_name="brisque")
    call.inputs.add(name="IMAGE", datatype="UINT8", shape=(1, 16, 16, 1))
    call.outputs.add(name="SCORE")
    call.raw_input_contents.append(bytes(range(256)))
    async with grpc.aio.insecure_channel(held_up.grpc) as channel:
        infer = GRPCInferenceServiceStub(channel).ModelInfer
        with models.waiting():
            calls = [
                asyncio.ensure_future(infer(call, timeout=120).code()) for _ in range(requests)
            ]
            async with asyncio.timeout(60):
                while sum(each.done() for each in calls) < 100:
                    await asyncio.sleep(0.01)
        codes = [(await each).name for each in calls]
    assert codes.count("UNAVAILABLE") >= 100  # at once, while the model did nothing
    assert codes.count("OK") >= QUEUE
    assert codes.count("OK") + codes.count("UNAVAILABLE") == requests
