"""Each alert fires when what it is about happens, and not when something like it does."""

from __future__ import annotations

from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import REGISTRY

import gateway.app  # noqa: F401  (registers the gateway's metrics)
from gateway.http.problems import STATUS
from iqa.catalogue import METRICS
from tests.deploy.commands import DEPLOY
from tests.deploy.promql import Series, evaluate
from tests.deploy.triton_metrics import TRITON_LABELS, TRITON_METRICS

RULES = {
    rule["alert"]: rule["expr"]
    for group in yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"]
    for rule in group["rules"]
}
OF_SCRAPING = {"job", "instance"}
BRISQUE = METRICS[0].name


def up(job: str, *values: int) -> list[Series]:
    return [
        Series("up", {"job": job, "instance": str(number)}, value)
        for number, value in enumerate(values)
    ]


def requests(**rates: float) -> list[Series]:
    """Requests a second of two workers' routes by status, such as s503."""
    return [
        Series(
            "http_server_request_duration_seconds_count",
            {
                "http_route": route,
                "http_request_method": "POST",
                "http_response_status_code": status[1:],
            },
            rate=rate / 2,
        )
        for status, rate in rates.items()
        for route in ("/one", "/other")
    ]


def problems(code: str, rate: float) -> list[Series]:
    return [Series("iqa_problems_total", {"code": code}, rate=rate)]


def queue(model: str, seconds: float, rate: float) -> list[Series]:
    """A model that so many requests a second wait for, each so many seconds."""
    labels = {"model": model, "version": "1"}
    return [
        Series("nv_inference_queue_duration_us", labels, rate=seconds * 1e6 * rate),
        Series("nv_inference_request_success", labels, rate=rate),
    ]


def failures(reason: str, rate: float) -> list[Series]:
    labels = {"model": BRISQUE, "version": "1", "reason": reason}
    return [Series("nv_inference_request_failure", labels, rate=rate)]


FIRING = [
    ("TritonDown", [], 1),
    ("TritonDown", up("gateway", 1), 1),
    ("TritonDown", up("triton", 0, 0), 1),
    ("TritonEndpointDown", up("triton", 1, 0), 1),
    ("TritonEndpointDown", up("triton", 0, 0), 2),
    ("GatewayDown", up("triton", 1), 1),
    ("GatewayDown", up("gateway", 0), 1),
    ("Errors", requests(s200=98, s503=2), 1),
    ("Errors", requests(s200=98, s500=1, s504=1), 1),
    ("Refusals", problems("overloaded", 1), 1),
    ("QueueTime", queue("brisque", 1, 20), 1),
    ("QueueTime", queue("brisque", 1, 20) + queue("ms_ssim", 0.9, 1), 2),
    ("InferenceFailures", failures("BACKEND", 1), 1),
    ("InferenceFailures", failures("OTHER", 1), 1),
]
SILENT = [
    ("TritonDown", up("triton", 0, 1)),
    ("TritonEndpointDown", up("triton", 1, 1) + up("gateway", 0)),
    ("GatewayDown", up("gateway", 1, 0)),
    ("Errors", requests(s200=98, s400=50, s422=50, s413=50)),
    ("Errors", requests(s200=995, s503=5)),
    ("Refusals", problems("overloaded", 0.01)),
    ("Refusals", problems("invalid_image", 10)),
    ("QueueTime", queue("brisque", 0.001, 1000) + queue("ms_ssim", 0.1, 100)),
    ("QueueTime", queue("brisque", 0, 0)),
    ("InferenceFailures", failures("CANCELED", 10) + failures("REJECTED", 10)),
    ("InferenceFailures", failures("BACKEND", 0.01)),
]


@pytest.mark.parametrize(("alert", "series", "times"), FIRING)
def test_it_fires(alert: str, series: list[Series], times: int) -> None:
    assert len(evaluate(RULES[alert], series)) == times


@pytest.mark.parametrize(("alert", "series"), SILENT)
def test_it_is_silent(alert: str, series: list[Series]) -> None:
    assert evaluate(RULES[alert], series) == []


def test_every_alert_is_tried_both_ways() -> None:
    assert {alert for alert, *_ in FIRING} == {alert for alert, _ in SILENT} == set(RULES)


def test_an_alert_says_which_model_or_instance() -> None:
    assert evaluate(RULES["QueueTime"], queue("ms_ssim", 1, 1)) == [{"model": "ms_ssim"}]
    (down,) = evaluate(RULES["TritonEndpointDown"], up("triton", 1, 0))
    assert down["instance"] == "1"


def test_what_the_series_are_made_of_exists() -> None:
    """The labels are those that the gateway and Triton export, and the codes are the gateway's."""
    for _, series, *_ in [*FIRING, *SILENT]:
        for each in series:
            assert set(each.labels) <= labels_of(each.name), each
            if each.name == "iqa_problems_total":
                assert each.labels["code"] in STATUS


@pytest.mark.parametrize("alert", RULES)
def test_labels_and_codes_that_it_selects_by_exist(alert: str) -> None:
    for selector in selectors(promql_parser.parse(RULES[alert])):
        for matcher in selector.matchers.matchers:
            assert matcher.name in labels_of(selector.name)
            if matcher.name == "code":
                assert matcher.value in STATUS
            if matcher.name == "http_response_status_code":
                assert {int(status) for status in matcher.value.split("|")} <= set(STATUS.values())


def labels_of(metric: str) -> set[str]:
    if metric == "up":
        return OF_SCRAPING
    if metric in TRITON_METRICS:
        return OF_SCRAPING | TRITON_LABELS
    collectors = REGISTRY._names_to_collectors
    return OF_SCRAPING | set(collectors[metric]._labelnames)


def selectors(node: Any) -> list[Any]:
    if isinstance(node, promql_parser.VectorSelector):
        return [node]
    if isinstance(node, promql_parser.MatrixSelector):
        return [node.vector_selector]
    parts = [getattr(node, name, None) for name in ("expr", "lhs", "rhs")]
    parts += getattr(node, "args", [])
    return [found for part in parts if part is not None for found in selectors(part)]
