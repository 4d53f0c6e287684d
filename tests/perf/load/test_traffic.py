"""The load of the reliability tests counts what became of each request, as it was."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Sequence
from email.message import Message

import pytest

from perf.load import traffic
from perf.load.exchanges import Exchange
from perf.load.traffic import Tally, Traffic
from tests.perf.load.serving import Answer, serving

RIGHT = Exchange("/right/", "text/plain", b"", (0.5,))


def scored(score: float) -> tuple[int, str, bytes]:
    return 200, "application/json", json.dumps({"score": score}).encode()


async def tally_of(
    answer: Answer, exchanges: Sequence[Exchange] = (RIGHT,), requests: int = 1
) -> Tally:
    """What is counted of at least so many requests, sent one after the other."""
    with serving(answer) as port:
        url = f"http://127.0.0.1:{port}"
        async with Traffic(url, exchanges, clients=1) as load:
            while load.tally.total < requests:
                await asyncio.sleep(0.01)
        return load.tally


async def test_right_answers_are_right() -> None:
    counted = await tally_of(lambda *_: scored(0.5), requests=3)
    assert counted.right == counted.total >= 3


async def test_a_wrong_score_is_wrong_and_nothing_else() -> None:
    counted = await tally_of(lambda *_: scored(0.501))
    assert len(counted.wrong) == counted.total
    assert "not (0.5,)" in counted.wrong[0]
    assert counted.right == 0


async def test_a_refusal_is_counted_by_its_code() -> None:
    body = json.dumps({"code": "overloaded"}).encode()
    counted = await tally_of(lambda *_: (503, "application/problem+json", body))
    assert counted == Tally(refused=counted.refused)
    assert counted.refused == {"overloaded": counted.total}


async def test_a_connection_that_breaks_is_broken() -> None:
    counted = await tally_of(lambda *_: None)
    assert counted == Tally(broken=counted.broken)
    assert counted.broken.total() >= 1


async def test_who_never_answers_has_lost_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "PATIENCE", 0.2)
    over = threading.Event()

    def keep_waiting(_path: str, _headers: Message, _body: bytes) -> None:
        over.wait(60)

    try:
        counted = await tally_of(keep_waiting)
    finally:
        over.set()
    assert counted == Tally(lost=counted.lost)
    assert len(counted.lost) >= 1


async def test_each_exchange_and_each_deadline_has_its_turn() -> None:
    seen: list[tuple[str, str | None, bytes]] = []

    def answer(path: str, headers: Message, body: bytes) -> tuple[int, str, bytes]:
        seen.append((path, headers["X-Request-Timeout"], body))
        return scored(0.5)

    exchanges = [Exchange(f"/{name}/", "text/plain", name.encode(), (0.5,)) for name in "ab"]
    with serving(answer) as port:
        url = f"http://127.0.0.1:{port}"
        async with Traffic(url, exchanges, clients=1, timeouts=(None, 2, None)) as load:
            await load.more(right=6)
    assert seen[:6] == [
        ("/a/", None, b"a"),
        ("/b/", "2", b"b"),
        ("/a/", None, b"a"),
        ("/b/", None, b"b"),
        ("/a/", "2", b"a"),
        ("/b/", None, b"b"),
    ]


async def test_at_its_end_nothing_is_on_its_way() -> None:
    answered = 0

    def answer(*_: object) -> tuple[int, str, bytes]:
        nonlocal answered
        answered += 1
        return scored(0.5)

    counted = await tally_of(answer, requests=5)
    assert counted.total == answered


async def test_recovery_is_when_the_last_trouble_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "CALM", 0.3)
    loop = asyncio.get_running_loop()
    troubled_until, last_trouble = [5], 0.0

    def answer(*_: object) -> tuple[int, str, bytes]:
        nonlocal last_trouble
        if troubled_until[0]:
            troubled_until[0] -= 1
            last_trouble = loop.time()
            return scored(0.7)
        return scored(0.5)

    start = loop.time()  # the clock that `time.monotonic` has
    with serving(answer) as port:
        async with Traffic(f"http://127.0.0.1:{port}", [RIGHT], clients=1) as load:
            seconds = await load.recovery(start)
    assert len(load.tally.wrong) == 5
    assert last_trouble - start <= seconds < loop.time() - start - traffic.CALM
