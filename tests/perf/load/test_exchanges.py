"""The judge of the reliability tests, before which every sort of wrong answer is brought."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from gateway.http.problems import STATUS
from perf.load.exchanges import CLEAR, Exchange, RefusedError, WrongAnswerError

JSON, PROBLEM = "application/json", "application/problem+json"
Body = dict[str, object] | list[object] | bytes


def judge(
    expected: tuple[float, ...] | str, body: Body, status: int = 200, kind: str = JSON
) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    Exchange("/route/", "multipart/form-data", b"", expected).check(status, kind, content)


def results(*scores: float) -> dict[str, object]:
    return {"results": [{"filename": "a", "score": score} for score in scores]}


def test_the_right_answer_passes() -> None:
    judge((9.13,), {"score": 9.13004})
    judge((9.13, 30.5), results(9.13, 30.5))
    judge("invalid_image", {"code": "invalid_image"}, 400, PROBLEM)


@pytest.mark.parametrize("score", [9.1302, 9.1298, -9.13, 0, float("nan"), None, "9.13", [9.13]])
def test_another_score_is_wrong(score: object) -> None:
    with pytest.raises(WrongAnswerError):
        judge((9.13,), {"score": score})


@pytest.mark.parametrize(
    "scores", [(), (9.13,), (30.5, 9.13), (9.13, 9.13), (9.13, 30.5, 30.5), (9.13, 30.6)]
)
def test_a_batch_has_every_score_in_its_place(scores: Sequence[float]) -> None:
    with pytest.raises(WrongAnswerError):
        judge((9.13, 30.5), results(*scores))


@pytest.mark.parametrize(
    ("expected", "status", "kind", "body"),
    [
        ((9.13,), 200, JSON, b""),
        ((9.13,), 200, JSON, b'{"score": 9.1'),
        ((9.13,), 200, JSON, {}),
        ((9.13,), 200, JSON, [9.13]),
        ((9.13,), 500, JSON, {"score": 9.13}),
        ((9.13,), 500, PROBLEM, {"code": "internal_error"}),
        ((9.13,), 400, PROBLEM, {"code": "invalid_image"}),
        ((9.13, 30.5), 200, JSON, {"results": [{"score": 9.13}, {"error": "invalid_image: x"}]}),
        ("invalid_image", 200, JSON, {"score": 9.13}),
        ("invalid_image", 415, PROBLEM, {"code": "unsupported_format"}),
        ("invalid_image", 422, PROBLEM, {"code": "invalid_image"}),
        ("invalid_image", 400, JSON, {"code": "invalid_image"}),
        ("invalid_image", 400, PROBLEM, {"code": "unheard_of"}),
        ("invalid_image", 400, PROBLEM, b"Bad Request"),
    ],
)
def test_whatever_is_neither_right_nor_a_clear_refusal_is_wrong(
    expected: tuple[float, ...] | str, status: int, kind: str, body: Body
) -> None:
    with pytest.raises(WrongAnswerError):
        judge(expected, body, status, kind)


@pytest.mark.parametrize("code", sorted(CLEAR))
@pytest.mark.parametrize("expected", [(9.13,), "invalid_image"])
def test_a_clear_refusal_is_told_apart(code: str, expected: tuple[float, ...] | str) -> None:
    with pytest.raises(RefusedError, match=code):
        judge(expected, {"code": code}, STATUS[code], PROBLEM)
    with pytest.raises(WrongAnswerError):
        judge(expected, {"code": code}, 500, PROBLEM)


def test_a_batch_of_which_one_was_refused_is_refused() -> None:
    with pytest.raises(RefusedError, match="overloaded"):
        judge((9.13, 30.5), {"results": [{"score": 9.13}, {"error": "overloaded: Try again."}]})
