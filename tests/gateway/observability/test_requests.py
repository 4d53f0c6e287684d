"""Each request has an id, a log line and a place in the metrics, none of which clients make up."""

from __future__ import annotations

import logging

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from gateway.observability.metrics import REQUEST_SECONDS
from gateway.observability.requests import RequestTelemetry


async def name(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.state.request_id)


@pytest.fixture
def client() -> httpx.AsyncClient:
    app = RequestTelemetry(Starlette(routes=[Route("/known/{word}", name)]))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


def routes() -> set[str]:
    (family,) = REQUEST_SECONDS.collect()
    return {sample.labels["http_route"] for sample in family.samples}


async def test_paths_that_clients_make_up_make_no_series(client: httpx.AsyncClient) -> None:
    before = routes()
    for number in range(5):
        assert (await client.get(f"/made/up/{number}?q={number}")).status_code == 404
        assert (await client.get(f"/known/{number}")).status_code == 200
    assert routes() - before <= {"unmatched", "/known/{word}"}
    assert routes() >= {"unmatched", "/known/{word}"}


async def test_a_line_has_route_and_id_and_nothing_of_the_address(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gateway.requests")
    await client.get("/known/secret?key=secret", headers={"X-Request-ID": "mine"})
    await client.get("/secret", headers={"X-Request-ID": "mine"})
    lines = [record for record in caplog.records if record.name == "gateway.requests"]
    assert [line.getMessage() for line in lines] == ["GET /known/{word} 200", "GET unmatched 404"]
    assert {vars(line)["request_id"] for line in lines} == {"mine"}
    assert all("secret" not in str(vars(line)) for line in lines)


@pytest.mark.parametrize("given", ["a-b.c:d_1", "x" * 128])
async def test_a_plain_id_is_kept(client: httpx.AsyncClient, given: str) -> None:
    answer = await client.get("/known/a", headers={"X-Request-ID": given})
    assert answer.headers["X-Request-ID"] == answer.text == given


@pytest.mark.parametrize("given", ["", "a b", "a\tb", "<b>", "a\x00", "ä", "x" * 129, "a;b"])
async def test_another_id_is_replaced(client: httpx.AsyncClient, given: str) -> None:
    headers = {"X-Request-ID": given.encode()}
    answers = [await client.get("/known/a", headers=headers) for _ in range(2)]
    ids = [answer.headers["X-Request-ID"] for answer in answers]
    assert ids == [answer.text for answer in answers]
    assert len(set(ids)) == 2
    assert given.encode() not in [each.encode() for each in ids]
