"""What operators see of a request: its metrics, and its line in the log, which shows no content."""

from __future__ import annotations

import base64
import json
import time
from collections import Counter

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from iqa.catalogue import metric
from perf.load.calls import PREFIX
from perf.load.pictures import picture_set
from tests.conftest import RunningService

BRISQUE = f"{PREFIX}{metric('brisque').path}/"
MS_SSIM = f"{PREFIX}{metric('ms_ssim').path}/"
FIELDS = {"time", "level", "logger", "message"}
OF_A_REQUEST = FIELDS | {"request_id", "status", "duration_ms"}


def samples(service: RunningService) -> Counter[tuple[str, ...]]:
    """Value of every sample, by its name and the values of its labels."""
    text = httpx.get(f"{service.url}/metrics").text
    return Counter(
        {
            (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
    )


def test_metrics_count_requests_by_route_and_code_and_time_their_stages(
    service: RunningService,
) -> None:
    pair = picture_set(width=200, height=180)[0]
    before = samples(service)
    for path, files in (
        (BRISQUE, {"image": pair.original}),
        (MS_SSIM, {"original_image": pair.original, "distorted_image": pair.distorted}),
        (BRISQUE, {"image": b"plain text"}),
    ):
        httpx.post(service.url + path, files=files)
    after = samples(service)
    request = "http_server_request_duration_seconds"
    expected = {
        (f"{request}_count", "POST", "200", BRISQUE): 1,
        (f"{request}_count", "POST", "200", MS_SSIM): 1,
        (f"{request}_count", "POST", "415", BRISQUE): 1,
        ("iqa_problems_total", "unsupported_format"): 1,
        ("iqa_stage_duration_seconds_count", "wait"): 2,
        ("iqa_stage_duration_seconds_count", "decode"): 2,
        ("iqa_stage_duration_seconds_count", "inference"): 2,
    }
    assert {name: after[name] - before[name] for name in expected} == expected
    assert ("iqa_images_in_flight",) in after
    for stage in ("wait", "decode", "inference"):  # the images came one by one
        name, images = "iqa_stage_duration_seconds_sum", "iqa_image_stage_seconds_total"
        spent = after[name, stage] - before[name, stage]
        assert after[images, stage] - before[images, stage] == pytest.approx(spent)
    buckets = [name for name in after if name[0] == f"{request}_bucket" and BRISQUE in name]
    assert len({name[-1] for name in buckets}) > 10  # upper bounds


def test_the_log_has_a_line_of_json_for_each_request_and_no_content(
    service: RunningService,
) -> None:
    picture = picture_set(width=200, height=180)[0].original
    marks = {"X-Request-ID": "seen-1", "Authorization": "Bearer hidden-key"}
    for path, content in (("", picture), ("", picture[:3000]), ("batch/", picture)):
        field = "images" if path else "image"
        files = {field: ("hidden-name.jpg", content)}
        httpx.post(f"{service.url}{BRISQUE}{path}?hidden=query", files=files, headers=marks)
    end = time.monotonic() + 10
    while (log := service.log.read_text()).count("seen-1") < 3:
        assert time.monotonic() < end, log
        time.sleep(0.05)
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert all(set(line) >= FIELDS for line in lines)
    of_these = [line for line in lines if line.get("request_id") == "seen-1"]
    assert [line["status"] for line in of_these] == [200, 400, 200]
    assert [set(line) - OF_A_REQUEST for line in of_these] == [set(), {"code"}, set()]
    for secret in ("hidden", repr(picture[:16])[2:-1], base64.b64encode(picture).decode()[:40]):
        assert secret not in log
