"""The running service answers what its OpenAPI page says, whatever it is asked."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from decoding import FORMATS
from iqa.catalogue import METRICS
from tests.conftest import RunningService
from tests.hostile.corpus import photograph
from tests.hostile.files import encoded

EXAMPLES = 25  # of each call, that are as documented, and as many that are not
ANY = {
    *("invalid_request", "upload_too_large", "too_many_pixels", "unsupported_format"),
    *("overloaded", "deadline_exceeded"),
}
"""What every upload may be refused for."""
PATIENCE = 1.0  # seconds; who allows less rightly gets a 504

# The page says "binary", and cannot say that a picture is meant.
schemathesis.openapi.format("binary", st.sampled_from([encoded(photograph(), k) for k in FORMATS]))


def test_every_answer_is_as_documented(service: RunningService, subtests: pytest.Subtests) -> None:
    page = schemathesis.openapi.from_url(f"{service.url}/openapi.json")
    for operation in page.get_all_operations():
        call = operation.ok()
        for mode in GenerationMode if call.body else [GenerationMode.POSITIVE]:
            with subtests.test(call.label, mode=mode.value):
                ask(call, mode)


def test_a_call_lists_what_it_may_be_refused_for_and_nothing_else(service: RunningService) -> None:
    paths = httpx.get(f"{service.url}/openapi.json").json()["paths"]
    named = {path: codes for path, call in paths.items() if (codes := listed(call))}
    for metric in METRICS:
        of_item = {"invalid_image", "out_of_memory", "backend_unavailable"}
        of_item |= {"image_too_small"} if metric.minimum_side > 1 else set()
        of_item |= {"size_mismatch"} if len(metric.fields) > 1 else set()
        of_item |= {"score_undefined"} if metric.undefined else set()
        for end in ("", "map/"):
            assert named[f"/api/v1/iqa{metric.path}/{end}"] == ANY | of_item
        assert named[f"/api/v1/iqa{metric.path}/batch/"] == ANY
    compressed = {"Content-Encoding": "gzip", "Content-Type": "multipart/form-data; boundary=x"}
    for path in named.keys() - {"/api/v1/iqa/"}:
        answer = httpx.post(service.url + path, headers=compressed)
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_format")


def listed(call: dict[str, Any]) -> set[str]:
    """The codes of the problems that a path's POST may answer with."""
    answers = call.get("post", {}).get("responses", {}).values()
    problems = [answer["content"].get("application/problem+json", {}) for answer in answers]
    return {code for problem in problems for code in problem.get("examples", {})}


# Schemathesis' own decorator for pytest does not know the newest pytest.
def ask(call: schemathesis.APIOperation, mode: GenerationMode) -> None:
    """Try a call with what it takes, or with what it does not."""

    @given(case=call.as_strategy(generation_mode=mode))
    @settings(max_examples=EXAMPLES, derandomize=True, deadline=None, database=None)
    def check(case: schemathesis.Case) -> None:
        assume(seconds_allowed(case) >= PATIENCE)
        assume(sends_every_member(case))
        case.call_and_validate(excluded_checks=beyond_the_page(call.path))

    check()


def beyond_the_page(path: str) -> list[Callable[..., bool | None]]:
    """Checks that take the page for more than it can say."""
    checks: list[Callable[..., bool | None]] = []
    if path.endswith("/batch/"):
        checks.append(negative_data_rejection)  # a file that is no picture fails in its entry
    if "/fr/" in path and path.endswith("/batch/"):
        checks.append(positive_data_acceptance)  # as many originals as distorted images, or one
    return checks


def sends_every_member(case: schemathesis.Case) -> bool:
    """A form has no way to say that a list is empty: nothing of it is sent."""
    return not isinstance(case.body, dict) or [] not in case.body.values()


def seconds_allowed(case: schemathesis.Case) -> float:
    try:
        return float(case.headers.get("X-Request-Timeout", "inf"))
    except ValueError:
        return math.inf
