"""How far a run is: a bar where somebody looks on, else a line now and then."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator

import pytest

from bulk import progress
from bulk.items import Item, UsageError
from bulk.progress import State, shown


def source() -> Iterator[Item]:
    yield from (Item(str(number)) for number in range(8))


def broken() -> Iterator[Item]:
    yield Item("a")
    raise UsageError("no such manifest")


def wait_for_total(state: State) -> None:
    end = time.monotonic() + 30
    while state.total is None:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_state_says_what_is_done_and_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 102.0)
    state = State(done=3, held=3, _start=100.0)
    state.add([{"error_code": None}, {"error_code": "unsupported_format"}])
    state.add([{}])
    assert str(state) == "6, 1.5/s, 1 errors"  # what an earlier run wrote took no time of this one
    state.total = 12
    assert str(state) == "6 of 12, 1.5/s, 1 errors, 4 s left"


def test_lines_come_every_few_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = State()
    with shown(state, source) as show:
        wait_for_total(state)
        show()
        assert capsys.readouterr().err == ""  # not yet
        monkeypatch.setattr(progress, "LINES_EVERY", 0)
        state.add([{}] * 4)
        show()
    assert re.fullmatch(r"4 of 8, [\d.]+/s, 0 errors, \d+ s left\n", capsys.readouterr().err)


def test_a_terminal_gets_a_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    state = State()
    with shown(state, source) as show:
        wait_for_total(state)
        state.add([{"error_code": "decode_failed"}, {}])
        show()
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err).splitlines()[-1]
    assert re.search(r"2/8 [\d.]+/s, 1 errors, left: ", last)


def test_what_cannot_be_counted_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    state, before = State(), threading.active_count()
    with shown(state, broken):
        end = time.monotonic() + 30
        while threading.active_count() > before:
            assert time.monotonic() < end
            time.sleep(0.01)
    assert state.total is None
    assert capsys.readouterr().err == ""
