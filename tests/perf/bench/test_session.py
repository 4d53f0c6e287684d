"""A contender is timed only once all its scores are right; so is the bare loop."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest

from iqa.catalogue import metric
from perf.bench.__main__ import Plan, Session
from perf.bench.bare import BareLoop
from perf.bench.contenders import Contender
from perf.load.calls import Call, score
from perf.load.exchanges import RefusedError, WrongAnswerError
from perf.load.pictures import picture_set, read_pixels
from perf.load.processes import Server
from tests.perf.load.serving import serving

BRISQUE = metric("brisque")
PLAN = Plan(("own",), (BRISQUE,), rounds=1, seconds=0.1, sweep=(), swept=())


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Server]:
    """A process that lives, in the place of a contender's."""
    server = Server([sys.executable, "-c", "import time; time.sleep(600)"], tmp_path / "log")
    yield server
    server.stop()


def check(port: int, process: Server) -> None:
    """Have a session compare what listens there with scores of 0.5."""
    contender = Contender("own", "the one that is tried", port, [], lambda *_: 0.5)
    session = Session(PLAN, [contender], {"own": process})
    try:
        session.check()
    finally:
        session.stop()


def answer_of(score: float) -> tuple[int, str, bytes]:
    return 200, "application/json", json.dumps({"score": score}).encode()


def test_every_call_is_asked_and_one_wrong_score_is_enough(process: Server) -> None:
    asked: list[bytes] = []

    def answer(_path: str, _headers: Message, body: bytes) -> tuple[int, str, bytes]:
        asked.append(body)
        return answer_of(0.5)

    with serving(answer) as port:
        check(port, process)
    calls = list(dict.fromkeys(asked))
    pairs = picture_set()
    assert len(calls) == len(pairs) + len({pair.original for pair in pairs})

    def wrong_for_the_last(_path: str, _headers: Message, body: bytes) -> tuple[int, str, bytes]:
        return answer_of(0.7 if body == calls[-1] else 0.5)

    with serving(wrong_for_the_last) as port, pytest.raises(WrongAnswerError):
        check(port, process)


def test_a_refusal_is_waited_out_at_the_start_and_never_later(process: Server) -> None:
    refusals = [True, False, True]

    def answer(*_: object) -> tuple[int, str, bytes]:
        refused = refusals.pop(0) if refusals else False
        return (503, "text/plain", b"busy") if refused else answer_of(0.5)

    with serving(answer) as port, pytest.raises(RefusedError):
        check(port, process)
    assert refusals == []


def test_a_contender_that_ended_is_not_waited_for(process: Server) -> None:
    process.stop()
    with serving(lambda *_: None) as port, pytest.raises(RuntimeError, match="ended"):
        check(port, process)


def test_the_bare_loop_times_right_scores_alone() -> None:
    file = picture_set()[0].original
    right = score("brisque", read_pixels(file))
    loop = BareLoop(1)
    try:
        measured = loop.measure([Call(BRISQUE, (file,), right)], processes=1, seconds=0.05)
        assert len(measured.latencies) >= 1
        assert measured.clients == 1
        with pytest.raises(WrongAnswerError):
            loop.measure([Call(BRISQUE, (file,), right + 0.1)], processes=1, seconds=0.05)
    finally:
        loop.stop()
