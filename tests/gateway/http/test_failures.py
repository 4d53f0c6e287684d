"""Whatever a handler raises is answered once, with a code, and with nothing internal."""

from __future__ import annotations

import asyncio
import logging

import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from gateway.http.failures import Failures
from gateway.http.problems import Problem
from gateway.observability.metrics import PROBLEMS
from gateway.observability.requests import RequestTelemetry


def client(error: BaseException) -> httpx.AsyncClient:
    async def fail(_: Scope, __: Receive, ___: Send) -> None:
        raise error

    app = RequestTelemetry(Failures(fail))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Problem("overloaded", "Later.", retry_after=7), 503, "overloaded"),
        (HTTPException(404), 404, "not_found"),
        (HTTPException(405, headers={"Allow": "POST"}), 405, "method_not_allowed"),
        (asyncio.CancelledError(), 503, "backend_unavailable"),
        (ValueError("/secret/path"), 500, "internal_error"),
    ],
    ids=["problem", "no route", "no method", "end of the service", "defect"],
)
async def test_an_error_is_answered(
    error: BaseException, status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = PROBLEMS.labels(code)._value.get()
    answer = await client(error).get("/")
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code)
    assert problem["request_id"] == answer.headers["X-Request-ID"]
    assert "secret" not in answer.text
    assert answer.headers.get("Allow") == ("POST" if status == 405 else None)
    assert answer.headers.get("Retry-After") == {
        "overloaded": "7", "backend_unavailable": "5"
    }.get(code)  # fmt: skip
    assert PROBLEMS.labels(code)._value.get() == before + 1
    defects = [line for line in caplog.records if line.exc_info]
    assert [line.exc_info[1] for line in defects if line.exc_info] == [error] * (status == 500)
    assert all(line.levelno == logging.ERROR for line in defects)


async def test_nobody_is_answered_who_has_left() -> None:
    answer = await client(ClientDisconnect()).get("/")
    assert (answer.status_code, answer.content) == (499, b"")


async def test_an_answer_that_has_begun_is_not_begun_again() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    async def break_off(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await Failures(break_off)({"type": "http"}, receive, send)
    assert [message["status"] for message in sent] == [200]
