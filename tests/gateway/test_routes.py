"""How long a request may take, and what becomes of the items of a batch that get no score."""

from __future__ import annotations

import httpx
import pytest
from starlette.requests import Request

from gateway.app import create_app
from gateway.http.problems import Problem
from gateway.observability.metrics import PROBLEMS
from gateway.routes import _deadline
from gateway.settings import Settings

SETTINGS = Settings(request_timeout=30, max_request_timeout=120)


def seconds(*asked: str) -> float:
    headers = [(b"x-request-timeout", value.encode()) for value in asked]
    request = Request({"type": "http", "headers": headers, "state": {}})
    return _deadline(request, SETTINGS).seconds_left


@pytest.mark.parametrize(
    ("asked", "given"), [((), 30), (("60",), 60), (("120",), 120), (("121",), 120), (("1e9",), 120)]
)
def test_a_client_gets_the_time_that_it_asks_for(asked: tuple[str, ...], given: float) -> None:
    assert 0 < seconds(*asked) <= given
    assert seconds(*asked) > given / 2  # so much does not pass in between


@pytest.mark.parametrize("asked", ["0", "-1", "nan", "inf", "-inf", "soon", "", "1 s"])
def test_what_is_no_time_is_refused(asked: str) -> None:
    with pytest.raises(Problem) as caught:
        seconds(asked)
    assert caught.value.code == "invalid_request"


async def test_items_without_a_score_are_counted_by_their_code() -> None:
    codes = ("unsupported_format", "invalid_image")
    before = [PROBLEMS.labels(code)._value.get() for code in codes]
    files = [("images", (name, content)) for name, content in (("a", b"text"), ("b", b""))]
    transport = httpx.ASGITransport(create_app(Settings()))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.post("/api/v1/iqa/nr/brisque/batch/", files=files * 2)
    results = answer.json()["results"]
    assert [result["filename"] for result in results] == ["a", "b", "a", "b"]
    assert [result["error"].partition(":")[0] for result in results] == list(codes) * 2
    after = [PROBLEMS.labels(code)._value.get() for code in codes]
    assert [later - earlier for earlier, later in zip(before, after, strict=True)] == [2, 2]


@pytest.mark.parametrize("path", ["nr/brisque", "nr/brisque/batch", "fr/ms-ssim/map", "fr"])
async def test_a_path_may_lack_its_last_slash(path: str) -> None:
    transport = httpx.ASGITransport(create_app(Settings()))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answers = [await client.post(f"/api/v1/iqa/{path}{end}") for end in ("", "/", "//")]
    assert [answer.json()["code"] for answer in answers] == ["invalid_request"] * 2 + ["not_found"]
