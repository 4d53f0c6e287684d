"""Far more requests than are admitted: the rest is refused at once, and costs Triton nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from perf.load.exchanges import Exchange, RefusedError, singles
from perf.load.pictures import photograph
from tests.conftest import RunningService, running
from tests.reliability.hindered import NEVER_STUCK, Hindered, hindered
from tests.reliability.test_deadlines import ask, client_of
from tests.reliability.test_faults import in_flight

ADMITTED = 2  # pictures of 768x512: a third one would exceed 1 megapixel
CLIENTS = 64
REFUSED = 500


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Hindered:
    return hindered(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, models: Hindered) -> Iterator[RunningService]:
    log = tmp_path_factory.mktemp("small-log") / "log"
    options = ("--workers=1", "--metrics=brisque", f"--model-repository={models.repository}")
    with running(log, *options, prelude=NEVER_STUCK, IQA_MAX_MEGAPIXELS="1") as service:
        yield service


async def test_what_is_too_much_is_refused_at_once_and_never_reaches_triton(
    small: RunningService, models: Hindered
) -> None:
    picture = next(singles([photograph(768, 512)]))
    names = [f"admitted-{number}" for number in range(ADMITTED)]
    async with client_of(small, CLIENTS) as client:
        with models.waiting():  # those admitted are not done before all others were refused
            admitted = [asyncio.create_task(ask(client, picture, name)) for name in names]
            await in_flight(client, ADMITTED)
            answers = await asyncio.gather(
                *(ask(client, picture, f"refused-{number}") for number in range(REFUSED))
            )
            assert not any(task.done() for task in admitted)
        assert {code(picture, answer) for answer in answers} == {"overloaded"}
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)
        for task in admitted:
            assert code(picture, await task) is None
    assert models.scored() == dict.fromkeys(names, 1)


def code(exchange: Exchange, answer: httpx.Response) -> str | None:
    """Of a clear refusal; None for the right answer."""
    try:
        exchange.check(answer.status_code, answer.headers["content-type"], answer.content)
    except RefusedError as refusal:
        return str(refusal)
    return None
