"""Far more requests than are admitted: the rest is refused at once, and costs Triton nothing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import httpx
import pytest

from perf.load.exchanges import Exchange, RefusedError
from tests.conftest import RunningService, launch, stop, wait_until_ready

ADMITTED = 2
CLIENTS = 64
REQUESTS = 1000


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    log = tmp_path_factory.mktemp("small") / "log"
    running = launch(log, "--workers=1", IQA_MAX_IN_FLIGHT=str(ADMITTED))
    try:
        wait_until_ready(running)
        yield running
    finally:
        assert stop(running) == 0


async def test_what_is_too_much_is_refused_at_once_and_never_reaches_triton(
    small: RunningService, exchanges: list[Exchange]
) -> None:
    singles = [each for each in exchanges if each.path.endswith("/brisque/")]
    scored = [each for each in singles if isinstance(each.expected, tuple)]
    before = inferences(small)
    answers = await burst(small.url, [scored[n % len(scored)] for n in range(REQUESTS)])
    after = inferences(small)

    right = [answer for answer, refusal in answers if refusal is None]
    refused = [answer for answer, refusal in answers if refusal == "overloaded"]
    assert len(right) + len(refused) == REQUESTS
    assert len(right) >= ADMITTED
    assert len(refused) > REQUESTS / 10
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}

    # One inference for each request that was admitted. The probes of readiness ask both models,
    # and may just have asked one of them.
    asked = {model: after[model] - before[model] for model in after}
    assert abs(asked["brisque"] - asked["ms_ssim"] - len(right)) <= 1

    seconds = mean_seconds(small)
    print(f"admitted {seconds['200'] * 1e3:.1f} ms, refused {seconds['503'] * 1e3:.2f} ms")
    assert seconds["503"] < seconds["200"] / 5


async def burst(url: str, exchanges: list[Exchange]) -> list[tuple[httpx.Response, str | None]]:
    """The answers, and the code of each clear refusal, of requests sent by many clients at once."""
    limits = httpx.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:

        async def ask(exchange: Exchange) -> tuple[httpx.Response, str | None]:
            headers = {"Content-Type": exchange.content_type}
            answer = await client.post(exchange.path, content=exchange.body, headers=headers)
            kind = answer.headers["content-type"]
            try:
                exchange.check(answer.status_code, kind, answer.content)
            except RefusedError as refusal:
                return answer, str(refusal)
            return answer, None

        return await asyncio.gather(*map(ask, exchanges))


def inferences(service: RunningService) -> dict[str, int]:
    """Requests that each model has had, by Triton's own count."""
    text = httpx.get(f"http://{service.metrics}/metrics").text
    counts = {"brisque": 0, "ms_ssim": 0}
    pattern = r'^nv_inference_request_(?:success|failure)\{.*?model="(\w+)".*\} (\d+)$'
    for model, count in re.findall(pattern, text, re.MULTILINE):
        counts[model] += int(count)
    return counts


def mean_seconds(service: RunningService) -> dict[str, float]:
    """Time from a scoring request's headers to the end of its answer, by status."""
    text = httpx.get(f"{service.url}/metrics").text
    route = 'http_route="/api/v1/iqa/nr/brisque/"'
    pattern = r'duration_seconds_{}{{.*status_code="(\d+)".*{}.*}} (\S+)$'
    totals, counts = (
        {
            status: float(value)
            for status, value in re.findall(pattern.format(kind, route), text, re.MULTILINE)
        }
        for kind in ("sum", "count")
    )
    return {status: totals[status] / counts[status] for status in totals}
